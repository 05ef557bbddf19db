#include "tests/gateway/tls_host.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <string_view>
#include <tuple>
#include <utility>

#include "http/self_signed_certificate.h"
#include "tests/support/tls_context.h"

namespace postern::gateway {
namespace {

/// A listening socket, and the port that it has; -1 if there is none.
std::pair<int, std::uint16_t> ListenOn(const std::string& address, std::uint16_t port) {
  sockaddr_storage storage{};
  auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
  const bool is_v4 = inet_pton(AF_INET, address.c_str(), &v4.sin_addr) == 1;
  if (!is_v4 && inet_pton(AF_INET6, address.c_str(), &v6.sin6_addr) != 1) return {-1, 0};
  storage.ss_family = is_v4 ? AF_INET : AF_INET6;
  (is_v4 ? v4.sin_port : v6.sin6_port) = htons(port);
  socklen_t size = is_v4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  const int listening = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listening < 0) return {-1, 0};
  if (bind(listening, reinterpret_cast<const sockaddr*>(&storage), size) != 0 || listen(listening, SOMAXCONN) != 0 ||
      getsockname(listening, reinterpret_cast<sockaddr*>(&storage), &size) != 0) {
    close(listening);
    return {-1, 0};
  }
  return {listening, ntohs(is_v4 ? v4.sin_port : v6.sin6_port)};
}

/// Up to the empty line; what was read if there is none.
std::string ReadHead(SSL* tls) {
  std::string head;
  std::array<char, 4096> bytes;
  while (head.find("\r\n\r\n") == std::string::npos) {
    const int size = SSL_read(tls, bytes.data(), static_cast<int>(bytes.size()));
    if (size <= 0) break;
    head.append(bytes.data(), static_cast<std::size_t>(size));
  }
  return head;
}

SeenRequest ReadRequest(SSL* tls, const std::string& head) {
  SeenRequest request;
  const char* sni = SSL_get_servername(tls, TLSEXT_NAMETYPE_host_name);
  if (sni != nullptr) request.sni = sni;
  const auto begin = head.find(' ');
  if (begin == std::string::npos) return request;
  request.target = head.substr(begin + 1, head.find(' ', begin + 1) - begin - 1);
  constexpr std::string_view kHost = "\r\nHost: ";
  if (const auto host = head.find(kHost); host != std::string::npos) {
    const auto value = host + kHost.size();
    request.host_header = head.substr(value, head.find("\r\n", value) - value);
  }
  return request;
}

void Write(SSL* tls, const http::Response& response) {
  std::string text = fmt::format("HTTP/1.1 {} Played\r\nContent-Length: {}\r\nConnection: close\r\n", response.status,
                                 response.body.size());
  for (const auto& [name, value] : response.headers) text += fmt::format("{}: {}\r\n", name, value);
  text += "\r\n" + response.body;
  SSL_write(tls, text.data(), static_cast<int>(text.size()));
}

}  // namespace

TlsHost::TlsHost(const std::string& address, const std::string& certificate_host, std::uint16_t port) {
  const auto pem = http::MakeSelfSignedCertificate(certificate_host);
  EXPECT_TRUE(pem.ok());
  certificate_ = pem->certificate;
  context_ = support::ServerContextFor(*pem);
  EXPECT_NE(context_, nullptr);
  std::tie(listening_, port_) = ListenOn(address, port);
  EXPECT_GE(listening_, 0) << "cannot listen on " << address;
  response_ = {.status = 404, .headers = {}, .body = "{}"};
  thread_ = std::thread([this] { Serve(); });
}

TlsHost::~TlsHost() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    changed_.notify_all();
  }
  shutdown(listening_, SHUT_RDWR);  // wakes accept
  thread_.join();
  close(listening_);
  SSL_CTX_free(context_);
}

void TlsHost::Answer(http::Response response) {
  const std::lock_guard lock(mutex_);
  response_ = std::move(response);
}

void TlsHost::Hold() {
  const std::lock_guard lock(mutex_);
  held_ = true;
}

void TlsHost::Release() {
  const std::lock_guard lock(mutex_);
  held_ = false;
  changed_.notify_all();
}

std::vector<SeenRequest> TlsHost::seen() const {
  const std::lock_guard lock(mutex_);
  return seen_;
}

void TlsHost::AwaitRequests(std::size_t count) const {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return seen_.size() >= count; });
}

http::Response TlsHost::Next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !held_ || ending_; });
  return response_;
}

void TlsHost::Converse(ssl_st* tls) {
  if (SSL_accept(tls) != 1) return;
  const std::string head = ReadHead(tls);
  if (head.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    seen_.push_back(ReadRequest(tls, head));
    changed_.notify_all();
  }
  Write(tls, Next());
  SSL_shutdown(tls);
}

void TlsHost::Serve() {
  sigset_t broken_pipe;
  sigemptyset(&broken_pipe);
  sigaddset(&broken_pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &broken_pipe, nullptr);  // OpenSSL writes to clients that have gone
  for (;;) {
    const int connection = accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) return;
    const timeval patience{20, 0};  // with a client that says nothing: the test must end
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    SSL* tls = SSL_new(context_);
    SSL_set_fd(tls, connection);
    Converse(tls);
    SSL_free(tls);
    close(connection);
  }
}

bool HasIpv6Loopback() {
  const auto [listening, port] = ListenOn("::1", 0);
  if (listening >= 0) close(listening);
  return listening >= 0;
}

}  // namespace postern::gateway
