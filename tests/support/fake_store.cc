#include "tests/support/fake_store.h"

#include <algorithm>

#include "absl/time/clock.h"
#include "matrix/identifiers.h"
#include "matrix/refusal.h"
#include "services/store/recorded_decision.h"

namespace postern::support {
namespace {

using matrix::Reason;
using matrix::Refuse;
using store::ContextToken;
using store::EventColumns;
using store::GivenEvent;
namespace v1 = store::v1;

absl::Status UnknownRoom() { return Refuse(Reason::kUnknownRoom, "the room is not known here"); }
absl::Status NotFound(std::string_view what) { return Refuse(Reason::kNotFound, what); }

template <typename Range>
std::vector<std::string> Strings(const Range& range) {
  return {range.begin(), range.end()};
}

v1::Member MemberOf(const std::string& room_id, const std::string& user, const std::string& event_id,
                    const store::MembershipColumns& columns) {
  v1::Member member;
  member.set_room_id(room_id);
  member.set_user_id(user);
  member.set_event_id(event_id);
  member.set_membership(columns.membership);
  if (columns.reason) member.set_reason(*columns.reason);
  if (columns.displayname) member.set_displayname(*columns.displayname);
  if (columns.avatar_url) member.set_avatar_url(*columns.avatar_url);
  if (columns.invited_by) member.set_invited_by(*columns.invited_by);
  if (columns.third_party_invite) member.set_third_party_invite(*columns.third_party_invite);
  if (columns.join_authorised_via_users_server) {
    member.set_join_authorised_via_users_server(*columns.join_authorised_via_users_server);
  }
  member.set_updated_at_ms(absl::ToUnixMillis(absl::Now()));
  return member;
}

template <typename Entries>
matrix::StateMap Changed(matrix::StateMap state, const Entries& changes) {
  for (const matrix::v1::StateEntry& change : changes) {
    const matrix::StateKey key{change.type(), change.state_key()};
    if (change.event_id().empty()) {
      state.erase(key);
    } else {
      state.insert_or_assign(key, change.event_id());
    }
  }
  return state;
}

std::map<std::string, std::int64_t> JoinedByServer(const std::map<std::string, v1::Member>& members) {
  std::map<std::string, std::int64_t> servers;
  for (const auto& [user, member] : members) {
    if (member.membership() == "join") ++servers[std::string(matrix::DomainOf(user))];
  }
  return servers;
}

}  // namespace

FakeStore::Room* FakeStore::Find(const std::string& room_id) {
  const auto found = rooms_.find(room_id);
  return found == rooms_.end() ? nullptr : &found->second;
}

void FakeStore::FillJudging(const Room& room, const std::vector<matrix::v1::StateKey>& keys,
                            const std::set<std::string>& cited, const std::optional<StatePlace>& before,
                            matrix::v1::JudgingContext& judging) const {
  judging.set_states_diverge(!before || before->fixed != room.now.fixed);
  FillStates(room, keys, cited, before ? std::optional(before->state) : std::nullopt, room.now.state, judging);
}

void FakeStore::FillStates(const Room& room, const std::vector<matrix::v1::StateKey>& keys,
                           const std::set<std::string>& cited, std::optional<std::size_t> before, std::size_t now,
                           matrix::v1::JudgingContext& judging) const {
  judging.set_room_version(room.version);
  std::set<std::string> named = cited;
  const auto add = [&](std::size_t index, google::protobuf::RepeatedPtrField<matrix::v1::StateEntry>& entries) {
    const State& state = room.states[index];
    for (const matrix::v1::StateKey& key : keys) {
      const auto found = state.find({key.type(), key.state_key()});
      if (found == state.end()) continue;
      matrix::v1::StateEntry& entry = *entries.Add();
      entry.set_type(key.type());
      entry.set_state_key(key.state_key());
      entry.set_event_id(found->second);
      named.insert(found->second);
    }
  };
  add(now, *judging.mutable_state_now());
  if (before) {
    add(*before, *judging.mutable_state_before());
  } else {
    judging.set_state_before_unresolved(true);
  }
  for (const std::string& id : named) {
    const auto event = room.events.find(id);
    if (event == room.events.end()) continue;
    matrix::v1::StoredEvent& stored = *judging.add_events();
    stored.set_event_id(id);
    stored.set_pdu(event->second.pdu);
    stored.set_soft_failed(event->second.outcome == matrix::v1::OUTCOME_SOFT_FAILED);
  }
}

absl::StatusOr<v1::EventContext> FakeStore::Context(const v1::GetEventContextRequest& request) {
  if (absl::Status status = store::CheckContextRequest(request); !status.ok()) return status;
  const auto keys = store::WantedKeys(request.state_keys());
  if (!keys.ok()) return keys.status();
  Room* room = Find(request.room_id());
  if (room == nullptr) return UnknownRoom();

  v1::EventContext context;
  matrix::v1::JudgingContext& judging = *context.mutable_judging();
  judging.set_room_id(request.room_id());
  std::set<std::string> cited;
  const std::vector<std::string> prev = Strings(request.prev_events());
  const std::optional<std::size_t> given = GivenBefore(*room, request.event_id(), prev);
  ReferToPrev(*room, prev, given.has_value(), *judging.mutable_prev_events(), cited);
  ReferToAuth(*room, request.auth_events(), *judging.mutable_auth_events(), cited);
  const bool extends = std::set<std::string>(prev.begin(), prev.end()) ==
                       std::set<std::string>(room->extremities.begin(), room->extremities.end());
  judging.set_extends_all_extremities(extends);
  std::optional<StatePlace> before = StateBefore(*room, prev, extends);
  if (given) before = StatePlace{*given, kNothingInCommon};
  std::optional<std::size_t> base;
  if (request.with_branches() && !extends) base = AddBranches(*room, request, before, judging, cited);
  FillJudging(*room, *keys, cited, before, judging);

  const auto member = room->members.find(request.sender());
  if (member != room->members.end()) context.set_sender_membership(member->second.membership());
  if (const auto existing = room->events.find(request.event_id()); InGraph(*room, request.event_id())) {
    context.mutable_existing()->set_pdu(existing->second.pdu);
    context.mutable_existing()->set_outcome(existing->second.outcome);
    context.mutable_existing()->set_reason(existing->second.reason);
  }
  ContextToken token;
  token.room_id = request.room_id();
  token.ordering = static_cast<std::int64_t>(room->accepted.size());
  token.now = static_cast<std::int64_t>(room->now.state);
  if (before) {
    token.before = static_cast<std::int64_t>(before->state);
    if (!given) token.fixed = static_cast<std::int64_t>(before->fixed);
  } else if (base) {
    token.before = static_cast<std::int64_t>(*base);
  }
  if (request.with_branches() && !extends) token.extremities = room->extremities;
  token.branching = {extends, judging.states_diverge()};
  context.set_token(store::EncodeToken(token));
  return context;
}

absl::StatusOr<v1::EventContext> FakeStore::GetEventContext(const rpc::CallContext&,
                                                            const v1::GetEventContextRequest& request) {
  const std::lock_guard lock(mutex_);
  return Context(request);
}

absl::StatusOr<v1::TemplateContext> FakeStore::GetTemplateContext(const rpc::CallContext&,
                                                                  const v1::GetTemplateContextRequest& request) {
  const std::lock_guard lock(mutex_);
  if (absl::Status status = store::CheckContextRequest(request); !status.ok()) return status;
  const auto keys = store::WantedKeys(request.state_keys());
  if (!keys.ok()) return keys.status();
  Room* room = Find(request.room_id());
  if (room == nullptr) return UnknownRoom();

  v1::TemplateContext context;
  matrix::v1::JudgingContext& judging = *context.mutable_judging();
  judging.set_room_id(request.room_id());
  const std::size_t count = std::min<std::size_t>(room->extremities.size(), store::MostPrevEvents(request));
  const std::vector<std::string> prev(room->extremities.begin(),
                                      room->extremities.begin() + static_cast<std::ptrdiff_t>(count));
  for (const std::string& id : prev) {
    matrix::v1::Reference& reference = *judging.add_prev_events();
    reference.set_event_id(id);
    reference.set_known(true);
    context.add_prev_depths(room->events.at(id).columns.depth);
    context.set_max_depth(std::max(context.max_depth(), room->events.at(id).columns.depth));
  }
  const bool extends = room->extremities.size() <= matrix::kMaxPrevEvents;
  const std::optional<std::size_t> fixed = extends ? room->now.fixed : InCommon(*room, prev);
  judging.set_extends_all_extremities(extends);
  FillJudging(*room, *keys, std::set<std::string>(prev.begin(), prev.end()), room->now, judging);
  judging.set_states_diverge(fixed != room->now.fixed);
  const auto member = room->members.find(request.user_id());
  if (member != room->members.end()) context.set_user_membership(member->second.membership());
  context.set_resident(JoinedByServer(room->members).contains(server_name_));
  ContextToken token;
  token.room_id = request.room_id();
  token.ordering = static_cast<std::int64_t>(room->accepted.size());
  token.now = static_cast<std::int64_t>(room->now.state);
  token.merged = !extends && fixed;
  if (extends) token.before = static_cast<std::int64_t>(room->now.state);
  if (fixed) token.fixed = static_cast<std::int64_t>(*fixed);
  token.branching = {extends, judging.states_diverge()};
  context.set_token(store::EncodeToken(token));
  return context;
}

bool FakeStore::Conflicts(const Room& room, const store::PersistRequest& checked,
                          const matrix::v1::Verdict& verdict) const {
  const std::size_t then = static_cast<std::size_t>(checked.token.ordering);
  if (then == room.accepted.size()) return false;
  if (verdict.outcome() == matrix::v1::OUTCOME_ACCEPTED && !verdict.commutes()) return true;
  if (verdict.read_set().empty()) return true;
  std::set<Key> read;
  for (const matrix::v1::StateKey& key : verdict.read_set()) read.insert({key.type(), key.state_key()});
  for (std::size_t i = then; i < room.accepted.size(); ++i) {
    const auto& [changed, commutes] = room.accepted[i];
    if (!commutes) return true;
    if (std::any_of(changed.begin(), changed.end(), [&](const Key& key) { return read.contains(key); })) return true;
  }
  return false;
}

absl::StatusOr<v1::PersistEventResponse> FakeStore::PersistEvent(const rpc::CallContext&,
                                                                 const v1::PersistEventRequest& request) {
  const std::lock_guard lock(mutex_);
  const auto checked = store::CheckPersistRequest(request);
  if (!checked.ok()) return checked.status();
  const matrix::v1::Verdict& verdict = request.verdict();
  Room* room = Find(request.context_request().room_id());
  if (room == nullptr) return UnknownRoom();

  v1::PersistEventResponse response;
  v1::Stored stored;
  stored.set_outcome(verdict.outcome());
  stored.set_reason(verdict.reason());
  const auto conflict = [&]() -> absl::StatusOr<v1::PersistEventResponse> {
    auto fresh = Context(request.context_request());
    if (!fresh.ok()) return fresh.status();
    *response.mutable_fresh_context() = *std::move(fresh);
    return response;
  };
  if (const auto known = room->events.find(verdict.event_id()); known != room->events.end() && !known->second.outlier) {
    if (room->ids_are_carried && known->second.pdu != request.pdu()) return conflict();
    stored.set_outcome(known->second.outcome);
    stored.set_reason(known->second.reason);
    stored.set_replay(true);
  } else if (verdict.outcome() == matrix::v1::OUTCOME_REJECTED) {
    StoredEvent refusal;
    refusal.outcome = verdict.outcome();
    refusal.reason = verdict.reason();
    refusal.verdict = store::VerdictToKeep(request, checked->token);
    refusal.origin = request.origin();
    refusal.stored_at_ms = absl::ToUnixMillis(absl::Now());
    const auto [at, added] = room->refusals.emplace(verdict.event_id(), std::move(refusal));
    stored.set_replay(!added);
    stored.set_reason(at->second.reason);
  } else if (Conflicts(*room, *checked, verdict) || (checked->token.merged && !KnownBefore(*room, *checked))) {
    return conflict();
  } else {
    Store(*room, request, *checked);
  }
  stored.set_forward_extremities(static_cast<std::uint32_t>(room->extremities.size()));
  *response.mutable_stored() = stored;
  return response;
}

absl::StatusOr<v1::LeaseExtremitiesResponse> FakeStore::LeaseExtremities(const rpc::CallContext&,
                                                                         const v1::LeaseExtremitiesRequest& request) {
  const std::lock_guard lock(mutex_);
  if (absl::Status status = store::CheckLeaseRequest(request); !status.ok()) return status;
  Room* room = Find(request.room_id());
  if (room == nullptr) return UnknownRoom();
  v1::LeaseExtremitiesResponse answer;
  answer.set_forward_extremities(static_cast<std::uint32_t>(room->extremities.size()));
  const absl::Time now = absl::Now();
  const bool is_holder = room->holder == request.holder();
  if (is_holder || room->held_until <= now) {
    if (request.milliseconds() > 0) {
      room->holder = request.holder();
      room->held_until = now + absl::Milliseconds(request.milliseconds());
      answer.set_granted(true);
    } else if (is_holder) {
      room->held_until = absl::InfinitePast();
    }
  }
  if (answer.granted()) {
    for (std::string& user : JoinedUsers(*room, request.candidates())) answer.add_joined_users(std::move(user));
  }
  return answer;
}

std::vector<std::string> FakeStore::JoinedUsers(
    const Room& room, const google::protobuf::RepeatedPtrField<std::string>& candidates) const {
  constexpr int kOthers = 20;
  std::vector<std::string> users;
  const auto joined = [&](const std::string& user) {
    const auto member = room.members.find(user);
    return member != room.members.end() && member->second.membership() == "join";
  };
  for (const std::string& user : candidates) {
    if (joined(user)) users.push_back(user);
  }
  int others = 0;
  for (const auto& [user, member] : room.members) {
    const bool is_candidate = std::ranges::find(candidates, user) != candidates.end();
    if (is_candidate || !joined(user) || matrix::DomainOf(user) != server_name_ || others == kOthers) continue;
    users.push_back(user);
    ++others;
  }
  return users;
}

std::set<std::string> FakeStore::DestinationsOf(const Room& room, const v1::PersistEventRequest& request) const {
  std::set<std::string> destinations(request.also_tell().begin(), request.also_tell().end());
  for (const auto& [server, joined] : JoinedByServer(room.members)) destinations.insert(server);
  destinations.erase(server_name_);
  destinations.erase(request.origin());
  return destinations;
}

void FakeStore::Store(Room& room, const v1::PersistEventRequest& request, const store::PersistRequest& checked) {
  const matrix::v1::Verdict& verdict = request.verdict();
  const std::string& room_id = request.context_request().room_id();
  const bool accepted = verdict.outcome() == matrix::v1::OUTCOME_ACCEPTED;
  StoredEvent event;
  event.pdu = request.pdu();
  event.columns = checked.columns;
  event.outcome = verdict.outcome();
  event.reason = verdict.reason();
  event.verdict = store::VerdictToKeep(request, checked.token);
  event.origin = request.origin();
  event.stored_at_ms = absl::ToUnixMillis(absl::Now());
  event.ordering = ++room.ordering;
  const bool fixes = accepted && !verdict.commutes() &&
                     !(verdict.state_after_change().empty() && verdict.current_state_change().empty());
  if (const std::optional<std::size_t> before = KnownBefore(room, checked)) {
    std::size_t after = *before;
    if (!verdict.state_before_change().empty()) {
      room.states.push_back(Changed(room.states[after], verdict.state_before_change()));
      after = room.states.size() - 1;
    }
    event.state_before = after;
    if (!checked.after_change.empty()) {
      room.states.push_back(Changed(room.states[after], checked.after_change));
      after = room.states.size() - 1;
    }
    // What no other state is known to have in common with this one, until it is found to be the current one.
    event.state_after = StatePlace{after, kNothingInCommon - room.ordering};
    if (checked.after_change.empty() && checked.token.fixed) {
      event.state_after->fixed = static_cast<std::size_t>(*checked.token.fixed);
    }
  }
  const std::vector<std::string> prev = event.columns.prev_events;
  if (const auto outlier = room.events.find(verdict.event_id()); outlier != room.events.end()) {
    event.ordering = outlier->second.ordering;
  }
  room.events.insert_or_assign(verdict.event_id(), std::move(event));
  if (!accepted) return;

  if (!request.told_by_origin()) AddToOutbox(room_id, verdict.event_id(), DestinationsOf(room, request));
  std::set<Key> changed;
  if (fixes) room.now.fixed = room.ordering;
  State now = Changed(room.states[room.now.state], verdict.current_state_change());
  for (const matrix::v1::StateEntry& change : verdict.current_state_change()) {
    changed.insert({change.type(), change.state_key()});
    Project(room_id, room, {change.type(), change.state_key()}, change.event_id());
  }
  if (now != room.states[room.now.state]) {
    room.states.push_back(std::move(now));
    room.now.state = room.states.size() - 1;
  }
  // The same state is one state, so that prev events that agree are seen to agree.
  StatePlace& own = *room.events.at(verdict.event_id()).state_after;
  if (room.states[own.state] == room.states[room.now.state]) own.state = room.now.state;
  room.accepted.emplace_back(std::move(changed), verdict.commutes());
  room.refusals.erase(verdict.event_id());
  const auto told = room.given.find(verdict.event_id());
  const bool given = told != room.given.end() && !checked.token.fixed &&
                     checked.token.before == static_cast<std::int64_t>(told->second);
  Extend(room, verdict.event_id(), given ? std::vector<std::string>{} : prev);
  // Beside other branches two states that hold the same may still have nothing in common: those have values that
  // neither shows.
  if (verdict.commutes() || room.extremities.size() == 1) own.fixed = room.now.fixed;
}

std::optional<std::size_t> FakeStore::KnownBefore(Room& room, const store::PersistRequest& checked) const {
  if (checked.token.before) return static_cast<std::size_t>(*checked.token.before);
  if (!checked.token.merged) return std::nullopt;
  const std::optional<StatePlace> merged = StateBefore(room, checked.columns.prev_events, /*extends=*/false);
  return merged ? std::optional(merged->state) : std::nullopt;
}

void FakeStore::Extend(Room& room, const std::string& event_id, const std::vector<std::string>& prev) {
  const std::set<std::string> gone = Superseded(room, prev);
  std::erase_if(room.extremities, [&](const std::string& id) { return gone.contains(id); });
  room.extremities.push_back(event_id);
  if (room.extremities.size() > 1) {
    room.states_of_extremities[std::set<std::string>(room.extremities.begin(), room.extremities.end())] = room.now;
  }
}

void FakeStore::Project(const std::string& room_id, Room& room, const Key& key, const std::string& event_id) {
  if (key.type != store::kMemberType) return;
  if (event_id.empty()) room.members.erase(key.state_key);
  const auto event = room.events.find(event_id);
  if (event != room.events.end() && event->second.columns.member) {
    room.members[key.state_key] = MemberOf(room_id, key.state_key, event_id, *event->second.columns.member);
  }
}

void FakeStore::AddToOutbox(const std::string& room_id, const std::string& event_id,
                            const std::set<std::string>& destinations) {
  v1::ListOutboxResponse::Row& row = outbox_.emplace_back();
  row.set_room_id(room_id);
  row.set_event_id(event_id);
  for (const std::string& destination : destinations) row.add_destinations(destination);
  row.set_created_at_ms(absl::ToUnixMillis(absl::Now()));
  AddDeliveries(room_id, event_id, destinations);
}

void FakeStore::Append(const std::string& room_id, Room& room, const std::vector<GivenEvent>& events) {
  for (const GivenEvent& given : events) {
    StoredEvent event;
    event.pdu = *given.pdu;
    event.columns = given.columns;
    event.origin = server_name_;
    event.stored_at_ms = absl::ToUnixMillis(absl::Now());
    if (room.states.empty()) room.states.emplace_back();
    event.state_before = room.now.state;
    State state = room.states[room.now.state];
    const Key key{given.columns.type, *given.columns.state_key};
    state[key] = given.event_id;
    room.states.push_back(std::move(state));
    room.now = {room.states.size() - 1, ++room.ordering};
    event.state_after = room.now;
    event.ordering = room.ordering;
    room.events.emplace(given.event_id, std::move(event));
    Project(room_id, room, key, given.event_id);
    AddToOutbox(room_id, given.event_id, {});
    room.accepted.emplace_back(std::set<Key>{key}, false);
  }
  room.extremities = {events.back().event_id};
}

absl::Status FakeStore::CreateRoom(const rpc::CallContext&, const v1::CreateRoomRequest& request) {
  const std::lock_guard lock(mutex_);
  const matrix::RoomRules* rules = nullptr;
  const auto events = store::CheckNewRoom(request, &rules);
  if (!events.ok()) return events.status();
  if (Find(request.room_id()) != nullptr) return Refuse(Reason::kAlreadyExists, "the room exists");
  Room& room = rooms_[request.room_id()];
  room.version = request.room_version();
  room.ids_are_carried = rules->event_id_format == matrix::EventIdFormat::kCarried;
  Append(request.room_id(), room, *events);
  return absl::OkStatus();
}

absl::Status FakeStore::SeedEvents(const rpc::CallContext&, const v1::SeedEventsRequest& request) {
  const std::lock_guard lock(mutex_);
  const auto events = store::CheckGivenEvents(request.events());
  if (!events.ok()) return events.status();
  Room* room = Find(request.room_id());
  if (room == nullptr) return UnknownRoom();
  if (events->front().columns.prev_events != room->extremities) {
    return Refuse(Reason::kInvalidArgument, "the first event does not extend the room's only extremity");
  }
  for (const GivenEvent& event : *events) {
    if (room->events.contains(event.event_id)) return Refuse(Reason::kAlreadyExists, "an event exists");
  }
  Append(request.room_id(), *room, *events);
  return absl::OkStatus();
}

absl::StatusOr<v1::RoomDescription> FakeStore::GetRoom(const rpc::CallContext&, const v1::GetRoomRequest& request) {
  const std::lock_guard lock(mutex_);
  const Room* room = Find(request.room_id());
  if (room == nullptr) return NotFound("the room is not known here");
  v1::RoomDescription description;
  description.set_room_id(request.room_id());
  description.set_room_version(room->version);
  for (const std::string& id : room->extremities) description.add_forward_extremities(id);
  description.set_events(static_cast<std::int64_t>(room->events.size()));
  for (const auto& [user, member] : room->members) {
    if (member.membership() == "join") description.set_joined_members(description.joined_members() + 1);
    if (member.membership() == "invite") description.set_invited_members(description.invited_members() + 1);
  }
  for (const auto& [server, joined] : JoinedByServer(room->members)) {
    auto& entry = *description.add_servers();
    entry.set_server_name(server);
    entry.set_joined_members(joined);
  }
  for (const auto& [key, event_id] : room->states[room->now.state]) {
    if (description.state_size() == 1000) {
      description.set_state_truncated(true);
      break;
    }
    matrix::v1::StateEntry& entry = *description.add_state();
    entry.set_type(key.type);
    entry.set_state_key(key.state_key);
    entry.set_event_id(event_id);
  }
  return description;
}

absl::StatusOr<v1::ListRoomsResponse> FakeStore::ListRooms(const rpc::CallContext&,
                                                           const v1::ListRoomsRequest& request) {
  const std::lock_guard lock(mutex_);
  v1::ListRoomsResponse response;
  for (auto room = rooms_.upper_bound(request.after()); room != rooms_.end() && response.room_ids_size() < 1000;
       ++room) {
    response.add_room_ids(room->first);
  }
  return response;
}

absl::StatusOr<v1::Member> FakeStore::GetMember(const rpc::CallContext&, const v1::GetMemberRequest& request) {
  const std::lock_guard lock(mutex_);
  const Room* room = Find(request.room_id());
  if (room == nullptr) return NotFound("the room is not known here");
  const auto member = room->members.find(request.user_id());
  if (member == room->members.end()) return NotFound("the user has never been a member");
  return member->second;
}

absl::StatusOr<v1::ListMembersResponse> FakeStore::ListMembers(const rpc::CallContext&,
                                                               const v1::ListMembersRequest& request) {
  const std::lock_guard lock(mutex_);
  const Room* room = Find(request.room_id());
  if (room == nullptr) return NotFound("the room is not known here");
  v1::ListMembersResponse response;
  for (auto member = room->members.upper_bound(request.after());
       member != room->members.end() && response.members_size() < 1000; ++member) {
    *response.add_members() = member->second;
  }
  return response;
}

absl::StatusOr<v1::EventRecord> FakeStore::GetEvent(const rpc::CallContext&, const v1::GetEventRequest& request) {
  const std::lock_guard lock(mutex_);
  for (const auto& [room_id, room] : rooms_) {
    if (!request.room_id().empty() && room_id != request.room_id()) continue;
    for (const auto* kept : {&room.events, &room.refusals}) {
      const auto event = kept->find(request.event_id());
      if (event == kept->end()) continue;
      v1::EventRecord record;
      record.set_event_id(request.event_id());
      record.set_room_id(room_id);
      record.set_pdu(event->second.pdu);
      record.set_outcome(event->second.outcome);
      if (event->second.verdict) *record.mutable_verdict() = *event->second.verdict;
      record.set_stored_at_ms(event->second.stored_at_ms);
      record.set_room_version(room.version);
      record.set_origin(event->second.origin);
      return record;
    }
  }
  return NotFound("the event is not known here");
}

absl::StatusOr<v1::ListOutboxResponse> FakeStore::ListOutbox(const rpc::CallContext&,
                                                             const v1::ListOutboxRequest& request) {
  const std::lock_guard lock(mutex_);
  v1::ListOutboxResponse response;
  for (const v1::ListOutboxResponse::Row& row : outbox_) {
    if (response.rows_size() == 1000) break;
    if (request.room_id().empty() || row.room_id() == request.room_id()) *response.add_rows() = row;
  }
  return response;
}

absl::StatusOr<v1::GetServerKeysResponse> FakeStore::GetServerKeys(const rpc::CallContext&,
                                                                   const v1::GetServerKeysRequest& request) {
  const std::lock_guard lock(mutex_);
  v1::GetServerKeysResponse response;
  for (const std::string& name : std::set<std::string>(request.server_names().begin(), request.server_names().end())) {
    if (const auto keys = keys_.find(name); keys != keys_.end()) *response.add_servers() = keys->second;
  }
  return response;
}

absl::Status FakeStore::PutServerKeys(const rpc::CallContext&, const v1::PutServerKeysRequest& request) {
  const std::lock_guard lock(mutex_);
  for (const v1::StoredServerKeys& server : request.servers()) {
    if (server.server_name().empty()) return Refuse(Reason::kInvalidArgument, "server_name is empty");
  }
  for (const v1::StoredServerKeys& server : request.servers()) {
    if (server.keys().empty()) {
      keys_.erase(server.server_name());
    } else {
      keys_[server.server_name()] = server;
    }
  }
  return absl::OkStatus();
}

}  // namespace postern::support
