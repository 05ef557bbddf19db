#include "tests/flow/handshake.h"

#include <fmt/format.h>

#include <utility>

#include "matrix/base64.h"
#include "matrix/event_id.h"
#include "tests/flow/must.h"

namespace postern::flow {
namespace {

using matrix::Json;
using matrix::JsonArray;
using matrix::JsonObject;

constexpr std::string_view kFederation = "/_matrix/federation/";

}  // namespace

http::Request MakeRequest(const PlayedHomeserver& asker, std::string_view make, const std::string& room_id,
                          const std::string& user, const matrix::RoomRules& rules) {
  return asker.Request("GET",
                       fmt::format("{}v1/{}/{}/{}?ver=1&ver={}", kFederation, make, http::PercentEncode(room_id),
                                   http::PercentEncode(user), rules.version),
                       nullptr);
}

JsonObject DraftOf(const http::Response& answer) {
  Must(fmt::format("a template (not {} {})", answer.status, answer.body), answer.status == 200);
  const JsonObject body = ObjectOf(answer.body);
  const Json* event = body.Find("event");
  Must("the event of a template: " + answer.body, event != nullptr && event->AsObject() != nullptr);
  JsonObject draft = *event->AsObject();
  draft.Erase("origin");
  return draft;
}

http::Request SendRequest(const PlayedHomeserver& asker, std::string_view send, const std::string& room_id,
                          const JsonObject& event, const matrix::RoomRules& rules) {
  const Json content(event);
  return asker.Request("PUT",
                       fmt::format("{}{}/{}/{}", kFederation, send, http::PercentEncode(room_id),
                                   http::PercentEncode(matrix::ComputeEventId(event, rules))),
                       &content);
}

http::Request TransactionRequest(const PlayedHomeserver& asker, std::string_view transaction_id,
                                 const JsonArray& pdus) {
  JsonObject body;
  body.Set("origin", asker.name());
  body.Set("origin_server_ts", 1);
  body.Set("pdus", pdus);
  const Json content(std::move(body));
  return asker.Request("PUT", fmt::format("{}v1/send/{}", kFederation, transaction_id), &content);
}

JsonObject MessageFrom(JsonObject draft, std::string_view body) {
  JsonObject content;
  content.Set("body", body);
  draft.Erase("state_key");
  draft.Set("type", "m.room.message");
  draft.Set("content", std::move(content));
  return draft;
}

JsonObject Following(const JsonObject& event, JsonObject draft, const matrix::RoomRules& rules) {
  draft.Set("prev_events", JsonArray{ReferenceTo(matrix::ComputeEventId(event, rules), rules)});
  draft.Set("depth", *event.Find("depth")->AsInteger() + 1);
  return draft;
}

Json ReferenceTo(const std::string& event_id, const matrix::RoomRules& rules) {
  if (rules.event_id_format != matrix::EventIdFormat::kCarried) return event_id;
  JsonObject hashes;
  hashes.Set("sha256", matrix::EncodeBase64(std::string(32, 'h')));
  return JsonArray{event_id, std::move(hashes)};
}

}  // namespace postern::flow
