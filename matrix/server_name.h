// Server names (appendices, "Server name"): a host name, an IPv4 literal or a bracketed IPv6 literal, with an optional
// port.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace postern::matrix {

/// At most 255 bytes, grammar as in the appendices. Compared byte for byte.
class ServerName {
 public:
  /// Refuses: kInvalidArgument.
  static absl::StatusOr<ServerName> Parse(std::string_view text);

  const std::string& text() const { return text_; }
  /// Without the port; an IPv6 literal without its brackets.
  std::string_view host() const;
  /// Without the port; an IPv6 literal with its brackets.
  std::string_view host_as_written() const;
  std::optional<std::uint16_t> port() const { return port_; }
  bool IsIpLiteral() const;

  bool operator==(const ServerName& other) const { return text_ == other.text_; }

 private:
  ServerName(std::string text, std::size_t host_length, std::optional<std::uint16_t> port)
      : text_(std::move(text)), host_length_(host_length), port_(port) {}

  std::string text_;
  std::size_t host_length_;  // with brackets
  std::optional<std::uint16_t> port_;
};

}  // namespace postern::matrix
