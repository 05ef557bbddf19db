// Identifiers (appendices, "Common identifier format"): what may stand for a user, a room and an event.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "matrix/server_name.h"

namespace postern::matrix {

inline constexpr std::size_t kMaxIdentifierBytes = 255;

/// `@localpart:server`. Historical localparts (any bytes but NUL and ':') are accepted, as the rooms of other servers
/// hold them. The server name keeps its port and brackets.
class UserId {
 public:
  /// Refuses: kInvalidArgument.
  static absl::StatusOr<UserId> Parse(std::string_view text);
  const std::string& text() const { return text_; }
  std::string_view localpart() const;
  const ServerName& server() const { return server_; }
  bool operator==(const UserId& other) const { return text_ == other.text_; }

 private:
  UserId(std::string text, ServerName server) : text_(std::move(text)), server_(std::move(server)) {}
  std::string text_;
  ServerName server_;
};

/// The part after the first ':' of an id, or "" if there is none; no check of its grammar.
std::string_view DomainOf(std::string_view id);

/// Whether `text` may be a room id: '!' and a localpart, with a server name (versions 1-11) or the unpadded URL-safe
/// base64 of a SHA-256 (version 12); at most 255 bytes.
bool IsRoomId(std::string_view text);

/// Whether `text` may be an event id: '$' and something, at most 255 bytes.
bool IsEventId(std::string_view text);

/// Whether `text` may be a room alias: '#', a localpart, ':' and a server name; at most 255 bytes.
bool IsRoomAlias(std::string_view text);

/// Whether `text` is a user id as the auth rules mean it ("valid user IDs" in power levels and creators).
bool IsUserId(std::string_view text);

}  // namespace postern::matrix
