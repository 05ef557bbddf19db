// gRPC writes lines of its own to standard error. Here they become lines of ours, which is what reads them expects.
#pragma once

namespace postern::rpc {

/// Thread-safe, and cheap to repeat. Servers and channels do it themselves.
void RouteGrpcLog();

}  // namespace postern::rpc
