// State resolution: what the state of a room is where the branches of its graph disagree (room version 1, "State
// resolution"; version 2; and version 12, which changes where the second algorithm starts and what it looks at).
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "matrix/event.h"
#include "matrix/room_rules.h"

namespace postern::matrix {

/// A state by event ids.
using StateMap = std::map<StateKey, std::string>;

/// The events that a resolution walks: those of the states and of their auth chains. Owned elsewhere.
class ResolutionEvents {
 public:
  /// A rejected event stands for nothing in the auth checks.
  void Add(const Event& event, bool rejected = false) { events_[event.event_id()] = {&event, rejected}; }
  /// nullptr if there is none.
  const Event* Find(const std::string& event_id) const {
    const auto found = events_.find(event_id);
    return found == events_.end() ? nullptr : found->second.event;
  }
  bool IsRejected(const std::string& event_id) const {
    const auto found = events_.find(event_id);
    return found != events_.end() && found->second.rejected;
  }

 private:
  struct Entry {
    const Event* event;
    bool rejected;
  };
  std::map<std::string, Entry, std::less<>> events_;
};

/// How much work one resolution may take, in events visited and rules checked. Not in time: the same room gives the
/// same answer on any machine.
inline constexpr std::size_t kResolutionBudget = 1'000'000;

/// The resolution of `states` by the algorithm of the room's version. Pure and iterative. The answer does not depend on
/// the order of `states`.
///
/// Refuses: kInvalidArgument where a state or an auth chain names an event that is not in `events`; kStateUnresolved
/// where `budget` is spent.
absl::StatusOr<StateMap> ResolveState(const std::vector<StateMap>& states, const ResolutionEvents& events,
                                      const RoomRules& rules, std::size_t budget = kResolutionBudget);

/// A fork, cut down to what its resolution can depend on. An empty event id says that there is no such entry.
///
/// What is left out are the keys on which all branches have the same value, unless a rule may read them. The auth
/// chains of those entries are left out too: `reached` says what would be found in them.
struct ForkedState {
  /// Every key on which two branches may differ, with its value in the state that they are told from.
  StateMap base;
  /// Each branch: the entries in which it differs from `base`. A key that `base` lacks has no entry there.
  std::vector<StateMap> branches;
  /// Keys beside those, on which all branches agree.
  StateMap agreed;
  /// Of events in the auth chains of the values above: whether an entry that all branches have, of a key that `base`
  /// and the branches do not name, has it in its auth chain. What is not here is not known.
  std::map<std::string, bool, std::less<>> reached;
};

/// What ResolveState says of the whole states, for each key of `base` and the branches; empty where it gives the key no
/// entry. Rarely a key besides, of which no branch has an entry. A key that is not in the answer has what all branches
/// have. `events` holds the entries above, and the whole auth chains of those of the base, the branches, and the agreed
/// power levels. Pure, iterative, and independent of the order of the branches.
///
/// Refuses: kInvalidArgument where an event is not in `events`; kStateUnresolved where `budget` is spent, and where the
/// answer hangs on a key or an auth chain that is not told.
absl::StatusOr<StateMap> ResolveFork(const ForkedState& fork, const ResolutionEvents& events, const RoomRules& rules,
                                     std::size_t budget = kResolutionBudget);

}  // namespace postern::matrix
