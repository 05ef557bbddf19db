// postern-validator: judges events for the gateways. It holds no state: run as many as the load takes.
#include <cstdlib>
#include <iostream>

#include "matrix/refusal.h"
#include "rpc/one_poller.h"
#include "rpc/process_lifetime.h"
#include "services/validator/config.h"
#include "services/validator/validator.h"
#include "telemetry/log.h"

namespace {

constexpr int kExitWrongConfiguration = 2;

int Fail(const absl::Status& why) {
  std::cerr << "postern-validator: " << postern::matrix::DetailOf(why) << '\n';
  return kExitWrongConfiguration;
}

}  // namespace

int main(int argc, char** argv) {
  using postern::configuration::Start;
  postern::validator::ValidatorConfig config;
  const Start start = postern::validator::ReadConfig(argc, argv, config);
  if (start != Start::kRun) return start == Start::kExitOk ? EXIT_SUCCESS : kExitWrongConfiguration;

  postern::rpc::BlockSignals();
  postern::telemetry::StartLogging("validator", config.log_level);
  auto validator = postern::validator::Validator::Start(config);
  if (!validator.ok()) return Fail(validator.status());
  const absl::Status written = postern::rpc::WritePortFile(
      config.port_file, {{"grpc", (*validator)->grpc_port()}, {"admin", (*validator)->admin_port()}});
  if (!written.ok()) return Fail(written);
  const postern::rpc::OnePoller one_poller;
  postern::telemetry::Log(postern::telemetry::Level::kInfo, "listening",
                          {{"grpc_port", (*validator)->grpc_port()}, {"admin_port", (*validator)->admin_port()}});

  postern::rpc::WaitForEnd([] {});
  (*validator)->StopBeingReady();
  postern::rpc::Linger(config.drain_delay);
  (*validator)->Shutdown();
  postern::telemetry::Log(postern::telemetry::Level::kInfo, "ended");
  return EXIT_SUCCESS;
}
