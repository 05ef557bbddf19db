#include <algorithm>
#include <limits>
#include <queue>
#include <tuple>

#include "matrix/auth_events.h"
#include "matrix/resolution_algorithms.h"

namespace postern::matrix {
namespace {

/// Without the auth difference.
Conflict Split(const std::vector<EventState>& states) {
  std::map<StateKey, std::pair<EventSet, std::size_t>> values;  // with how many states have the key
  for (const EventState& state : states) {
    for (const auto& [key, event] : state) {
      auto& [events, count] = values[key];
      events.insert(event);
      ++count;
    }
  }
  Conflict conflict;
  for (const auto& [key, value] : values) {
    const auto& [events, count] = value;
    if (events.size() == 1 && count == states.size()) {
      conflict.unconflicted.emplace(key, *events.begin());
    } else {
      conflict.conflicted.insert(events.begin(), events.end());
    }
  }
  return conflict;
}

/// The events that are in some state's auth chain, but not in every one's.
EventSet AuthDifference(const std::vector<EventState>& states, ResolutionGraph& graph) {
  std::map<const Event*, std::size_t, ByEventId> in_chains;
  for (const EventState& state : states) {
    EventSet events;
    for (const auto& [key, event] : state) events.insert(event);
    for (const Event* event : graph.AuthChainOf(events)) ++in_chains[event];
  }
  EventSet difference;
  for (const auto& [event, count] : in_chains) {
    if (count < states.size()) difference.insert(event);
  }
  return difference;
}

/// Every event on a path of auth events from one conflicted event to another: reached from one, and reaching one.
EventSet ConflictedSubgraph(const EventSet& conflicted, ResolutionGraph& graph) {
  const EventSet below = graph.AuthChainOf(conflicted);
  std::map<const Event*, std::vector<const Event*>, ByEventId> cited_by;
  const auto note = [&](const Event* event) {
    for (const Event* auth : graph.AuthEventsOf(*event)) cited_by[auth].push_back(event);
  };
  std::ranges::for_each(below, note);
  for (const Event* event : conflicted) {
    if (!below.contains(event)) note(event);
  }
  EventSet reaching;
  std::vector<const Event*> pending(conflicted.begin(), conflicted.end());
  while (!pending.empty()) {
    const Event* next = pending.back();
    pending.pop_back();
    for (const Event* event : cited_by[next]) {
      if (reaching.insert(event).second) pending.push_back(event);
    }
  }
  EventSet subgraph;
  std::ranges::set_intersection(below, reaching, std::inserter(subgraph, subgraph.end()), ByEventId());
  return subgraph;
}

bool IsPowerEvent(const Event& event) {
  if (!event.is_state()) return false;
  if (event.type() == "m.room.power_levels" || event.type() == "m.room.join_rules") return true;
  return event.type() == "m.room.member" && (event.membership() == "leave" || event.membership() == "ban") &&
         event.sender() != *event.state_key();
}

/// The power events of the full conflicted set, and what of their auth chains belongs to it.
EventSet PowerEventsWithChains(const EventSet& full_conflicted, ResolutionGraph& graph) {
  EventSet power;
  for (const Event* event : full_conflicted) {
    if (IsPowerEvent(*event)) power.insert(event);
  }
  for (const Event* event : graph.AuthChainOf(power)) {
    if (full_conflicted.contains(event)) power.insert(event);
  }
  return power;
}

/// The members of `set` that are reached from `event` without passing another member.
EventSet NearestIn(const EventSet& set, const Event& event, ResolutionGraph& graph) {
  EventSet nearest;
  EventSet seen;
  std::vector<const Event*> pending{&event};
  while (!pending.empty()) {
    const Event& next = *pending.back();
    pending.pop_back();
    for (const Event* auth : graph.AuthEventsOf(next)) {
      if (!seen.insert(auth).second) continue;
      if (set.contains(auth)) {
        nearest.insert(auth);
      } else {
        pending.push_back(auth);
      }
    }
  }
  return nearest;
}

/// Kahn's algorithm, always taking the least candidate: the greatest sender's level, the earliest, the least id.
std::vector<const Event*> ReverseTopologicalPowerOrder(const EventSet& events, ResolutionGraph& graph) {
  struct Candidate {
    std::int64_t level;
    const Event* event;
    bool operator<(const Candidate& other) const {  // the queue yields the greatest: who comes first is greater
      return std::forward_as_tuple(-other.Rank(), other.event->origin_server_ts(), other.event->event_id()) <
             std::forward_as_tuple(-Rank(), event->origin_server_ts(), event->event_id());
    }
    // Never the least int64, which has no negative.
    std::int64_t Rank() const { return std::max(level, -std::numeric_limits<std::int64_t>::max()); }
  };
  std::map<const Event*, std::size_t, ByEventId> waits_for;
  std::map<const Event*, std::vector<const Event*>, ByEventId> followers;
  std::priority_queue<Candidate> ready;
  for (const Event* event : events) {
    const EventSet before = NearestIn(events, *event, graph);
    waits_for[event] = before.size();
    for (const Event* earlier : before) followers[earlier].push_back(event);
    if (before.empty()) ready.push({graph.SenderLevel(*event), event});
  }
  std::vector<const Event*> order;
  while (!ready.empty()) {
    const Event* next = ready.top().event;
    ready.pop();
    order.push_back(next);
    for (const Event* follower : followers[next]) {
      if (--waits_for[follower] == 0) ready.push({graph.SenderLevel(*follower), follower});
    }
  }
  return order;
}

const Event* PowerLevelsCitedBy(const Event& event, ResolutionGraph& graph) {
  for (const Event* auth : graph.AuthEventsOf(event)) {
    if (auth->is_state() && auth->type() == "m.room.power_levels" && auth->state_key()->empty()) return auth;
  }
  return nullptr;
}

/// By how far back in the line of power levels that leads to `levels` (nullptr: there are none) each event stands; the
/// farthest first.
std::vector<const Event*> MainlineOrder(const EventSet& events, const Event* levels, ResolutionGraph& graph) {
  std::map<const Event*, std::int64_t, ByEventId> mainline;
  for (const Event* p = levels; p && !mainline.contains(p); p = PowerLevelsCitedBy(*p, graph)) {
    mainline.emplace(p, static_cast<std::int64_t>(mainline.size()));
  }
  std::vector<std::pair<std::int64_t, const Event*>> placed;
  for (const Event* event : events) {
    EventSet seen;  // versions 1-2 do not rule out a circle
    const Event* p = PowerLevelsCitedBy(*event, graph);
    while (p && !mainline.contains(p) && seen.insert(p).second) p = PowerLevelsCitedBy(*p, graph);
    const auto position = p ? mainline.find(p) : mainline.end();
    placed.emplace_back(position == mainline.end() ? std::numeric_limits<std::int64_t>::max() : position->second,
                        event);
  }
  std::ranges::sort(placed, [](const auto& a, const auto& b) {
    if (a.first != b.first) return a.first > b.first;
    return std::forward_as_tuple(a.second->origin_server_ts(), a.second->event_id()) <
           std::forward_as_tuple(b.second->origin_server_ts(), b.second->event_id());
  });
  std::vector<const Event*> order;
  for (const auto& [position, event] : placed) order.push_back(event);
  return order;
}

/// What the rules see when `event` is checked: the resolved state, and where it has nothing the event's own auth
/// events.
RoomState StateFor(const Event& event, const EventState& resolved, ResolutionGraph& graph) {
  RoomState state;
  if (const Event* create = graph.CreateOf(event)) state.Set(*create);
  for (const Event* auth : graph.AuthEventsOf(event)) {
    if (auth->is_state() && !graph.IsRejected(*auth)) state.Set(*auth);
  }
  for (const StateKey& key : SelectAuthEvents(event)) {
    const auto entry = resolved.find(key);
    if (entry != resolved.end()) state.Set(*entry->second);
  }
  return state;
}

void IterativeAuthChecks(const std::vector<const Event*>& order, EventState& resolved, ResolutionGraph& graph) {
  for (const Event* event : order) {
    if (!event->is_state() || !graph.Sees({event->type(), *event->state_key()})) continue;
    if (graph.Allows(*event, StateFor(*event, resolved, graph))) {
      resolved.insert_or_assign(StateKey{event->type(), *event->state_key()}, event);
    }
  }
}

}  // namespace

Conflict ConflictBetween(const std::vector<EventState>& states, ResolutionGraph& graph) {
  Conflict conflict = Split(states);
  if (!conflict.conflicted.empty()) conflict.auth_difference = AuthDifference(states, graph);
  return conflict;
}

EventState ResolveByPower(const Conflict& conflict, ResolutionGraph& graph, bool from_nothing) {
  if (conflict.conflicted.empty()) return conflict.unconflicted;
  EventSet full_conflicted = conflict.auth_difference;
  full_conflicted.insert(conflict.conflicted.begin(), conflict.conflicted.end());
  if (from_nothing) full_conflicted.merge(ConflictedSubgraph(conflict.conflicted, graph));

  const EventSet power = PowerEventsWithChains(full_conflicted, graph);
  EventState resolved = from_nothing ? EventState() : conflict.unconflicted;
  IterativeAuthChecks(ReverseTopologicalPowerOrder(power, graph), resolved, graph);

  EventSet rest;
  std::ranges::set_difference(full_conflicted, power, std::inserter(rest, rest.end()), ByEventId());
  const auto levels = resolved.find(StateKey{"m.room.power_levels", ""});
  IterativeAuthChecks(MainlineOrder(rest, levels == resolved.end() ? nullptr : levels->second, graph), resolved, graph);
  for (const auto& [key, event] : conflict.unconflicted) resolved.insert_or_assign(key, event);
  return resolved;
}

}  // namespace postern::matrix
