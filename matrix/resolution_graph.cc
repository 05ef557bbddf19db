#include "matrix/resolution_graph.h"

#include "fmt/format.h"
#include "matrix/auth_events.h"
#include "matrix/power_levels.h"

namespace postern::matrix {

bool ResolutionGraph::Spend() {
  if (!trouble_.ok()) return false;
  if (budget_ == 0) {
    trouble_ = Refuse(Reason::kStateUnresolved, "the resolution takes more work than is allowed");
    return false;
  }
  --budget_;
  return true;
}

const Event* ResolutionGraph::Find(const std::string& event_id) {
  if (!Spend()) return nullptr;
  const Event* event = events_.Find(event_id);
  if (!event)
    trouble_ = Refuse(Reason::kInvalidArgument, fmt::format("event {} of an auth chain is not given", event_id));
  return event;
}

std::vector<const Event*> ResolutionGraph::AuthEventsOf(const Event& event) {
  std::vector<const Event*> found;
  for (const std::string& id : event.auth_events()) {
    if (const Event* auth = Find(id)) found.push_back(auth);
  }
  return found;
}

EventSet ResolutionGraph::AuthChainOf(const EventSet& from) {
  EventSet chain;
  std::vector<const Event*> pending(from.begin(), from.end());
  while (!pending.empty()) {
    const Event& next = *pending.back();
    pending.pop_back();
    for (const Event* auth : AuthEventsOf(next)) {
      if (chain.insert(auth).second) pending.push_back(auth);
    }
  }
  return chain;
}

const Event* ResolutionGraph::CreateOf(const Event& event) {
  if (event.type() == "m.room.create") return &event;
  if (event.rules().room_id_is_create_hash) return events_.Find("$" + event.room_id().substr(1));
  for (const Event* auth : AuthEventsOf(event)) {
    if (auth->type() == "m.room.create") return auth;
  }
  return nullptr;
}

std::int64_t ResolutionGraph::SenderLevel(const Event& event) {
  RoomState cited;
  if (const Event* create = CreateOf(event)) cited.Set(*create);
  for (const Event* auth : AuthEventsOf(event)) {
    if (auth->is_state()) cited.Set(*auth);
  }
  return PowerLevels(cited).OfUser(event.sender());
}

bool ResolutionGraph::Sees(const StateKey& key) {
  if (!trouble_.ok()) return false;
  if (!seen_keys_ || seen_keys_->contains(key)) return true;
  trouble_ =
      Refuse(Reason::kStateUnresolved, "the resolution reads a key of the state that is not in what is given of it");
  return false;
}

bool ResolutionGraph::Allows(const Event& event, const RoomState& state) {
  for (const StateKey& key : SelectAuthEvents(event)) {
    if (!Sees(key)) return false;
  }
  return Spend() && CheckAuthRules(event, state).allowed();
}

}  // namespace postern::matrix
