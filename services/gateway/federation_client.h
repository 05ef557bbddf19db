// Requests of this server to others.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "http/http_client.h"
#include "http/http_message.h"
#include "matrix/server_name.h"

namespace postern::gateway {

class ServerDiscovery;

struct FederationRequest {
  std::string method = "GET";
  /// As it is signed and sent.
  std::string target{};
  http::Headers headers{};
  std::string body{};
  /// A longer answer is none.
  std::size_t response_limit_bytes = 64 * 1024;
};

/// Thread-safe.
class FederationClient {
 public:
  FederationClient(ServerDiscovery& discovery, http::ClientOptions options);

  /// What `server` answers, wherever it is served. Its endpoints are tried in turn until one answers: a request must be
  /// one that may be repeated. kUnavailable says why none could.
  absl::StatusOr<http::Response> Send(const matrix::ServerName& server, const FederationRequest& request,
                                      absl::Time deadline);

 private:
  ServerDiscovery& discovery_;
  http::HttpClient http_;
};

}  // namespace postern::gateway
