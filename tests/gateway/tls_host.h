// A TLS server on loopback that answers HTTP as the test says, and tells which name it was called by.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "http/http_message.h"

struct ssl_ctx_st;
struct ssl_st;

namespace postern::gateway {

/// What a client said.
struct SeenRequest {
  std::string sni;  // empty: none was sent
  std::string host_header;
  std::string target;
};

/// Serves one connection at a time, one request on each.
class TlsHost {
 public:
  /// Listens on `address`, an IP literal, with a certificate for `certificate_host` that vouches for itself. Port 0:
  /// one that is free.
  TlsHost(const std::string& address, const std::string& certificate_host, std::uint16_t port = 0);
  ~TlsHost();
  TlsHost(const TlsHost&) = delete;
  TlsHost& operator=(const TlsHost&) = delete;

  std::uint16_t port() const { return port_; }
  /// PEM.
  const std::string& certificate() const { return certificate_; }

  /// Whatever is asked from now on. 404 until it is called.
  void Answer(http::Response response);
  /// From now on, requests are answered only once Release is called, or never.
  void Hold();
  void Release();

  std::vector<SeenRequest> seen() const;
  /// Blocks until so many requests have come.
  void AwaitRequests(std::size_t count) const;

 private:
  void Serve();
  void Converse(ssl_st* tls);
  http::Response Next();

  int listening_ = -1;
  std::uint16_t port_ = 0;
  std::string certificate_;
  ssl_ctx_st* context_ = nullptr;

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  http::Response response_;
  bool held_ = false;
  bool ending_ = false;
  std::vector<SeenRequest> seen_;
  std::thread thread_;
};

/// Whether IPv6 has a loopback address here; some containers have none.
bool HasIpv6Loopback();

}  // namespace postern::gateway
