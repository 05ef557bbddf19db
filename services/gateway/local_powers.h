// Which users of this server a room's power levels put first.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "matrix/room_rules.h"
#include "postern/matrix/v1/judging.pb.h"

namespace postern::gateway {

/// Users of `server` whom the create event or the power levels of the current state name, the most powerful first;
/// 1,000 at most. Whether they are in the room is not looked at. `room` has both events, where they exist. Refuses:
/// kInternal where they cannot be read.
absl::StatusOr<std::vector<std::string>> LocalUsersByPower(const matrix::v1::JudgingContext& room,
                                                           const matrix::RoomRules& rules, const std::string& server);

}  // namespace postern::gateway
