// Channels to another tier: balanced over all of its addresses, kept alive, bounded.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "rpc/transport_security.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace postern::rpc {

/// `target` is a gRPC target ("dns:///validator.ns.svc:7101") or a comma-separated list of addresses
/// ("127.0.0.1:7101,127.0.0.1:7102"). round_robin over every address, so that a dead replica is left at once. Pure
/// calls may be retried by their callers.
absl::StatusOr<std::shared_ptr<grpc::Channel>> OpenChannel(const std::string& target,
                                                           const TransportSecurity& security);

}  // namespace postern::rpc
