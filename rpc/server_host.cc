#include "rpc/server_host.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <mutex>

#include "absl/synchronization/mutex.h"
#include "fmt/format.h"
#include "matrix/refusal.h"
#include "rpc/grpc_log.h"
#include "rpc/unused_features.h"

namespace postern::rpc {
namespace {

constexpr int kKeepaliveMs = 5000;
/// A client of gRPC's that has no call under way looks at its connections every 5 s: one that answers late is not gone,
/// and would lose its next call with the connection.
constexpr int kKeepaliveTimeoutMs = 10'000;

// Process-wide switches, to be thrown before the first builder.
void ThrowSwitches() {
  static std::once_flag once;
  std::call_once(once, [] {
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    grpc::EnableDefaultHealthCheckService(true);
#ifdef NDEBUG
    // gRPC's locks are Abseil's, and Debian's Abseil keeps a graph of who waits for whom in release builds, too. Our
    // debug and sanitized builds leave it on.
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
#endif
  });
}

void SetLimits(const ServerOptions& options, grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(options.max_message_bytes);
  builder.SetMaxSendMessageSize(options.max_message_bytes);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kKeepaliveMs / 2);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  for (const char* unused : kUnusedFeatures) builder.AddChannelArgument(unused, 0);
  if (options.max_connection_age > absl::ZeroDuration()) {
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS,
                               static_cast<int>(absl::ToInt64Milliseconds(options.max_connection_age)));
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<ServerHost>> ServerHost::Start(const ServerOptions& options,
                                                              const std::vector<grpc::Service*>& services) {
  RouteGrpcLog();
  ThrowSwitches();
  auto credentials = MakeServerCredentials(options.security, options.admission, options.listen, options.metrics);
  if (!credentials.ok()) return credentials.status();
  grpc::ServerBuilder builder;
  SetLimits(options, builder);
  std::unique_ptr<ServerHost> host(new ServerHost);
  builder.AddListeningPort(options.listen, *credentials, &host->port_);
  for (grpc::Service* service : services) builder.RegisterService(service);
  host->server_ = builder.BuildAndStart();
  if (!host->server_) {
    return matrix::Refuse(matrix::Reason::kInvalidArgument, fmt::format("cannot listen on {}", options.listen));
  }
  host->SetServing(false);
  return host;
}

ServerHost::~ServerHost() {
  if (server_) server_->Shutdown(std::chrono::system_clock::now());
}

void ServerHost::SetServing(bool serving) {
  if (auto* health = server_->GetHealthCheckService()) health->SetServingStatus(serving);
}

void ServerHost::Shutdown(absl::Time deadline) { server_->Shutdown(absl::ToChronoTime(deadline)); }

}  // namespace postern::rpc
