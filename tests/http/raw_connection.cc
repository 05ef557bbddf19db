#include "tests/http/raw_connection.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>

namespace postern::http {

RawConnection::RawConnection(int port, std::chrono::milliseconds patience)
    : patience_(patience), socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) was_reset_ = true;
  const int on = 1;
  ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

RawConnection::~RawConnection() { ::close(socket_); }

bool RawConnection::Send(std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

void RawConnection::EndSending() { ::shutdown(socket_, SHUT_WR); }

RawAnswer RawConnection::Receive(bool to_head) {
  std::size_t end = received_.find("\r\n\r\n");
  while (end == std::string::npos) {
    if (!ReadMore()) return {};
    end = received_.find("\r\n\r\n");
  }
  RawAnswer answer;
  answer.head = received_.substr(0, end + 2);
  answer.status = std::atoi(answer.head.c_str() + std::string_view("HTTP/1.1 ").size());
  const std::size_t at = answer.head.find("Content-Length: ");
  const std::size_t length =
      at == std::string::npos || to_head ? 0 : std::strtoul(answer.head.c_str() + at + 16, nullptr, 10);
  while (received_.size() < end + 4 + length) {
    if (!ReadMore()) return {};
  }
  answer.body = received_.substr(end + 4, length);
  received_.erase(0, end + 4 + length);
  return answer;
}

bool RawConnection::IsClosedByPeer() {
  const bool more = ReadMore();
  return !more && !was_reset_ && received_.empty();
}

std::string RawConnection::ReadUntil(std::string_view end) {
  std::size_t at = received_.find(end);
  while (at == std::string::npos && ReadMore()) at = received_.find(end);
  std::string read = received_.substr(0, at == std::string::npos ? at : at + end.size());
  received_.erase(0, read.size());
  return read;
}

std::size_t RawConnection::SkipAll(std::string& last) {
  constexpr std::size_t kKept = 100;
  std::size_t skipped = 0;
  do {
    if (received_.size() <= kKept) continue;
    skipped += received_.size() - kKept;
    received_.erase(0, received_.size() - kKept);
  } while (ReadMore());
  last = received_;
  received_.clear();
  return skipped + last.size();
}

std::string RawConnection::ReceiveAll() {
  while (ReadMore()) {
  }
  return received_;
}

bool RawConnection::ReadMore() {
  pollfd waiting{socket_, POLLIN, 0};
  if (was_reset_ || ::poll(&waiting, 1, static_cast<int>(patience_.count())) != 1) {
    was_reset_ = true;
    return false;
  }
  std::array<char, 16384> bytes;
  const ssize_t size = ::recv(socket_, bytes.data(), bytes.size(), 0);
  if (size < 0) was_reset_ = true;
  if (size <= 0) return false;
  received_.append(bytes.data(), static_cast<std::size_t>(size));
  return true;
}

}  // namespace postern::http
