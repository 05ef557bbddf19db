#include "services/store/event_columns.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "matrix/canonical_json.h"
#include "matrix/json.h"
#include "matrix/refusal.h"

namespace postern::store {
namespace {

using matrix::Json;
using matrix::JsonObject;
using matrix::Reason;
using matrix::Refuse;

absl::Status Malformed(std::string_view member) {
  return Refuse(Reason::kInvalidArgument, fmt::format("the event's `{}` is missing or of the wrong type", member));
}

std::optional<std::string> Text(const JsonObject& object, std::string_view key) {
  const Json* value = object.Find(key);
  if (value == nullptr || value->AsString() == nullptr) return std::nullopt;
  return *value->AsString();
}

std::optional<std::int64_t> Integer(const JsonObject& object, std::string_view key) {
  const Json* value = object.Find(key);
  if (value == nullptr || value->AsInteger() == nullptr) return std::nullopt;
  return *value->AsInteger();
}

/// Ids as they stand (version 3 and later), or the first of each pair (versions 1-2).
std::optional<std::vector<std::string>> References(const JsonObject& event, std::string_view key) {
  const Json* value = event.Find(key);
  if (value == nullptr || value->AsArray() == nullptr) return std::nullopt;
  std::vector<std::string> ids;
  ids.reserve(value->AsArray()->size());
  for (const Json& item : *value->AsArray()) {
    const Json* id = &item;
    if (const matrix::JsonArray* pair = item.AsArray(); pair != nullptr && !pair->empty()) id = &pair->front();
    if (id->AsString() == nullptr) return std::nullopt;
    ids.push_back(*id->AsString());
  }
  return ids;
}

absl::StatusOr<MembershipColumns> ReadMembership(const JsonObject& content, const std::string& sender) {
  constexpr std::array<std::string_view, 5> kMemberships = {"invite", "join", "leave", "ban", "knock"};
  MembershipColumns columns;
  columns.membership = Text(content, "membership").value_or("");
  if (std::find(kMemberships.begin(), kMemberships.end(), columns.membership) == kMemberships.end()) {
    return Malformed("content.membership");
  }
  columns.reason = Text(content, "reason");
  columns.displayname = Text(content, "displayname");
  columns.avatar_url = Text(content, "avatar_url");
  if (columns.membership == "invite") columns.invited_by = sender;
  if (const Json* invite = content.Find("third_party_invite"); invite != nullptr && invite->AsObject() != nullptr) {
    columns.third_party_invite = matrix::CanonicalJson(*invite);
  }
  columns.join_authorised_via_users_server = Text(content, "join_authorised_via_users_server");
  return columns;
}

}  // namespace

absl::StatusOr<EventColumns> ReadEventColumns(std::string_view pdu) {
  const absl::StatusOr<Json> json = matrix::ParseJson(pdu);
  if (!json.ok()) return Refuse(Reason::kInvalidArgument, matrix::DetailOf(json.status()));
  const JsonObject* event = json->AsObject();
  if (event == nullptr) return Refuse(Reason::kInvalidArgument, "the event is no object");

  EventColumns columns;
  std::optional<std::string> type = Text(*event, "type");
  if (!type) return Malformed("type");
  std::optional<std::string> sender = Text(*event, "sender");
  if (!sender) return Malformed("sender");
  const std::optional<std::int64_t> depth = Integer(*event, "depth");
  if (!depth) return Malformed("depth");
  const std::optional<std::int64_t> timestamp = Integer(*event, "origin_server_ts");
  if (!timestamp) return Malformed("origin_server_ts");
  std::optional<std::vector<std::string>> prev = References(*event, "prev_events");
  if (!prev) return Malformed("prev_events");
  std::optional<std::vector<std::string>> auth = References(*event, "auth_events");
  if (!auth) return Malformed("auth_events");
  const Json* content = event->Find("content");
  if (content == nullptr || content->AsObject() == nullptr) return Malformed("content");

  columns.type = *std::move(type);
  columns.state_key = Text(*event, "state_key");
  columns.sender = *std::move(sender);
  columns.depth = *depth;
  columns.origin_server_ts = *timestamp;
  columns.prev_events = *std::move(prev);
  columns.auth_events = *std::move(auth);
  if (columns.type == kMemberType && columns.state_key) {
    absl::StatusOr<MembershipColumns> member = ReadMembership(*content->AsObject(), columns.sender);
    if (!member.ok()) return member.status();
    columns.member = *std::move(member);
  }
  return columns;
}

std::string HistoryVisibilityOf(std::string_view pdu) {
  const absl::StatusOr<Json> event = matrix::ParseJson(pdu);
  const JsonObject* object = event.ok() ? event->AsObject() : nullptr;
  const Json* content = object == nullptr ? nullptr : object->Find("content");
  const JsonObject* members = content == nullptr ? nullptr : content->AsObject();
  return members == nullptr ? "" : Text(*members, "history_visibility").value_or("");
}

}  // namespace postern::store
