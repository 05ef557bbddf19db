// What a server is told whose user has just joined, in memory.
#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "matrix/identifiers.h"
#include "matrix/refusal.h"
#include "tests/support/fake_store.h"

namespace postern::support {
namespace {

namespace v1 = store::v1;
using matrix::Reason;
using matrix::Refuse;

constexpr int kMostEntries = 500;
constexpr std::size_t kMostBytes = 1024 * 1024;
constexpr std::size_t kMostHeroes = 5;
constexpr int kMostServers = 1000;

}  // namespace

std::vector<std::string> FakeStore::Heroes(const Room& room, const State& state, const std::string& sender) const {
  if (state.contains({"m.room.name", ""}) || state.contains({"m.room.canonical_alias", ""})) return {};
  std::vector<std::pair<std::int64_t, std::string>> users;
  for (const auto& [user, member] : room.members) {
    if (user != sender && (member.membership() == "join" || member.membership() == "invite")) {
      users.emplace_back(member.updated_at_ms(), user);
    }
  }
  std::ranges::sort(users);
  std::vector<std::string> events;
  for (std::size_t i = 0; i < std::min(users.size(), kMostHeroes); ++i) {
    const auto entry = state.find({"m.room.member", users[i].second});
    if (entry != state.end()) events.push_back(entry->second);
  }
  return events;
}

absl::StatusOr<v1::GetStatePageResponse> FakeStore::GetStatePage(const rpc::CallContext&,
                                                                 const v1::GetStatePageRequest& request) {
  const std::lock_guard lock(mutex_);
  const Room* room = Find(request.room_id());
  const StoredEvent* event = room == nullptr ? nullptr : Accepted(*room, request.event_id());
  if (event == nullptr) return Refuse(Reason::kUnknownEvent, "the room has no such event");
  if (!event->state_before) return Refuse(Reason::kStateUnresolved, "the state before the event is not known");
  const State& state = room->states[*event->state_before];
  v1::GetStatePageResponse page;
  const auto tell = [&](const std::string& id) {
    const StoredEvent& entry = room->events.at(id);
    v1::RoomEvent& told = *page.add_events();
    told.set_event_id(id);
    told.set_pdu(entry.pdu);
    told.mutable_auth_events()->Add(entry.columns.auth_events.begin(), entry.columns.auth_events.end());
    return entry.pdu.size();
  };
  std::vector<std::pair<Key, std::string>> entries;
  for (const auto& [key, id] : state) {
    if (request.without_members() && key.type == "m.room.member") continue;
    if (request.has_place() &&
        std::tie(key.type, key.state_key) >= std::tie(request.place().type(), request.place().state_key())) {
      continue;
    }
    entries.emplace_back(key, id);
  }
  std::ranges::sort(entries, [](const auto& a, const auto& b) {
    return std::tie(a.first.type, a.first.state_key) > std::tie(b.first.type, b.first.state_key);
  });
  std::size_t bytes = 0;
  for (const auto& [key, id] : entries) {
    const std::size_t size = room->events.at(id).pdu.size();
    const bool full = page.events_size() >= kMostEntries || (page.events_size() > 0 && bytes + size > kMostBytes);
    if (full) break;
    bytes += tell(id);
    page.mutable_next()->set_type(key.type);
    page.mutable_next()->set_state_key(key.state_key);
  }
  if (page.events_size() < kMostEntries && page.events_size() == static_cast<int>(entries.size())) page.clear_next();
  if (request.without_members() && !request.has_place()) {
    for (const std::string& id : Heroes(*room, state, event->columns.sender)) tell(id);
  }
  return page;
}

absl::StatusOr<v1::GetRoomEventsResponse> FakeStore::GetRoomEvents(const rpc::CallContext&,
                                                                   const v1::GetRoomEventsRequest& request) {
  if (absl::Status status = store::CheckRoomEventsRequest(request); !status.ok()) return status;
  const std::lock_guard lock(mutex_);
  const Room* room = Find(request.room_id());
  v1::GetRoomEventsResponse answer;
  std::size_t bytes = 0;
  for (const std::string& id : request.event_ids()) {
    const StoredEvent* event = nullptr;  // an outlier too
    if (room != nullptr) {
      const auto stored = room->events.find(id);
      const bool accepted = stored != room->events.end() && stored->second.outcome == matrix::v1::OUTCOME_ACCEPTED;
      if (accepted) event = &stored->second;
    }
    if (event != nullptr) {
      bytes += event->pdu.size();
      if (answer.looked_at() > 0 && bytes > kMostBytes) break;
      v1::RoomEvent& told = *answer.add_events();
      told.set_event_id(id);
      told.set_pdu(event->pdu);
      told.mutable_auth_events()->Add(event->columns.auth_events.begin(), event->columns.auth_events.end());
    }
    answer.set_looked_at(answer.looked_at() + 1);
  }
  return answer;
}

absl::StatusOr<v1::ListRoomServersResponse> FakeStore::ListRoomServers(const rpc::CallContext&,
                                                                       const v1::ListRoomServersRequest& request) {
  const std::lock_guard lock(mutex_);
  const Room* room = Find(request.room_id());
  std::map<std::string, std::vector<std::string>> joined;
  if (room != nullptr) {
    for (const auto& [user, member] : room->members) {
      if (member.membership() == "join") joined[std::string(matrix::DomainOf(user))].push_back(user);
    }
  }
  v1::ListRoomServersResponse answer;
  for (const auto& [server, users] : joined) {
    const bool only_one = users.size() == 1 && users.front() == request.not_for();
    if (server <= request.after() || only_one || answer.server_names_size() == kMostServers) continue;
    answer.add_server_names(server);
  }
  return answer;
}

absl::StatusOr<v1::JoinConditions> FakeStore::GetJoinConditions(const rpc::CallContext&,
                                                                const v1::GetJoinConditionsRequest& request) {
  if (absl::Status status = store::CheckJoinConditionsRequest(request); !status.ok()) return status;
  const std::lock_guard lock(mutex_);
  const Room* room = Find(request.room_id());
  if (room == nullptr) return Refuse(Reason::kUnknownRoom, "the room is not known here");
  v1::JoinConditions answer;
  for (const std::string& id : request.other_rooms()) {
    const Room* other = Find(id);
    const bool here = other != nullptr && std::ranges::any_of(other->members, [&](const auto& member) {
                        return member.second.membership() == "join" && matrix::DomainOf(member.first) == server_name_;
                      });
    if (!here) {
      answer.add_standings(v1::JoinConditions::STANDING_UNKNOWN);
      continue;
    }
    const auto member = other->members.find(request.user_id());
    const bool joined = member != other->members.end() && member->second.membership() == "join";
    answer.add_standings(joined ? v1::JoinConditions::STANDING_JOINED : v1::JoinConditions::STANDING_NOT_JOINED);
  }
  for (std::string& user : JoinedUsers(*room, request.candidates())) answer.add_joined_users(std::move(user));
  return answer;
}

}  // namespace postern::support
