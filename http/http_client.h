// HTTPS requests to other servers, by libcurl: bounded in size and time, no redirects, every address checked before
// connecting.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "http/http_message.h"

namespace postern::http {

struct ClientOptions {
  /// Let connections to private, loopback and link-local addresses pass.
  bool allow_private_networks = false;
  /// Believe any certificate; for tests.
  bool insecure_tls = false;
  /// PEM file of additional authorities; empty: the system's.
  std::string ca_file{};
  std::size_t response_limit_bytes = 1024 * 1024;
};

struct ClientRequest {
  std::string method = "GET";
  std::string url{};
  Headers headers{};
  std::string body{};
  absl::Duration timeout = absl::Seconds(10);
};

/// Thread-safe.
class HttpClient {
 public:
  explicit HttpClient(ClientOptions options);
  ~HttpClient();

  /// Any HTTP answer is OK, whatever its status. An absl::StatusCode::kUnavailable status says why there was none:
  /// refused address, DNS, TLS, timeout, too large.
  absl::StatusOr<Response> Send(const ClientRequest& request);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace postern::http
