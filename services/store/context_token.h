// What PersistEvent needs to know of the moment a context was read. Opaque to everybody else.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace postern::store {

struct ContextToken {
  std::string room_id;
  /// The ordering of the newest event that the room had accepted.
  std::int64_t ordering = 0;
  /// The state group before the event; nullopt where it is not known.
  std::optional<std::int64_t> before;
  /// The state group of the current state.
  std::int64_t now = 0;
};

std::string EncodeToken(const ContextToken& token);

/// Refuses: kInvalidArgument, for what EncodeToken did not make, and for a token of another room.
absl::StatusOr<ContextToken> DecodeToken(std::string_view bytes, std::string_view room_id);

}  // namespace postern::store
