#include "matrix/server_name.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <arpa/inet.h>

#include "fmt/format.h"
#include "matrix/refusal.h"

namespace postern::matrix {
namespace {

constexpr std::size_t kMaxServerNameBytes = 255;

bool IsDigit(char c) { return '0' <= c && c <= '9'; }
bool IsHostCharacter(char c) {
  return IsDigit(c) || ('a' <= c && c <= 'z') || ('A' <= c && c <= 'Z') || c == '-' || c == '.';
}

bool IsIpv6(std::string_view text) {
  std::array<unsigned char, 16> address;
  return text.size() <= 45 && text.find('\0') == std::string_view::npos &&
         inet_pton(AF_INET6, std::string(text).c_str(), address.data()) == 1;
}

bool IsIpv4(std::string_view text) {
  std::array<unsigned char, 4> address;
  return text.size() <= 15 && text.find('\0') == std::string_view::npos &&
         inet_pton(AF_INET, std::string(text).c_str(), address.data()) == 1;
}

/// How many bytes of `text` are the host, brackets included; 0 if it does not begin with one.
std::size_t HostLength(std::string_view text) {
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    return close != std::string_view::npos && IsIpv6(text.substr(1, close - 1)) ? close + 1 : 0;
  }
  return static_cast<std::size_t>(std::ranges::find_if_not(text, IsHostCharacter) - text.begin());
}

std::optional<std::uint16_t> ReadPort(std::string_view text) {
  std::uint16_t port = 0;
  if (text.empty() || text.size() > 5 || !std::ranges::all_of(text, IsDigit)) return std::nullopt;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), port);
  return problem == std::errc() && end == text.data() + text.size() ? std::optional(port) : std::nullopt;
}

absl::Status Malformed(std::string_view text) {
  return Refuse(Reason::kInvalidArgument,
                fmt::format("'{}' is no server name", text.substr(0, std::min<std::size_t>(text.size(), 64))));
}

}  // namespace

absl::StatusOr<ServerName> ServerName::Parse(std::string_view text) {
  const std::size_t host = text.size() <= kMaxServerNameBytes ? HostLength(text) : 0;
  if (host == 0) return Malformed(text);
  std::optional<std::uint16_t> port;
  if (host < text.size()) {
    if (text[host] != ':') return Malformed(text);
    port = ReadPort(text.substr(host + 1));
    if (!port) return Malformed(text);
  }
  return ServerName(std::string(text), host, port);
}

std::string_view ServerName::host_as_written() const { return std::string_view(text_).substr(0, host_length_); }

std::string_view ServerName::host() const {
  const std::string_view host = host_as_written();
  return host.starts_with('[') ? host.substr(1, host.size() - 2) : host;
}

bool ServerName::IsIpLiteral() const { return text_.starts_with('[') || IsIpv4(host()); }

}  // namespace postern::matrix
