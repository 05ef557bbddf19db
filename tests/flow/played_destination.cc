#include "tests/flow/played_destination.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <set>
#include <string_view>
#include <utility>

#include "absl/time/clock.h"
#include "http/self_signed_certificate.h"
#include "tests/flow/must.h"
#include "tests/flow/played_homeserver.h"
#include "tests/support/tls_context.h"

namespace postern::flow {
namespace {

constexpr std::string_view kTarget = "/_matrix/federation/v1/send/";
constexpr std::chrono::seconds kPatience(150);

/// A bound socket: its port is ours, and refuses whoever comes.
int Bound() {
  const int bound = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  Must("a port", bound >= 0 && bind(bound, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  return bound;
}

std::string AddressOf(int bound) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  Must("a port's number", getsockname(bound, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  return fmt::format("127.0.0.1:{}", ntohs(address.sin_port));
}

/// A whole request; an empty method where the client left before its end.
http::Request ReadRequest(SSL* tls) {
  std::string text;
  std::array<char, 16384> bytes;
  std::size_t head = std::string::npos, length = 0;
  while (head == std::string::npos || text.size() < head + 4 + length) {
    const int size = SSL_read(tls, bytes.data(), static_cast<int>(bytes.size()));
    if (size <= 0) return {};
    text.append(bytes.data(), static_cast<std::size_t>(size));
    if (head != std::string::npos) continue;
    head = text.find("\r\n\r\n");
    constexpr std::string_view kLength = "\r\nContent-Length: ";
    const auto at = text.find(kLength);
    if (head != std::string::npos && at < head) length = std::strtoul(text.c_str() + at + kLength.size(), nullptr, 10);
  }
  http::Request request;
  request.method = text.substr(0, text.find(' '));
  const auto target = request.method.size() + 1;
  request.target = text.substr(target, text.find(' ', target) - target);
  for (auto line = text.find("\r\n") + 2; line < head;) {
    const auto end = text.find("\r\n", line);
    const auto colon = text.find(": ", line);
    request.headers.emplace_back(text.substr(line, colon - line), text.substr(colon + 2, end - colon - 2));
    line = end + 2;
  }
  request.body = text.substr(head + 4);
  request.has_body = !request.body.empty();
  return request;
}

std::string TextOf(const http::Response& answer) {
  std::string text =
      fmt::format("HTTP/1.1 {} Played\r\nContent-Length: {}\r\nContent-Type: application/json\r\nConnection: close\r\n",
                  answer.status, answer.body.size());
  for (const auto& [name, value] : answer.headers) text += fmt::format("{}: {}\r\n", name, value);
  return text + "\r\n" + answer.body;
}

/// What is written is out; closing then sends a reset.
void ResetOnClose(int connection) {
  const linger at_once{1, 0};
  setsockopt(connection, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

}  // namespace

std::string ToldTransaction::id() const { return request.target.substr(kTarget.size()); }

matrix::JsonArray ToldTransaction::pdus() const {
  const matrix::JsonObject body = ObjectOf(request.body);
  const matrix::Json* pdus = body.Find("pdus");
  Must("a transaction", request.target.starts_with(kTarget) && pdus != nullptr && pdus->AsArray() != nullptr);
  return *pdus->AsArray();
}

PlayedDestination::PlayedDestination() : listening_(Bound()), name_(AddressOf(listening_)) {
  const auto pem = Must("a certificate", http::MakeSelfSignedCertificate("127.0.0.1"));
  certificate_ = pem.certificate;
  believable_ = support::ServerContextFor(pem);
  unbelievable_ = support::ServerContextFor(Must("a certificate", http::MakeSelfSignedCertificate("127.0.0.1")));
  Must("certificates that are taken", believable_ != nullptr && unbelievable_ != nullptr);
  Must("a pipe", pipe2(ending_, O_CLOEXEC) == 0);
}

PlayedDestination::~PlayedDestination() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_all();
  }
  close(ending_[1]);                // wakes whoever polls
  shutdown(listening_, SHUT_RDWR);  // and who accepts
  if (accepting_.joinable()) accepting_.join();
  for (std::thread& conversation : conversations_) conversation.join();
  close(ending_[0]);
  close(listening_);
  SSL_CTX_free(believable_);
  SSL_CTX_free(unbelievable_);
}

void PlayedDestination::Listen() {
  Must("to listen", listen(listening_, SOMAXCONN) == 0);
  accepting_ = std::thread([this] { Accept(); });
}

void PlayedDestination::Behave(Manners manners, http::Response answer) {
  const std::lock_guard lock(mutex_);
  manners_ = manners;
  answer_ = std::move(answer);
}

void PlayedDestination::Hold() {
  const std::lock_guard lock(mutex_);
  held_ = true;
}

void PlayedDestination::Release() {
  const std::lock_guard lock(mutex_);
  held_ = false;
  changed_.notify_all();
}

std::vector<ToldTransaction> PlayedDestination::told() const {
  const std::lock_guard lock(mutex_);
  return told_;
}

std::vector<std::string> PlayedDestination::FirstTold(const NameOf& name_of) const {
  std::vector<std::string> names;
  std::set<std::string> known{""};
  for (const ToldTransaction& transaction : told()) {
    for (const matrix::Json& pdu : transaction.pdus()) {
      const std::string name = name_of(*pdu.AsObject());
      if (known.insert(name).second) names.push_back(name);
    }
  }
  return names;
}

void PlayedDestination::AwaitConnections(std::size_t count) const {
  Await("a connection", [&] { return connections_ >= count; });
}

void PlayedDestination::AwaitTold(std::size_t transactions) const {
  Await("a transaction", [&] { return told_.size() >= transactions; });
}

void PlayedDestination::AwaitAnswered(std::size_t count) const {
  Await("an answer that was had", [&] { return answered_ >= count; });
}

void PlayedDestination::AwaitFirstTold(const NameOf& name_of, std::size_t count) const {
  for (std::size_t transactions = 1; FirstTold(name_of).size() < count; ++transactions) AwaitTold(transactions);
}

void PlayedDestination::Await(std::string_view what, const std::function<bool()>& holds) const {
  std::unique_lock lock(mutex_);
  Must(fmt::format("{} at {}", what, name_), changed_.wait_for(lock, kPatience, holds));
}

void PlayedDestination::Accept() {
  sigset_t broken_pipe;
  sigemptyset(&broken_pipe);
  sigaddset(&broken_pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &broken_pipe, nullptr);  // OpenSSL writes to clients that have gone
  for (;;) {
    const int connection = accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) return;
    const timeval patience{20, 0};  // with a client that stops in between: the test must end
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    const std::lock_guard lock(mutex_);
    conversations_.emplace_back([this, connection] { Serve(connection); });
  }
}

void PlayedDestination::Serve(int connection) {
  Manners manners;
  {
    const std::lock_guard lock(mutex_);
    ++connections_;
    manners = manners_;
    changed_.notify_all();
  }
  if (manners == Manners::kSilent) {
    StaySilent(connection);
  } else {
    SSL* tls = SSL_new(manners == Manners::kUnbelievable ? unbelievable_ : believable_);
    SSL_set_fd(tls, connection);
    if (SSL_accept(tls) == 1) Converse(tls, connection, manners);
    SSL_free(tls);
  }
  close(connection);
}

void PlayedDestination::StaySilent(int connection) const {
  std::array<pollfd, 2> events{{{connection, POLLRDHUP, 0}, {ending_[0], 0, 0}}};
  poll(events.data(), events.size(), -1);
}

http::Response PlayedDestination::NextAnswer() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !held_ || ended_; });
  return answer_;
}

void PlayedDestination::Converse(ssl_st* tls, int connection, Manners manners) {
  http::Request request = ReadRequest(tls);
  if (request.method.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    told_.push_back({std::move(request), absl::Now()});
    changed_.notify_all();
  }
  std::string text = TextOf(NextAnswer());
  if (manners == Manners::kResets) text.resize(text.size() / 2);
  SSL_write(tls, text.data(), static_cast<int>(text.size()));
  if (manners == Manners::kResets) return ResetOnClose(connection);
  SSL_shutdown(tls);
  char more = 0;
  if (SSL_read(tls, &more, 1) > 0) return;
  const std::lock_guard lock(mutex_);
  ++answered_;
  changed_.notify_all();
}

}  // namespace postern::flow
