// Row 4 of "Answers of send_leave": which server is asking (server-server API, "Request Authentication").
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "matrix/json.h"
#include "matrix/server_name.h"
#include "services/gateway/exchange.h"
#include "services/gateway/key_ring.h"

namespace postern::gateway {

/// A request that `origin` has signed with one of its keys. Only PeerAuth makes one.
class AuthenticRequest {
 public:
  Exchange& exchange() const { return *exchange_; }
  const std::shared_ptr<Exchange>& shared_exchange() const { return exchange_; }
  const matrix::ServerName& origin() const { return origin_; }
  /// nullptr for a request without a body.
  const matrix::Json* content() const { return content_ ? &*content_ : nullptr; }
  matrix::Json* content() { return content_ ? &*content_ : nullptr; }
  /// The keys of the origin that were relied on, and its others.
  const KnownKeysPtr& origin_keys() const { return origin_keys_; }

 private:
  friend class PeerAuth;
  AuthenticRequest(std::shared_ptr<Exchange> exchange, matrix::ServerName origin, std::optional<matrix::Json> content,
                   KnownKeysPtr origin_keys)
      : exchange_(std::move(exchange)),
        origin_(std::move(origin)),
        content_(std::move(content)),
        origin_keys_(std::move(origin_keys)) {}

  std::shared_ptr<Exchange> exchange_;
  matrix::ServerName origin_;
  std::optional<matrix::Json> content_;
  KnownKeysPtr origin_keys_;
};

/// Thread-safe.
class PeerAuth {
 public:
  /// Refuses: kUnauthenticated; kOriginKeyUnavailable (the same to the peer) for trouble with fetching keys. The
  /// exchange's notes say why.
  using Then = std::function<void(absl::StatusOr<AuthenticRequest>)>;

  PeerAuth(matrix::ServerName server_name, KeyRing& key_ring, Clock clock);

  /// Calls `then` once: on this thread where the origin's keys are known, else on a thread where it must not stay.
  /// `content` is what the body holds, numbers as they were written.
  void Authenticate(std::shared_ptr<Exchange> exchange, std::optional<matrix::Json> content, Then then);

 private:
  const matrix::ServerName server_name_;
  KeyRing& key_ring_;
  const Clock clock_;
};

}  // namespace postern::gateway
