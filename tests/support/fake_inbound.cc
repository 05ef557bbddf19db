// Transactions that other servers have sent, and more of what they ask for, in memory.
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

constexpr std::size_t kMostStateEvents = 10'000;
constexpr std::size_t kMostStateBytes = 16 * 1024 * 1024;
constexpr std::size_t kMostLookedAt = 1000;
constexpr int kMostListed = 1000;

absl::Status UnknownRoom() { return Refuse(Reason::kUnknownRoom, "the room is not known here"); }
absl::Status TooLarge() { return Refuse(Reason::kAnswerTooLarge, "there is more to tell than is told at once"); }

}  // namespace

absl::StatusOr<v1::ReceivedTransaction> FakeStore::GetReceivedTransaction(
    const rpc::CallContext&, const v1::GetReceivedTransactionRequest& request) {
  const std::lock_guard lock(mutex_);
  v1::ReceivedTransaction transaction;
  for (const Answered& kept : answered_) {
    const bool same = kept.origin == request.origin() && kept.transaction_id == request.transaction_id();
    if (same && kept.at >= clock_() - store::kAnswersKept) transaction.set_answer(kept.answer);
  }
  return transaction;
}

absl::StatusOr<v1::ReceivedTransaction> FakeStore::KeepReceivedTransaction(
    const rpc::CallContext&, const v1::KeepReceivedTransactionRequest& request) {
  if (absl::Status status = store::CheckReceivedTransaction(request); !status.ok()) return status;
  const std::lock_guard lock(mutex_);
  v1::ReceivedTransaction transaction;
  int of_one = 0;
  for (const Answered& kept : answered_) {
    if (kept.origin != request.origin()) continue;
    ++of_one;
    if (kept.transaction_id == request.transaction_id()) transaction.set_answer(kept.answer);
  }
  if (transaction.has_answer()) return transaction;
  answered_.push_back({request.origin(), request.transaction_id(), request.answer(), clock_()});
  if (of_one == store::kMostAnswersOfOne) {
    answered_.erase(std::ranges::find(answered_, request.origin(), &Answered::origin));
  }
  if (answered_.size() > store::kMostAnswers) answered_.erase(answered_.begin());
  transaction.set_answer(request.answer());
  return transaction;
}

absl::StatusOr<v1::GetStateResponse> FakeStore::GetState(const rpc::CallContext&, const v1::GetStateRequest& request) {
  const std::lock_guard lock(mutex_);
  const Room* room = Find(request.room_id());
  if (room == nullptr) return UnknownRoom();
  const StoredEvent* event = Accepted(*room, request.event_id());
  if (event == nullptr) return Refuse(Reason::kUnknownEvent, "the room has no such event");
  if (!event->state_before) return Refuse(Reason::kStateUnresolved, "the state before the event is not known");
  std::vector<std::string> ids;
  for (const auto& [key, id] : room->states[*event->state_before]) ids.push_back(id);
  const auto chain = AuthChain(*room, ids, kMostStateEvents);
  if (!chain || ids.size() + chain->size() > kMostStateEvents) return TooLarge();
  v1::GetStateResponse answer;
  *answer.mutable_room() = ForPeer(request.room_id(), *room, request.asker());
  *answer.mutable_seen() = SeenBy(*room, *event, request.asker());
  std::size_t bytes = 0;
  const auto pdu_of = [&](const std::string& id) -> const std::string& {
    bytes += room->events.at(id).pdu.size();
    return room->events.at(id).pdu;
  };
  for (const std::string& id : ids) answer.add_state(pdu_of(id));
  std::vector<std::string> ordered(chain->begin(), chain->end());
  std::ranges::sort(ordered, {}, [&](const std::string& id) { return room->events.at(id).ordering; });
  for (const std::string& id : ordered) answer.add_auth_chain(pdu_of(id));
  if (bytes > kMostStateBytes) return TooLarge();
  return answer;
}

