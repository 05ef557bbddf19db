// HTTPS requests to other servers, by libcurl: bounded in size and time, no redirects, every address checked before
// connecting.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "http/address_policy.h"
#include "http/http_message.h"

namespace postern::http {

struct ClientOptions {
  /// Let connections to private, loopback and link-local addresses pass.
  bool allow_private_networks = false;
  /// Networks that may be connected to although they are not public.
  std::vector<IpNetwork> allowed_networks{};
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
  /// IP literals to connect to, one after the other until one answers; the URL's host is then only what the certificate
  /// must be for. Empty: the system looks the host up. Each is checked before connecting either way. A connection that
  /// is still open under that host and port is used again.
  std::vector<std::string> addresses{};
  /// How much of `timeout` connecting may take, TLS included; zero: all of it.
  absl::Duration connect_timeout{};
  /// Zero: what ClientOptions says.
  std::size_t response_limit_bytes = 0;
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
