// A thing that a peer may ask, once it is known who asks.
#pragma once

#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "http/http_message.h"
#include "matrix/json.h"
#include "services/gateway/exchange.h"
#include "services/gateway/peer_auth.h"

namespace postern::gateway {

/// Runs on a worker and may block until the request's deadline. Thread-safe.
class PeerRoute {
 public:
  virtual ~PeerRoute() = default;
  /// The answer, or the Reason why not.
  virtual absl::StatusOr<http::Response> Handle(AuthenticRequest request) = 0;
};

/// A thing that anybody may ask. Runs on a worker, where it must not wait for other servers. Thread-safe.
class PublicRoute {
 public:
  virtual ~PublicRoute() = default;
  /// Sees to it that `exchange` is answered, now or later. `content` is the JSON object of a request that has a body by
  /// its method.
  virtual void Serve(std::shared_ptr<Exchange> exchange, std::optional<matrix::Json> content) = 0;
};

}  // namespace postern::gateway
