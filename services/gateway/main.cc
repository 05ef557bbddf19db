// postern-gateway: other servers speak to this one here.
#include <cstdlib>
#include <iostream>

#include "matrix/refusal.h"
#include "rpc/one_poller.h"
#include "rpc/process_lifetime.h"
#include "services/gateway/config.h"
#include "services/gateway/gateway.h"
#include "telemetry/log.h"

namespace {

constexpr int kExitWrongConfiguration = 2;

int Fail(const absl::Status& why) {
  std::cerr << "postern-gateway: " << postern::matrix::DetailOf(why) << '\n';
  return kExitWrongConfiguration;
}

}  // namespace

int main(int argc, char** argv) {
  using postern::configuration::Start;
  postern::gateway::GatewayConfig config;
  const Start start = postern::gateway::ReadConfig(argc, argv, config);
  if (start != Start::kRun) return start == Start::kExitOk ? EXIT_SUCCESS : kExitWrongConfiguration;

  postern::rpc::BlockSignals();
  postern::telemetry::StartLogging("gateway", config.log_level);
  auto gateway = postern::gateway::Gateway::Start(config);
  if (!gateway.ok()) return Fail(gateway.status());
  const absl::Status written =
      postern::rpc::WritePortFile(config.port_file, {{"federation", (*gateway)->federation_port()},
                                                     {"grpc", (*gateway)->grpc_port()},
                                                     {"admin", (*gateway)->admin_port()}});
  if (!written.ok()) return Fail(written);
  const postern::rpc::OnePoller one_poller;
  postern::telemetry::Log(postern::telemetry::Level::kInfo, "listening",
                          {{"federation_port", (*gateway)->federation_port()},
                           {"grpc_port", (*gateway)->grpc_port()},
                           {"admin_port", (*gateway)->admin_port()}});

  postern::rpc::WaitForEnd([&] { (*gateway)->Reload(); });
  (*gateway)->StopBeingReady();
  postern::rpc::Linger(config.drain_delay);
  (*gateway)->Shutdown();
  postern::telemetry::Log(postern::telemetry::Level::kInfo, "ended");
  return EXIT_SUCCESS;
}
