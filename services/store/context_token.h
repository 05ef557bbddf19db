// What PersistEvent needs to know of the moment a context was read. Opaque to everybody else.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace postern::store {

/// How the state before the event and the current one hang together; see JudgingContext in
/// proto/postern/matrix/v1/judging.proto.
struct Branching {
  bool extends_all_extremities = false;
  bool states_diverge = false;
};

struct ContextToken {
  std::string room_id;
  /// The ordering of the newest event that the room had accepted.
  std::int64_t ordering = 0;
  /// The state group before the event, or, where its branches were given for it to be resolved, their base. nullopt
  /// where neither is known.
  std::optional<std::int64_t> before;
  /// The state before the event is put together from those after its prev events.
  bool merged = false;
  /// The newest event that led to the state before and does not commute; nullopt where there is none in common.
  std::optional<std::int64_t> fixed;
  /// The state group of the current state.
  std::int64_t now = 0;
  /// None of the event's prev events was soft-failed. False too in a token of a store that did not tell.
  bool no_soft_failed_prev = false;
  /// Kept with the verdict, for replay. nullopt in a token of a store that did not tell.
  std::optional<Branching> branching = {};
  /// Where branches were given, the room's forward extremities: kept too.
  std::vector<std::string> extremities = {};
};

std::string EncodeToken(const ContextToken& token);

/// Refuses: kInvalidArgument, for what EncodeToken did not make, and for a token of another room.
absl::StatusOr<ContextToken> DecodeToken(std::string_view bytes, std::string_view room_id);

}  // namespace postern::store
