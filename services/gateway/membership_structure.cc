#include "services/gateway/membership_structure.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "matrix/canonical_json.h"
#include "matrix/refusal.h"

namespace postern::gateway {
namespace {

using matrix::Json;
using matrix::JsonObject;
using matrix::Reason;
using matrix::Refuse;

absl::Status BadMember(std::string_view member, std::string_view expected) {
  return Refuse(Reason::kBadStructure, fmt::format("'{}' must be {}", member, expected));
}

const std::string* TextIn(const JsonObject& object, std::string_view key) {
  const Json* member = object.Find(key);
  return member == nullptr ? nullptr : member->AsString();
}

absl::Status CheckShortTexts(const JsonObject& event) {
  for (const std::string_view key : {"sender", "type", "state_key", "room_id"}) {
    const std::string* text = TextIn(event, key);
    if (text == nullptr || text->size() > matrix::kMaxIdentifierBytes) {
      return BadMember(key, "a string of at most 255 bytes");
    }
  }
  if (!matrix::IsUserId(*TextIn(event, "sender"))) return BadMember("sender", "a user id");
  if (!matrix::IsRoomId(*TextIn(event, "room_id"))) return BadMember("room_id", "a room id");
  return absl::OkStatus();
}

absl::Status CheckObjectsAndNumbers(const JsonObject& event) {
  const Json* content = event.Find("content");
  if (content == nullptr || content->AsObject() == nullptr) return BadMember("content", "an object");
  if (TextIn(*content->AsObject(), "membership") == nullptr) return BadMember("content.membership", "a string");
  for (const std::string_view key : {"origin_server_ts", "depth"}) {
    const Json* number = event.Find(key);
    if (number == nullptr || number->AsInteger() == nullptr) return BadMember(key, "an integer");
  }
  for (const std::string_view key : {"hashes", "signatures"}) {
    const Json* object = event.Find(key);
    if (object == nullptr || object->AsObject() == nullptr) return BadMember(key, "an object");
  }
  return absl::OkStatus();
}

/// The ids of `prev_events` or `auth_events`: strings, or in versions 1-2 pairs of an id and its hashes.
absl::StatusOr<std::vector<std::string>> ReferencesIn(const JsonObject& event, std::string_view key) {
  const Json* member = event.Find(key);
  if (member == nullptr || member->AsArray() == nullptr) return BadMember(key, "a list");
  std::vector<std::string> ids;
  for (const Json& entry : *member->AsArray()) {
    const matrix::JsonArray* pair = entry.AsArray();
    const std::string* id = pair != nullptr && pair->size() == 2 ? pair->front().AsString() : entry.AsString();
    if (id == nullptr || !matrix::IsEventId(*id)) return BadMember(key, "a list of event ids");
    ids.push_back(*id);
  }
  return ids;
}

absl::Status NotThis(Wanted wanted, std::string_view what) {
  return Refuse(wanted == Wanted::kLeave ? Reason::kNotThisLeave : Reason::kNotThisMembership, what);
}

/// Row 7, of an event that has passed row 6.
absl::Status CheckThisEvent(const JsonObject& event, Wanted wanted, const matrix::UserId& sender,
                            const matrix::ServerName& origin, const std::string& room_id) {
  if (*TextIn(event, "type") != "m.room.member") return NotThis(wanted, "'type' is not m.room.member");
  if (*TextIn(*event.Find("content")->AsObject(), "membership") != MembershipOf(wanted)) {
    return NotThis(wanted, fmt::format("'membership' is not {}", MembershipOf(wanted)));
  }
  if (*TextIn(event, "state_key") != sender.text()) return NotThis(wanted, "'state_key' is not the sender");
  if (!(sender.server() == origin)) return NotThis(wanted, "the sender is no user of the server that asks");
  if (*TextIn(event, "room_id") != room_id) return NotThis(wanted, "'room_id' is not the room in the path");
  return absl::OkStatus();
}

}  // namespace

std::string_view MembershipOf(Wanted wanted) {
  switch (wanted) {
    case Wanted::kJoin:
      return "join";
    case Wanted::kKnock:
      return "knock";
    case Wanted::kLeave:
      break;
  }
  return "leave";
}

absl::StatusOr<OwnMembership> CheckMembershipStructure(AuthenticRequest& request, Wanted wanted,
                                                       const std::string& room_id, const std::string& event_id) {
  JsonObject& json = *request.content()->AsObject();
  if (absl::Status status = CheckShortTexts(json); !status.ok()) return status;
  if (absl::Status status = CheckObjectsAndNumbers(json); !status.ok()) return status;
  auto auth_events = ReferencesIn(json, "auth_events");
  if (!auth_events.ok()) return auth_events.status();
  auto prev_events = ReferencesIn(json, "prev_events");
  if (!prev_events.ok()) return prev_events.status();
  auto sender = matrix::UserId::Parse(*TextIn(json, "sender"));
  if (!sender.ok()) return BadMember("sender", "a user id");
  if (absl::Status status = CheckThisEvent(json, wanted, *sender, request.origin(), room_id); !status.ok()) {
    return status;
  }

  OwnMembership event(wanted, std::move(*sender), request.origin());
  event.room_id_ = room_id;
  event.claimed_event_id_ = event_id;
  event.prev_events_ = std::move(*prev_events);
  event.auth_events_ = std::move(*auth_events);
  event.json_ = std::move(json);
  event.pdu_ = matrix::CanonicalJson(event.json_);
  event.submitted_bytes_ = event.pdu_.size();
  if (event.json_.Erase("unsigned")) event.pdu_ = matrix::CanonicalJson(event.json_);
  return event;
}

std::string_view OwnMembership::voucher() const {
  const std::string* user = wanted_ == Wanted::kJoin
                                ? TextIn(*json_.Find("content")->AsObject(), "join_authorised_via_users_server")
                                : nullptr;
  return user == nullptr ? std::string_view() : std::string_view(*user);
}

void OwnMembership::SetSignatures(Json signatures) {
  json_.Set("signatures", std::move(signatures));
  pdu_ = matrix::CanonicalJson(json_);
}

absl::Status CheckEventIdServer(const OwnMembership& event, const matrix::RoomRules& rules) {
  if (rules.event_id_format != matrix::EventIdFormat::kCarried) return absl::OkStatus();
  const std::string* id = TextIn(event.json(), "event_id");
  if (id != nullptr && matrix::DomainOf(*id) == event.origin().text()) return absl::OkStatus();
  return NotThis(event.wanted(), "'event_id' is not of the server that asks");
}

}  // namespace postern::gateway
