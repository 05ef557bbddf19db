#include "rpc/grpc_log.h"

#include <grpc/support/log.h>
#include <grpcpp/version_info.h>

#include <mutex>

#include "telemetry/log.h"

namespace postern::rpc {
namespace {

// From 1.66 on gRPC logs by Abseil, which has no such hook.
#if GRPC_CPP_VERSION_MAJOR == 1 && GRPC_CPP_VERSION_MINOR < 66
void Route() {
  gpr_set_log_function([](gpr_log_func_args* line) {
    const auto level = line->severity == GPR_LOG_SEVERITY_ERROR  ? telemetry::Level::kWarning
                       : line->severity == GPR_LOG_SEVERITY_INFO ? telemetry::Level::kInfo
                                                                 : telemetry::Level::kDebug;
    telemetry::Log(level, "gRPC", {{"detail", line->message}});
  });
}
#else
void Route() {}
#endif

}  // namespace

void RouteGrpcLog() {
  static std::once_flag once;
  std::call_once(once, Route);
}

}  // namespace postern::rpc
