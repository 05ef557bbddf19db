#include "services/gateway/event_template.h"

#include <algorithm>
#include <utility>

#include "matrix/base64.h"
#include "matrix/canonical_json.h"
#include "matrix/event_id.h"
#include "matrix/refusal.h"

namespace postern::gateway {
namespace {

using matrix::Json;
using matrix::JsonArray;
using matrix::JsonObject;
using matrix::Reason;
using matrix::Refuse;

absl::StatusOr<JsonArray> References(const std::vector<CitedEvent>& events, const matrix::RoomRules& rules) {
  JsonArray references;
  for (const CitedEvent& event : events) {
    if (rules.event_id_format != matrix::EventIdFormat::kCarried) {
      references.emplace_back(event.event_id);
      continue;
    }
    const auto json = matrix::ParseJson(event.pdu);
    if (!json.ok() || json->AsObject() == nullptr) return Refuse(Reason::kInternal, "a cited event cannot be read");
    JsonObject hashes;
    hashes.Set("sha256", matrix::EncodeBase64(matrix::ReferenceHash(*json->AsObject(), rules)));
    references.emplace_back(JsonArray{Json(event.event_id), Json(std::move(hashes))});
  }
  return references;
}

absl::StatusOr<CitedEvent> EventIn(const matrix::v1::JudgingContext& room, const std::string& event_id) {
  for (const auto& event : room.events()) {
    if (event.event_id() == event_id) return CitedEvent{event_id, event.pdu()};
  }
  return Refuse(Reason::kInternal, "the store named an event that it did not give");
}

}  // namespace

const std::string* StateKeyOf(const EventIntent& intent) { return intent.state_key ? &*intent.state_key : nullptr; }

absl::StatusOr<JsonObject> BuildEvent(const EventIntent& intent, const EventPlace& place,
                                      const matrix::RoomRules& rules) {
  auto prev_events = References(place.prev_events, rules);
  if (!prev_events.ok()) return prev_events.status();
  auto auth_events = References(place.auth_events, rules);
  if (!auth_events.ok()) return auth_events.status();
  JsonObject event;
  event.Set("type", intent.type);
  if (intent.state_key) event.Set("state_key", *intent.state_key);
  event.Set("sender", intent.sender);
  event.Set("content", intent.content);
  if (!place.room_id.empty()) event.Set("room_id", place.room_id);
  event.Set("prev_events", std::move(*prev_events));
  event.Set("auth_events", std::move(*auth_events));
  event.Set("depth", std::min(place.depth, rules.max_depth));
  event.Set("origin_server_ts", absl::ToUnixMillis(place.at));
  return event;
}

absl::StatusOr<EventPlace> PlaceAfter(const store::v1::TemplateContext& context, const EventIntent& intent,
                                      const matrix::RoomRules& rules, absl::Time now) {
  const matrix::v1::JudgingContext& room = context.judging();
  EventPlace place{.room_id = room.room_id(), .prev_events = {}, .auth_events = {}, .depth = 1, .at = now};
  for (const auto& tip : room.prev_events()) {
    auto event = EventIn(room, tip.event_id());
    if (!event.ok()) return event.status();
    place.prev_events.push_back(std::move(*event));
  }
  auto auth_events = AuthEventsFor(room, intent, rules);
  if (!auth_events.ok()) return auth_events.status();
  place.auth_events = *std::move(auth_events);
  place.depth = DepthAfter(context.max_depth(), rules);
  return place;
}

absl::StatusOr<std::vector<CitedEvent>> AuthEventsFor(const matrix::v1::JudgingContext& room, const EventIntent& intent,
                                                      const matrix::RoomRules& rules) {
  std::vector<CitedEvent> auth_events;
  const auto keys = matrix::SelectAuthEvents(intent.type, StateKeyOf(intent), intent.sender, intent.content, rules);
  for (const matrix::StateKey& key : keys) {
    for (const auto& entry : room.state_now()) {
      if (entry.type() != key.type || entry.state_key() != key.state_key) continue;
      auto event = EventIn(room, entry.event_id());
      if (!event.ok()) return event.status();
      auth_events.push_back(*std::move(event));
    }
  }
  return auth_events;
}

std::int64_t DepthAfter(std::int64_t depth, const matrix::RoomRules& rules) {
  return depth >= rules.max_depth ? rules.max_depth : depth + 1;
}

validator::v1::AuthorizeRequest AskFor(JsonObject event, const EventPlace& place,
                                       const matrix::v1::JudgingContext& room, const matrix::RoomRules& rules,
                                       std::string_view server_name) {
  if (rules.event_id_format == matrix::EventIdFormat::kCarried && !event.Contains("event_id")) {
    event.Set("event_id", "$template:" + std::string(server_name));
  }
  validator::v1::AuthorizeRequest request;
  request.set_pdu(matrix::CanonicalJson(event));
  *request.mutable_context() = room;
  request.mutable_context()->clear_auth_events();
  for (const CitedEvent& cited : place.auth_events) {
    auto* reference = request.mutable_context()->add_auth_events();
    reference->set_event_id(cited.event_id);
    reference->set_known(true);
  }
  return request;
}

}  // namespace postern::gateway
