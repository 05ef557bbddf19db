// Requests of this server to others.
#pragma once

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "http/http_client.h"
#include "matrix/server_name.h"
#include "matrix/signature.h"

namespace postern::gateway {

/// Where the key ring gets keys that it does not have.
class KeySource {
 public:
  virtual ~KeySource() = default;
  /// What `server` publishes now. Blocks for at most `timeout`. Refuses: kOriginKeyUnavailable.
  virtual absl::StatusOr<matrix::ServerKeys> FetchKeys(const matrix::ServerName& server, absl::Duration timeout) = 0;
};

/// Thread-safe.
class FederationClient : public KeySource {
 public:
  explicit FederationClient(http::ClientOptions options);

  absl::StatusOr<matrix::ServerKeys> FetchKeys(const matrix::ServerName& server, absl::Duration timeout) override;

 private:
  http::HttpClient http_;
};

}  // namespace postern::gateway
