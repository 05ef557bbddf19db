// Reads for other servers, in memory.
#include <algorithm>
#include <set>
#include <utility>

#include "matrix/identifiers.h"
#include "matrix/refusal.h"
#include "tests/support/fake_store.h"

namespace postern::support {
namespace {

namespace v1 = store::v1;
using matrix::Reason;
using matrix::Refuse;

constexpr std::size_t kMostChained = 10'000;
constexpr std::size_t kMostChainedBytes = 16 * 1024 * 1024;
constexpr std::size_t kMostIds = 200'000;

absl::Status UnknownRoom() { return Refuse(Reason::kUnknownRoom, "the room is not known here"); }
absl::Status UnknownEvent() { return Refuse(Reason::kUnknownEvent, "the room has no such event"); }
absl::Status TooLarge() { return Refuse(Reason::kAnswerTooLarge, "there is more to tell than is told at once"); }

}  // namespace

const FakeStore::StoredEvent* FakeStore::Accepted(const Room& room, const std::string& event_id) {
  const auto event = room.events.find(event_id);
  const bool accepted = InGraph(room, event_id) && event->second.outcome == matrix::v1::OUTCOME_ACCEPTED;
  return accepted ? &event->second : nullptr;
}

v1::RoomForPeer FakeStore::ForPeer(const std::string& room_id, const Room& room, const std::string& asker) const {
  v1::RoomForPeer answer;
  answer.mutable_room()->set_room_id(room_id);
  answer.mutable_room()->set_room_version(room.version);
  for (const char* type : {"m.room.create", "m.room.server_acl"}) {
    const State& now = room.states[room.now.state];
    const auto entry = now.find({type, ""});
    if (entry == now.end()) continue;
    matrix::v1::StateEntry& told = *answer.mutable_room()->add_state_now();
    told.set_type(type);
    told.set_event_id(entry->second);
    matrix::v1::StoredEvent& event = *answer.mutable_room()->add_events();
    event.set_event_id(entry->second);
    event.set_pdu(room.events.at(entry->second).pdu);
  }
  answer.set_asker_joined(std::ranges::any_of(room.members, [&](const auto& member) {
    return member.second.membership() == "join" && matrix::DomainOf(member.first) == asker;
  }));
  return answer;
}

v1::SeenByPeer FakeStore::SeenBy(const Room& room, const StoredEvent& event, const std::string& asker) const {
  v1::SeenByPeer seen;
  const auto count = [&](const store::EventColumns& columns) {
    if (!columns.member || matrix::DomainOf(*columns.state_key) != asker) return;
    seen.set_asker_joined(seen.asker_joined() || columns.member->membership == "join");
    seen.set_asker_invited(seen.asker_invited() || columns.member->membership == "invite");
  };
  count(event.columns);
  if (!event.state_before) return seen;
  for (const auto& [key, event_id] : room.states[*event.state_before]) {
    const StoredEvent& entry = room.events.at(event_id);
    count(entry.columns);
    if (key == Key{"m.room.history_visibility", ""}) {
      seen.set_history_visibility(store::HistoryVisibilityOf(entry.pdu));
    }
  }
  return seen;
}

std::optional<std::set<std::string>> FakeStore::AuthChain(const Room& room, std::vector<std::string> ids,
                                                          std::size_t most) {
  std::set<std::string> chain;
  while (!ids.empty()) {
    const auto event = room.events.find(ids.back());
    ids.pop_back();
    if (event == room.events.end()) continue;
    for (const std::string& id : event->second.columns.auth_events) {
      if (chain.insert(id).second) ids.push_back(id);
    }
    if (chain.size() > most) return std::nullopt;
  }
  return chain;
}

absl::StatusOr<v1::EventForPeer> FakeStore::GetEventForPeer(const rpc::CallContext&,
                                                            const v1::GetEventForPeerRequest& request) {
  const std::lock_guard lock(mutex_);
  if (!request.room_id().empty() && Find(request.room_id()) == nullptr) return UnknownRoom();
  std::optional<v1::EventForPeer> found;
  for (const auto& [room_id, room] : rooms_) {
    if (!request.room_id().empty() && room_id != request.room_id()) continue;
    const StoredEvent* event = Accepted(room, request.event_id());
    if (event == nullptr) continue;
    v1::EventForPeer answer;
    *answer.mutable_room() = ForPeer(room_id, room, request.asker());
    answer.set_event_id(request.event_id());
    answer.set_pdu(event->pdu);
    *answer.mutable_seen() = SeenBy(room, *event, request.asker());
    const bool better = !found || (answer.room().asker_joined() && !found->room().asker_joined());
    if (better) found = std::move(answer);
  }
  if (!found) return UnknownEvent();
  return *std::move(found);
}

absl::StatusOr<v1::GetMissingEventsResponse> FakeStore::GetMissingEvents(const rpc::CallContext&,
                                                                         const v1::GetMissingEventsRequest& request) {
  if (absl::Status status = store::CheckMissingEventsRequest(request); !status.ok()) return status;
  const std::lock_guard lock(mutex_);
  const Room* room = Find(request.room_id());
  if (room == nullptr) return UnknownRoom();
  std::vector<std::string> front = store::LookedAt(request.latest());
  const std::vector<std::string> earliest = store::LookedAt(request.earliest());
  std::set<std::string> seen(earliest.begin(), earliest.end());
  std::vector<std::string> found;
  while (!front.empty() && found.size() < request.limit()) {
    std::vector<std::string> next;
    for (const std::string& id : front) {
      const StoredEvent* event = Accepted(*room, id);
      if (event == nullptr) continue;
      for (const std::string& prev : event->columns.prev_events) {
        const StoredEvent* before = Accepted(*room, prev);
        if (before == nullptr || before->columns.depth < request.min_depth()) continue;
        if (found.size() + next.size() < request.limit() && seen.insert(prev).second) next.push_back(prev);
      }
    }
    found.insert(found.end(), next.begin(), next.end());
    front = std::move(next);
  }
  std::ranges::sort(found, {}, [&](const std::string& id) { return room->events.at(id).ordering; });
  v1::GetMissingEventsResponse answer;
  *answer.mutable_room() = ForPeer(request.room_id(), *room, request.asker());
  for (const std::string& id : found) {
    const StoredEvent& event = room->events.at(id);
    auto& told = *answer.add_events();
    told.set_event_id(id);
    told.set_pdu(event.pdu);
    *told.mutable_seen() = SeenBy(*room, event, request.asker());
  }
  return answer;
}

absl::StatusOr<v1::GetAuthChainResponse> FakeStore::GetAuthChain(const rpc::CallContext&,
                                                                 const v1::GetAuthChainRequest& request) {
  const std::lock_guard lock(mutex_);
  const Room* room = Find(request.room_id());
  if (room == nullptr) return UnknownRoom();
  const StoredEvent* event = Accepted(*room, request.event_id());
  if (event == nullptr) return UnknownEvent();
  const auto ids = AuthChain(*room, {request.event_id()}, kMostChained);
  if (!ids) return TooLarge();
  std::vector<const StoredEvent*> chain;
  std::size_t bytes = 0;
  for (const std::string& id : *ids) {
    const auto link = room->events.find(id);  // an outlier too
    if (link == room->events.end() || link->second.outcome != matrix::v1::OUTCOME_ACCEPTED) continue;
    chain.push_back(&link->second);
    bytes += link->second.pdu.size();
  }
  if (bytes > kMostChainedBytes) return TooLarge();
  std::ranges::sort(chain, {}, &StoredEvent::ordering);
  v1::GetAuthChainResponse answer;
  *answer.mutable_room() = ForPeer(request.room_id(), *room, request.asker());
  *answer.mutable_seen() = SeenBy(*room, *event, request.asker());
  for (const StoredEvent* link : chain) answer.add_pdus(link->pdu);
  return answer;
}

absl::StatusOr<v1::GetStateIdsResponse> FakeStore::GetStateIds(const rpc::CallContext&,
                                                               const v1::GetStateIdsRequest& request) {
  const std::lock_guard lock(mutex_);
  const Room* room = Find(request.room_id());
  if (room == nullptr) return UnknownRoom();
  const StoredEvent* event = Accepted(*room, request.event_id());
  if (event == nullptr) return UnknownEvent();
  if (!event->state_before) return Refuse(Reason::kStateUnresolved, "the state before the event is not known");
  std::vector<std::string> state;
  for (const auto& [key, id] : room->states[*event->state_before]) state.push_back(id);
  const auto chain = AuthChain(*room, state, kMostIds);
  if (!chain || state.size() + chain->size() > kMostIds) return TooLarge();
  v1::GetStateIdsResponse answer;
  *answer.mutable_room() = ForPeer(request.room_id(), *room, request.asker());
  *answer.mutable_seen() = SeenBy(*room, *event, request.asker());
  answer.mutable_state()->Add(state.begin(), state.end());
  answer.mutable_auth_chain()->Add(chain->begin(), chain->end());
  return answer;
}

}  // namespace postern::support
