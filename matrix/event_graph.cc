#include "matrix/event_graph.h"

#include <algorithm>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "fmt/format.h"

namespace postern::matrix {
namespace {

bool Cites(const Event& event, const std::string& event_id) {
  return std::ranges::find(event.auth_events(), event_id) != event.auth_events().end() ||
         std::ranges::find(event.prev_events(), event_id) != event.prev_events().end();
}

/// The given event by which `event` is reached again from what it cites, or nullptr.
const Event* FindCycle(const Event& event, const std::vector<const Event*>& given) {
  absl::flat_hash_map<std::string, const Event*> by_id;
  for (const Event* known : given) by_id.try_emplace(known->event_id(), known);
  absl::flat_hash_set<std::string> seen;
  std::vector<const Event*> pending{&event};
  while (!pending.empty()) {
    const Event& next = *pending.back();
    pending.pop_back();
    if (&next != &event && Cites(next, event.event_id())) return &next;
    for (const auto* ids : {&next.auth_events(), &next.prev_events()}) {
      for (const std::string& id : *ids) {
        const auto known = by_id.find(id);
        if (known != by_id.end() && seen.insert(id).second) pending.push_back(known->second);
      }
    }
  }
  return nullptr;
}

}  // namespace

GraphResult CheckGraph(const Event& event, const std::vector<Cited>& prev_events, const std::vector<Cited>& auth_events,
                       const std::vector<const Event*>& given) {
  if (Cites(event, event.event_id())) return {Reason::kBadAuthEvents, "the event cites itself"};
  if (prev_events.empty() && event.type() != "m.room.create") {
    return {Reason::kBadAuthEvents, "the event names no prev_events"};
  }
  for (const Cited& cited : prev_events) {
    if (!cited.known) return {Reason::kUnknownEvents, fmt::format("prev event {} is not known", cited.event_id)};
  }
  for (const Cited& cited : auth_events) {
    if (!cited.known) return {Reason::kUnknownEvents, fmt::format("auth event {} is not known", cited.event_id)};
  }
  if (const Event* other = FindCycle(event, given)) {
    return {Reason::kBadAuthEvents, fmt::format("{}, which the event rests on, cites it", other->event_id())};
  }
  return {};
}

}  // namespace postern::matrix
