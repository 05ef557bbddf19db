// The branches that meet at an event: what judging it needs of them where no shortcut tells the state before it, or
// what the current state becomes with it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "matrix/auth_rules.h"
#include "matrix/event.h"
#include "matrix/state_resolution.h"

namespace postern::matrix {

/// One of the states that meet.
struct Branch {
  /// Where it differs from the base; an empty event id: no such entry.
  StateMap changes;
  /// It is the state after one of the event's prev events. Where the state before the event is known it is that, and
  /// the only one.
  bool before = false;
  /// It is the state after a forward extremity that stays one beside the event.
  bool beside = false;
};

/// See Branches in proto/postern/matrix/v1/judging.proto, which this mirrors, and ForkedState.
struct Branches {
  /// There are more keys, branches or events than the store gives: nothing else is set.
  bool too_large = false;
  StateMap base;
  std::vector<Branch> branches;
  /// The current state, as changes of the base.
  StateMap now;
  StateMap agreed;
  std::map<std::string, bool, std::less<>> reached;
  /// Owned elsewhere.
  ResolutionEvents events;
};

/// The state before the event: the resolution over the states after its prev events, as changes of the base.
/// Refuses as ResolveFork does, and kStateUnresolved where the branches are too large.
absl::StatusOr<StateMap> ResolveBefore(const Branches& branches, const RoomRules& rules);

/// The current state once `event` is accepted on `before`, which ResolveBefore has given: the resolution over the state
/// after the event and those of the extremities beside it, as changes of the base. Refuses as ResolveFork does.
absl::StatusOr<StateMap> ResolveWith(const Event& event, const StateMap& before, const Branches& branches,
                                     const RoomRules& rules);

/// The part of the state that is told: `changes` of the base, and what all branches agree on.
/// Refuses: kInvalidArgument where it names an event that is not given.
absl::StatusOr<RoomState> StateOf(const Branches& branches, const StateMap& changes);

/// Where `to` differs from `from`, both changes of the base. An empty event id: no such entry any more.
StateMap ChangesBetween(const Branches& branches, const StateMap& from, const StateMap& to);

}  // namespace postern::matrix
