#include "services/gateway/fetched_graph.h"

#include <algorithm>
#include <utility>

#include "matrix/canonical_json.h"

namespace postern::gateway {

using matrix::Event;
using matrix::Json;

FetchedGraph::FetchedGraph(const IncomingEvent& tip, const matrix::RoomRules& rules) : tip_(tip), rules_(rules) {
  Name(tip.prev_events);
}

void FetchedGraph::Name(const std::vector<std::string>& ids) {
  for (const std::string& id : ids) {
    if (!by_id_.contains(id)) named_.insert(id);
  }
}

void FetchedGraph::Add(matrix::JsonArray answer) {
  for (Json& json : answer) {
    if (json.AsObject() == nullptr) continue;
    json.AsObject()->Erase("unsigned");
    auto event = Event::FromJson(std::move(json), rules_);
    if (!event.ok() || event->room_id() != tip_.room_id || event->event_id() == tip_.event_id) continue;
    std::string id = event->event_id();
    const auto [place, is_new] = by_id_.try_emplace(std::move(id), *std::move(event));
    if (!is_new) continue;
    bytes_ += matrix::CanonicalJson(place->second.json()).size();
    named_.erase(place->first);
    Name(place->second.prev_events());
  }
}

std::vector<std::string> FetchedGraph::TakeNamed() {
  std::vector<std::string> taken;
  // Fetched ones too: what is known already needs nothing before it.
  for (const auto& [id, event] : by_id_) {
    if (looked_up_.insert(id).second) taken.push_back(id);
  }
  for (const std::string& id : named_) {
    if (looked_up_.insert(id).second) taken.push_back(id);
  }
  return taken;
}

std::set<std::string> FetchedGraph::Reached(Reach& reach) const {
  std::set<std::string> reached;
  std::vector<std::string> open;
  const auto follow = [&](const std::string& from, const std::vector<std::string>& prev_events) {
    bool complete = true;
    for (const std::string& id : prev_events) {
      if (known_.contains(id)) continue;
      if (!by_id_.contains(id)) {
        complete = false;
      } else if (reached.insert(id).second) {
        open.push_back(id);
      }
    }
    if (!complete) reach.edges.push_back(from);
  };
  follow(tip_.event_id, tip_.prev_events);
  while (!open.empty()) {
    const std::string id = std::move(open.back());
    open.pop_back();
    const Event& event = by_id_.at(id);
    reach.dead_end = reach.dead_end || event.prev_events().empty();
    follow(id, event.prev_events());
  }
  reach.events = reached.size();
  return reached;
}

FetchedGraph::Reach FetchedGraph::Look() const {
  Reach reach;
  Reached(reach);
  return reach;
}

std::vector<const Event*> FetchedGraph::InOrder() const {
  Reach reach;
  std::set<std::string> left = Reached(reach);
  std::vector<const Event*> ordered;
  for (bool placed = true; placed;) {  // at most as many rounds as events, of which there are some hundreds
    placed = false;
    for (auto id = left.begin(); id != left.end();) {
      const Event& event = by_id_.at(*id);
      const bool ready =
          std::ranges::none_of(event.prev_events(), [&](const std::string& prev) { return left.contains(prev); });
      if (ready) {
        ordered.push_back(&event);
        id = left.erase(id);
        placed = true;
      } else {
        ++id;
      }
    }
  }
  if (!left.empty()) return {};
  return ordered;
}

}  // namespace postern::gateway
