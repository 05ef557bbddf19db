#include "services/gateway/received_invite.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "matrix/canonical_json.h"
#include "matrix/content_hash.h"
#include "matrix/redaction.h"
#include "matrix/refusal.h"
#include "matrix/signature.h"
#include "services/gateway/event_intake.h"
#include "services/gateway/refusal_response.h"

namespace postern::gateway {
namespace {

using matrix::Event;
using matrix::Json;
using matrix::JsonArray;
using matrix::JsonObject;
using matrix::Reason;
using matrix::Refuse;
using matrix::RoomRules;

/// By whose rules an invite of v1 is read: those of version 2 say the same of an event.
constexpr std::string_view kVersionOfV1 = "1";
constexpr std::size_t kMostKept = 32 * 1024;
constexpr std::array<std::string_view, 8> kTelling{"m.room.create",          "m.room.name",       "m.room.member",
                                                   "m.room.canonical_alias", "m.room.join_rules", "m.room.avatar",
                                                   "m.room.topic",           "m.room.encryption"};

const std::string* TextIn(const JsonObject& object, std::string_view key) {
  const Json* member = object.Find(key);
  return member == nullptr ? nullptr : member->AsString();
}

absl::StatusOr<JsonArray> ShownIn(const JsonObject* object) {
  const Json* shown = object == nullptr ? nullptr : object->Find("invite_room_state");
  if (shown == nullptr) return JsonArray();
  const bool objects = shown->AsArray() != nullptr && std::ranges::all_of(*shown->AsArray(), [](const Json& entry) {
                         return entry.AsObject() != nullptr && TextIn(*entry.AsObject(), "type") != nullptr;
                       });
  if (!objects) return Refuse(Reason::kBadStructure, "'invite_room_state' must be a list of events");
  return *shown->AsArray();
}

absl::Status NotThis(std::string_view what) { return Refuse(Reason::kNotThisMembership, what); }

bool IsWhole(const JsonObject& event) { return event.Contains("auth_events") && event.Contains("hashes"); }

/// Where the room's id is the hash of its create event, whoever shows another create event shows another room.
absl::Status CheckCreateIsShown(const SubmittedInvite& invite, const std::string& room_id) {
  if (!invite.rules->room_id_is_create_hash) return absl::OkStatus();
  for (const Json& entry : invite.shown_state) {
    if (*TextIn(*entry.AsObject(), "type") != "m.room.create") continue;
    if (!IsWhole(*entry.AsObject())) return absl::OkStatus();  // stripped, by an older server
    const auto create = Event::FromJson(entry, *invite.rules);
    if (create.ok() && create->room_id() == room_id) return absl::OkStatus();
    return NotThis("the m.room.create of 'invite_room_state' is of another room");
  }
  return NotThis("'invite_room_state' has no m.room.create");
}

/// Whether one of `server`'s signatures over `event` is by a key that it publishes.
bool HasSigned(const JsonObject& event, const std::string& server, const KnownKeys& known, const RoomRules& rules) {
  const JsonObject redacted = matrix::Redact(event, rules);
  return std::ranges::any_of(known.keys.keys, [&](const matrix::VerifyKey& key) {
    return !matrix::IsKnownBadKey(key.public_key) && matrix::VerifyJson(redacted, server, key.key_id, key.public_key);
  });
}

}  // namespace

absl::StatusOr<SubmittedInvite> ReadInviteV2(JsonObject content) {
  const std::string* version = TextIn(content, "room_version");
  if (version == nullptr) return Refuse(Reason::kBadStructure, "'room_version' must be a string");
  Json* event = content.Find("event");
  if (event == nullptr || event->AsObject() == nullptr) {
    return Refuse(Reason::kBadStructure, "'event' must be an object");
  }
  SubmittedInvite invite;
  invite.rules = matrix::FindRoomRules(*version);
  if (invite.rules == nullptr) return RefuseVersion(version->substr(0, matrix::kMaxIdentifierBytes));
  auto shown = ShownIn(&content);
  if (!shown.ok()) return shown.status();
  invite.shown_state = *std::move(shown);
  invite.event = std::move(*event->AsObject());
  invite.event.Erase("unsigned");
  return invite;
}

absl::StatusOr<SubmittedInvite> ReadInviteV1(JsonObject content) {
  const Json* told = content.Find("unsigned");
  auto shown = ShownIn(told == nullptr ? nullptr : told->AsObject());
  if (!shown.ok()) return shown.status();
  SubmittedInvite invite;
  invite.rules = matrix::FindRoomRules(kVersionOfV1);
  invite.shown_state = *std::move(shown);
  invite.event = std::move(content);
  invite.event.Erase("unsigned");
  return invite;
}

InviteChecks::InviteChecks(matrix::ServerName server_name, KeyRing& key_ring, Clock clock)
    : server_name_(std::move(server_name)), key_ring_(key_ring), clock_(std::move(clock)) {}

absl::StatusOr<ReceivedInvite> InviteChecks::Check(const InviteRequest& request, const SubmittedInvite& submitted) {
  auto event = Event::FromJson(Json(submitted.event), *submitted.rules);
  if (!event.ok()) return event.status();
  if (event->type() != "m.room.member") return NotThis("'type' is not m.room.member");
  if (event->membership() != "invite") return NotThis("'membership' is not invite");
  auto invited = matrix::UserId::Parse(event->is_state() ? *event->state_key() : "");
  if (!invited.ok() || !(invited->server() == server_name_)) return NotThis("'state_key' is no user of this server");
  auto sender = matrix::UserId::Parse(event->sender());
  if (!sender.ok() || !(sender->server() == request.origin)) {
    return NotThis("the sender is no user of the server that asks");
  }
  if (event->room_id() != request.room_id) return NotThis("'room_id' is not the room in the path");
  if (submitted.rules->event_id_format == matrix::EventIdFormat::kCarried &&
      matrix::DomainOf(event->event_id()) != request.origin.text()) {
    return NotThis("'event_id' is not of the server that asks");
  }
  if (absl::Status status = CheckCreateIsShown(submitted, request.room_id); !status.ok()) return status;
  if (event->event_id() != request.event_id) {
    return Refuse(Reason::kEventIdMismatch, "the event's id is not the one in the path");
  }
  if (!matrix::ContentHashMatches(event->json())) {
    return Refuse(Reason::kBadSignature, "the content hash does not match");
  }
  if (absl::Status status = CheckSignature(request, *event); !status.ok()) return status;
  return ReceivedInvite(*std::move(event), *std::move(sender), *std::move(invited));
}

absl::Status InviteChecks::CheckSignature(const InviteRequest& request, const Event& event) {
  const std::string& server = request.origin.text();
  const KeyQuery query{request.origin, KeyIdsOf(event.json(), server), KeyUse::kEvent, request.client_address};
  if (query.key_ids.empty()) return Refuse(Reason::kBadSignature, "the sender's server has not signed the invite");
  const auto known = key_ring_.Wait(query, request.deadline);
  if (!known.ok()) return Refuse(Reason::kSigningKeyUnavailable, matrix::DetailOf(known.status()));
  const matrix::KeyDirectory keys{{server, (*known)->keys}};
  if (absl::Status status = matrix::CheckEventSignatures(event.json(), event.rules(), keys, clock_()); !status.ok()) {
    return status;
  }
  // The rules do not ask for it where a third party invites; whoever asks us for a signature has signed.
  if (HasSigned(event.json(), server, **known, event.rules())) return absl::OkStatus();
  return Refuse(Reason::kBadSignature, "the sender's server has signed with no key that it publishes");
}

JsonArray StrippedState(const JsonArray& shown) {
  JsonArray kept;
  std::size_t bytes = 2;
  for (const Json& entry : shown) {
    const JsonObject& event = *entry.AsObject();
    if (std::ranges::find(kTelling, *TextIn(event, "type")) == kTelling.end()) continue;
    JsonObject stripped;
    for (const std::string_view key : {"type", "state_key", "sender", "content"}) {
      if (const Json* member = event.Find(key)) stripped.Set(key, *member);
    }
    const std::size_t more = matrix::CanonicalJson(stripped).size() + 1;
    if (bytes + more > kMostKept) continue;
    bytes += more;
    kept.emplace_back(std::move(stripped));
  }
  return kept;
}

}  // namespace postern::gateway
