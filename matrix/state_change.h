// What an accepted event changes in the room's state, and whether that change can be taken by itself.
#pragma once

#include <vector>

#include "matrix/auth_rules.h"
#include "matrix/event.h"

namespace postern::matrix {

/// Every key of the state that CheckAuthRules reads for `event`, sorted.
std::vector<StateKey> ReadSetOf(const Event& event);

/// Whether adding {its own key → `event`} to the current state equals the whole state resolution, whatever other such
/// events land first. True only for a user's own leave, when it is ordered after the value that its key has now, under
/// that version's resolution, and nothing else that it reads is in dispute:
///   - the state before it and the current state agree on its whole read set;
///   - it cites the room's present power levels (or there are none) and the membership that it ends;
///   - version 1: its depth is greater than that membership's; from 2: its origin_server_ts, then its id.
/// tests/matrix/commutes_property_test.cc proves it against the resolution itself. What it cannot see is whether the
/// two states agree elsewhere: the caller asks only where they differ by other commuting events alone.
bool Commutes(const Event& event, const RoomState& before, const RoomState& now);

}  // namespace postern::matrix
