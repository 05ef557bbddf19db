#include "services/gateway/room_access.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string>

#include "matrix/refusal.h"
#include "matrix/server_acl.h"

namespace postern::gateway {
namespace {

using matrix::Reason;
using matrix::Refuse;

absl::StatusOr<matrix::JsonObject> ContentOf(const matrix::v1::StoredEvent& event) {
  auto json = matrix::ParseJson(event.pdu());
  matrix::Json* content = json.ok() && json->AsObject() != nullptr ? json->AsObject()->Find("content") : nullptr;
  if (content == nullptr || content->AsObject() == nullptr) {
    return Refuse(Reason::kInternal, "a stored state event cannot be read");
  }
  return std::move(*content->AsObject());
}

bool IsServerAcl(const matrix::v1::StateEntry& entry) {
  return entry.type() == "m.room.server_acl" && entry.state_key().empty();
}

bool HasServerAcl(const matrix::v1::JudgingContext& room) { return std::ranges::any_of(room.state_now(), IsServerAcl); }

void TakeServerAcl(google::protobuf::RepeatedPtrField<matrix::v1::StateEntry>& state, std::set<std::string>& acls) {
  const auto acl = std::ranges::find_if(state, IsServerAcl);
  if (acl == state.end()) return;
  acls.insert(acl->event_id());
  state.erase(acl);
}

}  // namespace

const matrix::v1::StoredEvent* CurrentStateEvent(const matrix::v1::JudgingContext& room, std::string_view type,
                                                 std::string_view state_key) {
  for (const auto& entry : room.state_now()) {
    if (entry.type() != type || entry.state_key() != state_key) continue;
    for (const auto& event : room.events()) {
      if (event.event_id() == entry.event_id()) return &event;
    }
  }
  return nullptr;
}

absl::StatusOr<const matrix::RoomRules*> RulesOfRoom(const matrix::v1::JudgingContext& room) {
  const matrix::RoomRules* rules = matrix::FindRoomRules(room.room_version());
  if (rules == nullptr) {
    return Refuse(Reason::kUnsupportedVersion,
                  fmt::format("room version '{}' is not supported here", room.room_version()));
  }
  return rules;
}

absl::Status CheckRoomAccess(const matrix::v1::JudgingContext& room, const matrix::ServerName& server) {
  const matrix::v1::StoredEvent* create = CurrentStateEvent(room, "m.room.create", "");
  if (create == nullptr) return Refuse(Reason::kInternal, "the store gave no create event");
  const auto created = ContentOf(*create);
  if (!created.ok()) return created.status();
  const matrix::Json* federate = created->Find("m.federate");
  if (federate != nullptr && federate->AsBool() != nullptr && !*federate->AsBool()) {
    return Refuse(Reason::kFederationForbidden, "the room does not federate");
  }
  const matrix::v1::StoredEvent* acl = CurrentStateEvent(room, "m.room.server_acl", "");
  if (acl == nullptr) {
    if (HasServerAcl(room)) return Refuse(Reason::kInternal, "the store gave no server ACL where there is one");
    return absl::OkStatus();
  }
  const auto allowed = ContentOf(*acl);
  if (!allowed.ok()) return allowed.status();
  if (matrix::PassesServerAcl(*allowed, server)) return absl::OkStatus();
  return Refuse(Reason::kFederationForbidden, "the room's server ACL denies this server");
}

void LeaveOutServerAcl(matrix::v1::JudgingContext& context) {
  if (context.has_branches()) return;  // a resolution is over whatever events there are
  // Where events carry their ids, one that is cited nowhere here may still cite the event: step 4 looks for that.
  const matrix::RoomRules* rules = matrix::FindRoomRules(context.room_version());
  if (rules == nullptr || rules->event_id_format == matrix::EventIdFormat::kCarried) return;
  std::set<std::string> acls;
  TakeServerAcl(*context.mutable_state_before(), acls);
  TakeServerAcl(*context.mutable_state_now(), acls);
  for (const auto* references : {&context.prev_events(), &context.auth_events()}) {
    for (const auto& reference : *references) acls.erase(reference.event_id());
  }
  auto& events = *context.mutable_events();
  const auto left =
      std::remove_if(events.begin(), events.end(), [&](const auto& event) { return acls.contains(event.event_id()); });
  events.erase(left, events.end());
}

}  // namespace postern::gateway
