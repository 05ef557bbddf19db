// The two algorithms, on states whose events have been looked up.
#pragma once

#include <map>
#include <vector>

#include "matrix/resolution_graph.h"

namespace postern::matrix {

using EventState = std::map<StateKey, const Event*>;

/// Version 1.
EventState ResolveByDepth(const std::vector<EventState>& states, ResolutionGraph& graph);

/// Version 2, and with `from_nothing` version 2.1: the auth checks start from an empty state, and what lies between
/// conflicting events is looked at too.
EventState ResolveByPower(const std::vector<EventState>& states, ResolutionGraph& graph, bool from_nothing);

}  // namespace postern::matrix