absl::StatusOr<v1::GetBackfillResponse> FakeStore::GetBackfill(const rpc::CallContext&,
                                                               const v1::GetBackfillRequest& request) {
  if (absl::Status status = store::CheckBackfillRequest(request); !status.ok()) return status;
  const std::lock_guard lock(mutex_);
  const Room* room = Find(request.room_id());
  if (room == nullptr) return UnknownRoom();
  std::vector<std::string> front = store::LookedAt(request.from());
  std::set<std::string> looked_at;
  std::vector<std::string> found;
  while (!front.empty() && found.size() < request.limit() && looked_at.size() < kMostLookedAt) {
    std::vector<std::string> next;
    for (const std::string& id : front) {
      const auto event = room->events.find(id);
      if (!InGraph(*room, id) || !looked_at.insert(id).second) continue;
      if (Accepted(*room, id) != nullptr && found.size() < request.limit()) found.push_back(id);
      next.insert(next.end(), event->second.columns.prev_events.begin(), event->second.columns.prev_events.end());
    }
    front = std::move(next);
  }
  std::ranges::sort(found, std::greater(), [&](const std::string& id) { return room->events.at(id).ordering; });
  v1::GetBackfillResponse answer;
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

absl::StatusOr<v1::Profile> FakeStore::GetProfile(const rpc::CallContext&, const v1::GetProfileRequest& request) {
  const std::lock_guard lock(mutex_);
  const v1::Member* newest = nullptr;
  const auto is_newer = [&](const v1::Member& member) {
    const bool joined = member.membership() == "join", known_joined = newest->membership() == "join";
    return joined != known_joined ? joined : member.updated_at_ms() > newest->updated_at_ms();
  };
  for (const auto& [room_id, room] : rooms_) {
    const auto member = room.members.find(request.user_id());
    if (member == room.members.end()) continue;
    if (newest == nullptr || is_newer(member->second)) newest = &member->second;
  }
  if (newest == nullptr || matrix::DomainOf(request.user_id()) != server_name_) {
    return Refuse(Reason::kNotFound, "no room knows this user");
  }
  v1::Profile profile;
  if (newest->has_displayname()) profile.set_displayname(newest->displayname());
  if (newest->has_avatar_url()) profile.set_avatar_url(newest->avatar_url());
  return profile;
}

absl::StatusOr<v1::AliasTarget> FakeStore::GetAlias(const rpc::CallContext&, const v1::GetAliasRequest& request) {
  const std::lock_guard lock(mutex_);
  const auto alias = aliases_.find(request.alias());
  if (alias == aliases_.end()) return Refuse(Reason::kNotFound, "there is no such alias");
  v1::AliasTarget target;
  target.set_room_id(alias->second);
  std::set<std::pair<bool, std::string>> servers;
  for (const auto& [user, member] : rooms_.at(alias->second).members) {
    const std::string server(matrix::DomainOf(user));
    if (member.membership() == "join") servers.emplace(server != server_name_, server);
  }
  for (const auto& [is_other, server] : servers) {
    if (target.servers_size() < kMostListed) target.add_servers(server);
  }
  return target;
}

absl::Status FakeStore::SetAlias(const rpc::CallContext&, const v1::SetAliasRequest& request) {
  if (absl::Status status = store::CheckAlias(request.alias(), server_name_); !status.ok()) return status;
  const std::lock_guard lock(mutex_);
  if (Find(request.room_id()) == nullptr) return UnknownRoom();
  aliases_[request.alias()] = request.room_id();
  return absl::OkStatus();
}

absl::Status FakeStore::RemoveAlias(const rpc::CallContext&, const v1::RemoveAliasRequest& request) {
  const std::lock_guard lock(mutex_);
  if (aliases_.erase(request.alias()) == 0) return Refuse(Reason::kNotFound, "there is no such alias");
  return absl::OkStatus();
}

absl::StatusOr<v1::ListAliasesResponse> FakeStore::ListAliases(const rpc::CallContext&,
                                                               const v1::ListAliasesRequest& request) {
  const std::lock_guard lock(mutex_);
  v1::ListAliasesResponse response;
  for (auto alias = aliases_.upper_bound(request.after());
       alias != aliases_.end() && response.aliases_size() < kMostListed; ++alias) {
    if (!request.room_id().empty() && alias->second != request.room_id()) continue;
    v1::ListAliasesResponse::Alias& listed = *response.add_aliases();
    listed.set_alias(alias->first);
    listed.set_room_id(alias->second);
  }
  return response;
}

}  // namespace postern::support
