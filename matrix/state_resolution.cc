#include "matrix/state_resolution.h"

#include <utility>

#include "matrix/refusal.h"
#include "matrix/resolution_algorithms.h"

namespace postern::matrix {
namespace {

EventState LookUp(const StateMap& state, ResolutionGraph& graph) {
  EventState found;
  for (const auto& [key, event_id] : state) {
    if (const Event* event = graph.Find(event_id)) found.emplace(key, event);
  }
  return found;
}

EventValues ValuesIn(const std::vector<EventState>& states) {
  EventValues values;
  for (const EventState& state : states) {
    for (const auto& [key, event] : state) values[key].insert(event);
  }
  return values;
}

EventState Resolve(const std::vector<EventState>& states, const RoomRules& rules, ResolutionGraph& graph) {
  if (rules.state_resolution == StateResolution::kV1) return ResolveByDepth(ValuesIn(states), graph);
  return ResolveByPower(ConflictBetween(states, graph), graph, rules.state_resolution == StateResolution::kV2_1);
}

}  // namespace

absl::StatusOr<StateMap> ResolveState(const std::vector<StateMap>& states, const ResolutionEvents& events,
                                      const RoomRules& rules, std::size_t budget) {
  ResolutionGraph graph(events, budget);
  std::vector<EventState> looked_up;
  for (const StateMap& state : states) looked_up.push_back(LookUp(state, graph));
  if (!graph.trouble().ok()) return graph.trouble();
  const EventState resolved = Resolve(looked_up, rules, graph);
  if (!graph.trouble().ok()) return graph.trouble();
  StateMap result;
  for (const auto& [key, event] : resolved) result.emplace(key, event->event_id());
  return result;
}

}  // namespace postern::matrix
