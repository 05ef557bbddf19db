#include "matrix/identifiers.h"

#include "fmt/format.h"
#include "matrix/base64.h"
#include "matrix/refusal.h"

namespace postern::matrix {
namespace {

constexpr std::size_t kSha256Bytes = 32;

bool IsBounded(std::string_view text, char sigil) {
  return text.size() > 1 && text.size() <= kMaxIdentifierBytes && text.front() == sigil &&
         text.find('\0') == std::string_view::npos;
}

}  // namespace

absl::StatusOr<UserId> UserId::Parse(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (!IsBounded(text, '@') || colon == std::string_view::npos) {
    return Refuse(Reason::kInvalidArgument, "a user id is '@', a localpart, ':' and a server name, 255 bytes at most");
  }
  auto server = ServerName::Parse(text.substr(colon + 1));
  if (!server.ok()) return server.status();
  return UserId(std::string(text), *std::move(server));
}

std::string_view UserId::localpart() const { return std::string_view(text_).substr(1, text_.find(':') - 1); }

std::string_view DomainOf(std::string_view id) {
  const std::size_t colon = id.find(':');
  return colon == std::string_view::npos ? std::string_view() : id.substr(colon + 1);
}

bool IsRoomId(std::string_view text) {
  if (!IsBounded(text, '!')) return false;
  const std::size_t colon = text.find(':');
  if (colon != std::string_view::npos) return ServerName::Parse(text.substr(colon + 1)).ok();
  const auto hash = DecodeUrlSafeBase64(text.substr(1));
  return hash && hash->size() == kSha256Bytes;
}

bool IsEventId(std::string_view text) { return IsBounded(text, '$'); }

bool IsRoomAlias(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (!IsBounded(text, '#') || colon == std::string_view::npos || colon == 1) return false;
  return ServerName::Parse(text.substr(colon + 1)).ok();
}

bool IsUserId(std::string_view text) { return UserId::Parse(text).ok(); }

}  // namespace postern::matrix
