// postern-store: rooms, events, state and keys, in PostgreSQL. Run as many as there is load.
#include <cstdlib>
#include <iostream>

#include "matrix/refusal.h"
#include "rpc/one_poller.h"
#include "rpc/process_lifetime.h"
#include "services/store/config.h"
#include "services/store/store.h"
#include "telemetry/log.h"

namespace {

constexpr int kExitWrongConfiguration = 2;

int Fail(const absl::Status& why) {
  std::cerr << "postern-store: " << postern::matrix::DetailOf(why) << '\n';
  return kExitWrongConfiguration;
}

}  // namespace

int main(int argc, char** argv) {
  using postern::configuration::Start;
  postern::store::StoreConfig config;
  const Start start = postern::store::ReadConfig(argc, argv, config);
  if (start != Start::kRun) return start == Start::kExitOk ? EXIT_SUCCESS : kExitWrongConfiguration;

  postern::rpc::BlockSignals();
  postern::telemetry::StartLogging("store", config.log_level);
  auto store = postern::store::Store::Start(config);
  if (!store.ok()) return Fail(store.status());
  const absl::Status written = postern::rpc::WritePortFile(
      config.port_file, {{"grpc", (*store)->grpc_port()}, {"admin", (*store)->admin_port()}});
  if (!written.ok()) return Fail(written);
  const postern::rpc::OnePoller one_poller;
  postern::telemetry::Log(postern::telemetry::Level::kInfo, "listening",
                          {{"grpc_port", (*store)->grpc_port()}, {"admin_port", (*store)->admin_port()}});

  postern::rpc::WaitForEnd([] {});
  (*store)->StopBeingReady();
  postern::rpc::Linger(config.drain_delay);
  (*store)->Shutdown();
  postern::telemetry::Log(postern::telemetry::Level::kInfo, "ended");
  return EXIT_SUCCESS;
}
