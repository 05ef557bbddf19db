// A thing that a peer may ask, once it is known who asks.
#pragma once

#include "absl/status/statusor.h"
#include "http/http_message.h"
#include "services/gateway/peer_auth.h"

namespace postern::gateway {

/// Runs on a worker and may block until the request's deadline. Thread-safe.
class PeerRoute {
 public:
  virtual ~PeerRoute() = default;
  /// The answer, or the Reason why not.
  virtual absl::StatusOr<http::Response> Handle(AuthenticRequest request) = 0;
};

/// A thing that anybody may ask.
class PublicRoute {
 public:
  virtual ~PublicRoute() = default;
  virtual http::Response Handle(const http::Request& request) = 0;
};

}  // namespace postern::gateway
