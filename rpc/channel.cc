#include "rpc/channel.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/support/channel_arguments.h>

#include <limits>

#include "rpc/grpc_log.h"
#include "rpc/server_host.h"
#include "rpc/unused_features.h"

namespace postern::rpc {
namespace {

constexpr int kKeepaliveMs = 5000;
constexpr int kKeepaliveTimeoutMs = 2000;
constexpr int kFirstReconnectMs = 100;
constexpr int kLastReconnectMs = 2000;
// What gRPC calls the least back-off is how long one attempt to connect may take, the server's first words included.
constexpr int kConnectMs = 5000;
constexpr int kResolveAgainMs = 1000;

// A list of addresses is one target to gRPC's ipv4 resolver.
std::string ToTarget(const std::string& target) {
  const bool is_list = target.find(',') != std::string::npos;
  const bool has_scheme = target.find(":///") != std::string::npos || target.starts_with("ipv4:") ||
                          target.starts_with("ipv6:") || target.starts_with("unix:");
  return is_list && !has_scheme ? "ipv4:" + target : target;
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::Channel>> OpenChannel(const std::string& target,
                                                           const TransportSecurity& security) {
  RouteGrpcLog();
  auto credentials = MakeChannelCredentials(security);
  if (!credentials.ok()) return credentials.status();
  grpc::ChannelArguments arguments;
  arguments.SetLoadBalancingPolicyName("round_robin");
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxMessageBytes);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kFirstReconnectMs);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kLastReconnectMs);
  arguments.SetInt(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, kResolveAgainMs);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);  // callers know what may be repeated
  arguments.SetInt(GRPC_ARG_CLIENT_IDLE_TIMEOUT_MS, std::numeric_limits<int>::max());  // it is asked for its health
  for (const char* unused : kUnusedFeatures) arguments.SetInt(unused, 0);
  return grpc::CreateCustomChannel(ToTarget(target), *credentials, arguments);
}

}  // namespace postern::rpc
