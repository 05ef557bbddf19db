// The two algorithms, on states whose events have been looked up.
#pragma once

#include <map>
#include <vector>

#include "matrix/resolution_graph.h"

namespace postern::matrix {

using EventState = std::map<StateKey, const Event*>;

/// Every value that a key has in some state.
using EventValues = std::map<StateKey, EventSet>;

/// Version 1. A key with one value is not in dispute, whether or not every state has it.
EventState ResolveByDepth(const EventValues& values, ResolutionGraph& graph);

/// What version 2 starts from: what all states agree on, every event of a key on which they do not, and the events that
/// are in some state's auth chain but not in every one's.
struct Conflict {
  EventState unconflicted;
  EventSet conflicted;
  EventSet auth_difference;
};
Conflict ConflictBetween(const std::vector<EventState>& states, ResolutionGraph& graph);

/// Version 2, and with `from_nothing` version 2.1: the auth checks start from an empty state, and what lies between
/// conflicting events is looked at too.
EventState ResolveByPower(const Conflict& conflict, ResolutionGraph& graph, bool from_nothing);

}  // namespace postern::matrix
