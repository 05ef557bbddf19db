// Requests of this server to others.
#pragma once

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "http/http_client.h"
#include "matrix/server_name.h"
#include "matrix/signature.h"

namespace postern::gateway {

class ServerDiscovery;

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
  FederationClient(ServerDiscovery& discovery, http::ClientOptions options);

  absl::StatusOr<matrix::ServerKeys> FetchKeys(const matrix::ServerName& server, absl::Duration timeout) override;

 private:
  /// What `server` answers to a GET of `target`, wherever it is served. Its endpoints are tried in turn until one can
  /// be spoken to. kUnavailable says why none could.
  absl::StatusOr<http::Response> Get(const matrix::ServerName& server, std::string_view target, absl::Time deadline);

  ServerDiscovery& discovery_;
  http::HttpClient http_;
};

}  // namespace postern::gateway
