// The auth rules for m.room.member events.
#pragma once

#include <string_view>

#include "matrix/auth_rules.h"
#include "matrix/power_levels.h"

namespace postern::matrix {

/// The membership of `user` in `state`: "join", "invite", …; "" for who has none.
std::string_view MembershipIn(const RoomState& state, std::string_view user);

/// All rules below "If type is m.room.member". `state` has a create event.
RuleResult CheckMemberRules(const Event& event, const RoomState& state, const PowerLevels& levels);

}  // namespace postern::matrix
