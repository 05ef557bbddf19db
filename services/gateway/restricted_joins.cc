#include "services/gateway/restricted_joins.h"

#include <algorithm>
#include <utility>

#include "matrix/identifiers.h"
#include "matrix/refusal.h"
#include "services/gateway/local_powers.h"
#include "services/gateway/room_access.h"

namespace postern::gateway {
namespace {

using matrix::Json;
using matrix::JsonObject;
using matrix::Reason;
using matrix::Refuse;
using store::v1::JoinConditions;

constexpr std::size_t kRoomsAtOnce = 100;

const std::string* TextIn(const JsonObject& object, std::string_view key) {
  const Json* member = object.Find(key);
  return member == nullptr ? nullptr : member->AsString();
}

/// The content of the current m.room.join_rules; empty where there is none that can be read.
JsonObject JoinRules(const matrix::v1::JudgingContext& room) {
  const matrix::v1::StoredEvent* stored = CurrentStateEvent(room, "m.room.join_rules", "");
  auto event = stored == nullptr ? Json() : matrix::ParseJson(stored->pdu()).value_or(Json());
  Json* content = event.AsObject() == nullptr ? nullptr : event.AsObject()->Find("content");
  return content == nullptr || content->AsObject() == nullptr ? JsonObject() : std::move(*content->AsObject());
}

/// The rooms of `allow`; what does not look like one is no condition.
std::vector<std::string> AllowedRooms(const JsonObject& join_rules) {
  std::vector<std::string> rooms;
  const Json* allow = join_rules.Find("allow");
  if (allow == nullptr || allow->AsArray() == nullptr) return rooms;
  for (const Json& condition : *allow->AsArray()) {
    const JsonObject* object = condition.AsObject();
    const std::string* type = object == nullptr ? nullptr : TextIn(*object, "type");
    const std::string* room = object == nullptr ? nullptr : TextIn(*object, "room_id");
    if (type != nullptr && *type == "m.room_membership" && room != nullptr && matrix::IsRoomId(*room)) {
      rooms.push_back(*room);
    }
  }
  return rooms;
}

}  // namespace

RestrictedJoins::RestrictedJoins(matrix::ServerName server_name, StoreClient& store)
    : server_name_(std::move(server_name)), store_(store) {}

bool RestrictedJoins::NeedVoucher(const matrix::v1::JudgingContext& room, std::string_view membership,
                                  const matrix::RoomRules& rules) {
  if (membership == "join" || membership == "invite") return false;
  const JsonObject join_rules = JoinRules(room);
  const std::string* rule = TextIn(join_rules, "join_rule");
  return rule != nullptr &&
         ((rules.restricted_joins && *rule == "restricted") || (rules.knock_restricted && *rule == "knock_restricted"));
}

absl::StatusOr<std::vector<std::string>> RestrictedJoins::Vouchers(const rpc::CallContext& call,
                                                                   const matrix::v1::JudgingContext& room,
                                                                   const std::string& user,
                                                                   const matrix::RoomRules& rules) {
  const auto candidates = LocalUsersByPower(room, rules, server_name_.text());
  if (!candidates.ok()) return candidates.status();
  const std::vector<std::string> allowed = AllowedRooms(JoinRules(room));
  bool all_known = true;
  for (std::size_t done = 0; done < allowed.size(); done += kRoomsAtOnce) {
    store::v1::GetJoinConditionsRequest ask;
    ask.set_room_id(room.room_id());
    ask.set_user_id(user);
    for (std::size_t i = done; i < std::min(allowed.size(), done + kRoomsAtOnce); ++i) ask.add_other_rooms(allowed[i]);
    ask.mutable_candidates()->Add(candidates->begin(), candidates->end());
    const auto answer = store_.GetJoinConditions(call, ask);
    if (!answer.ok()) return answer.status();
    const auto any = [&](JoinConditions::Standing wanted) {
      return std::ranges::any_of(answer->standings(), [&](int standing) { return standing == wanted; });
    };
    if (any(JoinConditions::STANDING_JOINED)) {
      if (!answer->joined_users().empty())
        return std::vector(answer->joined_users().begin(), answer->joined_users().end());
      return Refuse(Reason::kUnableToGrantJoin, "no user of this server is in the room");
    }
    all_known = all_known && !any(JoinConditions::STANDING_UNKNOWN);
  }
  if (all_known) return Refuse(Reason::kConditionsNotMet, "the user is in no room whose members may join");
  return Refuse(Reason::kUnableToAuthoriseJoin, "not all rooms whose members may join are known here");
}

absl::StatusOr<VouchedJoin> RestrictedJoins::Vouch(const rpc::CallContext& call, const OwnMembership& join,
                                                   const store::v1::EventContext& context,
                                                   const matrix::RoomRules& rules) {
  const std::string& now = context.sender_membership();
  if (now == "ban") return Refuse(Reason::kNotAuthorised, "the sender is banned from the room");
  if (NeedVoucher(context.judging(), now, rules)) {
    const auto vouchers = Vouchers(call, context.judging(), join.sender().text(), rules);
    if (!vouchers.ok()) return vouchers.status();
  }
  return VouchedJoin(join.json());
}

}  // namespace postern::gateway
