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

}  // namespace postern::matrix
