// The auth rules for m.room.power_levels events.
#pragma once

#include "matrix/auth_rules.h"
#include "matrix/power_levels.h"

namespace postern::matrix {

/// All rules below "If type is m.room.power_levels". `state` has a create event, `levels` are those of `state`.
RuleResult CheckPowerLevelRules(const Event& event, const RoomState& state, const PowerLevels& levels);

}  // namespace postern::matrix
