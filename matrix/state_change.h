// What an accepted event changes in the room's state, and whether that change can be taken by itself.
#pragma once

#include <optional>
#include <vector>

#include "matrix/auth_rules.h"
#include "matrix/event.h"

namespace postern::matrix {

/// Every key of the state that CheckAuthRules reads for `event`, sorted.
std::vector<StateKey> ReadSetOf(const Event& event);

/// What an accepted event does to the current state of its room, beside what came to it on other branches: its own key,
/// if it is a state event, has it from now on.
struct CurrentStateChange {
  /// Adding the change equals the whole state resolution, whatever other such events land first.
  bool commutes = false;
};

/// What the caller knows of the two states, beyond what is in them.
struct Branching {
  /// The event stands on all forward extremities: the state before it is the current one.
  bool extends_all_extremities = false;
  /// The two differ by more than changes that commute.
  bool states_diverge = false;
};

/// nullopt where only the whole resolution can tell: beside other branches, any event that does not commute.
///
/// Where the states do not diverge, an event that is no state event commutes: it changes nothing, wherever it stands.
/// A state event commutes only where it is a user's own leave, ordered after the value that its key has now, and
/// nothing else that it reads is in dispute:
///   - the states do not diverge, and agree on its whole read set;
///   - it cites the room's present power levels (or there are none) and the membership that it ends;
///   - version 1: its depth is greater than that membership's; from 2: its origin_server_ts, then its id.
/// tests/matrix/commutes_property_test.cc proves it against the resolution itself; docs/decisions/0003 says why.
std::optional<CurrentStateChange> CurrentStateChangeOf(const Event& event, const RoomState& before,
                                                       const RoomState& now, const Branching& branching);

}  // namespace postern::matrix
