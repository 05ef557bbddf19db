#include "tests/support/room_builder.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <utility>

#include "fmt/format.h"
#include "matrix/auth_events.h"
#include "matrix/base64.h"
#include "matrix/canonical_json.h"
#include "matrix/content_hash.h"
#include "matrix/event_id.h"
#include "matrix/identifiers.h"

namespace postern::support {
namespace {

using matrix::Event;
using matrix::Json;
using matrix::JsonArray;
using matrix::JsonObject;
using matrix::RoomRules;

constexpr std::int64_t kFirstTimestamp = 1'700'000'000'000;

template <typename T>
T OrEnd(absl::StatusOr<T> value, std::string_view what) {
  if (value.ok()) return *std::move(value);
  std::fprintf(stderr, "test data: %.*s: %s\n", static_cast<int>(what.size()), what.data(),
               value.status().ToString().c_str());
  std::abort();
}

bool CarriesIds(const RoomRules& rules) { return rules.event_id_format == matrix::EventIdFormat::kCarried; }

Json Reference(const Event& event) {
  if (!CarriesIds(event.rules())) return Json(event.event_id());
  JsonObject hashes;
  hashes.Set("sha256", Json(matrix::EncodeBase64(matrix::ReferenceHash(event.json(), event.rules()))));
  return Json(JsonArray{Json(event.event_id()), Json(std::move(hashes))});
}

JsonArray SelectedAuthEvents(const Draft& draft, const matrix::RoomState& state, const RoomRules& rules) {
  JsonArray references;
  const std::string* state_key = draft.state_key ? &*draft.state_key : nullptr;
  for (const auto& key : matrix::SelectAuthEvents(draft.type, state_key, draft.sender, draft.content, rules)) {
    if (const Event* entry = state.Find(key.type, key.state_key)) references.push_back(Reference(*entry));
  }
  return references;
}

}  // namespace

JsonObject Object(std::string_view json) {
  const Json value = OrEnd(matrix::ParseJson(json), json);
  return value.AsObject() ? *value.AsObject()
                          : OrEnd(absl::StatusOr<JsonObject>(absl::UnknownError("no object")), json);
}

matrix::SigningKey KeyOf(std::string_view server_name) {
  return OrEnd(matrix::SigningKey::FromSeed("ed25519:test", matrix::Sha256(fmt::format("test key of {}", server_name))),
               server_name);
}

matrix::KeyDirectory KeysOf(const std::vector<std::string>& server_names, absl::Time now) {
  matrix::KeyDirectory keys;
  for (const std::string& name : server_names) {
    const matrix::SigningKey key = KeyOf(name);
    keys[name] = {.server_name = name,
                  .valid_until = now + absl::Hours(24),
                  .keys = {{.key_id = key.key_id(), .public_key = key.public_key(), .expired = std::nullopt}}};
  }
  return keys;
}

absl::Time TestRoom::now() const { return absl::FromUnixMillis(tip().origin_server_ts()) + absl::Minutes(1); }

matrix::KeyDirectory TestRoom::keys() const {
  std::set<std::string> servers;
  for (const Event& event : events_) {
    servers.emplace(matrix::DomainOf(event.sender()));
    if (event.type() == "m.room.member") servers.emplace(matrix::DomainOf(*event.state_key()));
  }
  return KeysOf({servers.begin(), servers.end()}, now());
}

JsonObject TestRoom::Unsigned(const Draft& draft) const {
  std::vector<const Event*> previous = draft.prev_events;
  if (previous.empty() && !events_.empty()) previous.push_back(&events_.back());
  std::int64_t depth = 0;
  JsonArray prev_events;
  for (const Event* event : previous) {
    prev_events.push_back(Reference(*event));
    depth = std::max(depth, event->depth());
  }
  const std::int64_t next = events_.empty() ? kFirstTimestamp : tip().origin_server_ts() + 1000;
  JsonObject event;
  event.Set("type", Json(draft.type));
  if (draft.state_key) event.Set("state_key", Json(*draft.state_key));
  event.Set("sender", Json(draft.sender));
  event.Set("content", Json(draft.content));
  event.Set("depth", Json(depth + 1));
  event.Set("origin_server_ts", Json(draft.origin_server_ts ? draft.origin_server_ts : next));
  event.Set("auth_events", Json(SelectedAuthEvents(draft, draft.state ? *draft.state : state_, *rules_)));
  event.Set("prev_events", Json(std::move(prev_events)));
  if (!rules_->room_id_is_create_hash || draft.type != "m.room.create") event.Set("room_id", Json(room_id_));
  if (CarriesIds(*rules_)) {
    const std::string hash = matrix::EncodeUrlSafeBase64(matrix::Sha256(matrix::CanonicalJson(event)));
    event.Set("event_id", Json(fmt::format("${}:{}", hash.substr(0, 18), matrix::DomainOf(draft.sender))));
  }
  return event;
}

Event TestRoom::Mint(const Draft& draft) const { return Sign(Unsigned(draft)); }

Event TestRoom::Sign(JsonObject event) const {
  const std::string server(matrix::DomainOf(*event.Find("sender")->AsString()));
  matrix::HashAndSignEvent(event, server, KeyOf(server), *rules_);
  return OrEnd(Event::FromJson(Json(std::move(event)), *rules_), "an event of a test room");
}

Event TestRoom::Member(std::string_view user, std::string_view membership, std::string_view sender) const {
  JsonObject content;
  content.Set("membership", Json(membership));
  return Mint({.type = "m.room.member",
               .state_key = std::string(user),
               .sender = std::string(sender.empty() ? user : sender),
               .content = std::move(content)});
}

const Event& TestRoom::Append(Event event) {
  const Event& kept = events_.emplace_back(std::move(event));
  if (kept.is_state()) state_.Set(kept);
  return kept;
}

std::string TestRoom::Text(const Event& event) { return matrix::CanonicalJson(event.json()); }

matrix::JudgingContext TestRoom::ContextFor(const Event& event) const {
  matrix::JudgingContext context;
  context.room_id = room_id_;
  const auto look_up = [this](const std::string& id) -> matrix::Cited {
    const auto found = std::ranges::find(events_, id, &Event::event_id);
    if (found == events_.end()) return {.event_id = id};
    return {.event_id = id, .event = &*found, .known = true};
  };
  std::ranges::transform(event.prev_events(), std::back_inserter(context.prev_events), look_up);
  std::ranges::transform(event.auth_events(), std::back_inserter(context.auth_events), look_up);
  context.state_before = state_;
  context.state_now = state_;
  context.extends_all_extremities = event.prev_events().size() == 1 && event.prev_events().front() == tip().event_id();
  return context;
}

RoomBuilder::RoomBuilder(std::string_view version, std::string_view creator) : version_(version), creator_(creator) {
  const RoomRules& rules = *matrix::FindRoomRules(version_);
  create_content_.Set("room_version", Json(version_));
  if (rules.creator_in_content) create_content_.Set("creator", Json(creator_));
  JsonObject users;
  if (!rules.room_id_is_create_hash) users.Set(creator_, Json(100));
  power_levels_.emplace().Set("users", Json(std::move(users)));
}

RoomBuilder& RoomBuilder::CreateContent(std::string_view json) {
  for (const auto& [key, value] : Object(json)) create_content_.Set(key, value);
  return *this;
}

RoomBuilder& RoomBuilder::PowerLevels(std::string_view json) {
  for (const auto& [key, value] : Object(json)) power_levels_->Set(key, value);
  return *this;
}

RoomBuilder& RoomBuilder::NoPowerLevels() {
  power_levels_.reset();
  return *this;
}

RoomBuilder& RoomBuilder::JoinRule(std::string_view join_rule) {
  join_rule_ = join_rule;
  return *this;
}

void RoomBuilder::AddMember(std::string_view user, std::string_view membership, std::string_view sender) {
  JsonObject content;
  content.Set("membership", Json(membership));
  additions_.push_back({"m.room.member", std::string(user), std::string(sender), std::move(content)});
}

RoomBuilder& RoomBuilder::Member(std::string_view user, std::string_view membership) {
  if (membership.empty()) return *this;
  if (membership == "join" || membership == "leave") AddMember(user, "invite", creator_);
  if (membership == "leave") AddMember(user, "join", user);
  AddMember(user, membership, membership == "invite" || membership == "ban" ? std::string_view(creator_) : user);
  return *this;
}

RoomBuilder& RoomBuilder::State(std::string_view type, std::string_view state_key, std::string_view content_json) {
  additions_.push_back({std::string(type), std::string(state_key), creator_, Object(content_json)});
  return *this;
}

TestRoom RoomBuilder::Build() const {
  TestRoom room;
  room.rules_ = matrix::FindRoomRules(version_);
  room.creator_ = creator_;
  if (!room.rules_->room_id_is_create_hash) room.room_id_ = fmt::format("!test:{}", matrix::DomainOf(creator_));
  const auto add = [&room](std::string_view type, std::string_view state_key, std::string_view sender,
                           const JsonObject& content) {
    room.Append(room.Mint({.type = std::string(type),
                           .state_key = std::string(state_key),
                           .sender = std::string(sender),
                           .content = content}));
  };
  add("m.room.create", "", creator_, create_content_);
  room.room_id_ = room.tip().room_id();
  add("m.room.member", creator_, creator_, Object(R"({"membership":"join"})"));
  if (power_levels_) add("m.room.power_levels", "", creator_, *power_levels_);
  JsonObject join_rules;
  join_rules.Set("join_rule", Json(join_rule_));
  add("m.room.join_rules", "", creator_, join_rules);
  for (const Addition& a : additions_) add(a.type, a.state_key, a.sender, a.content);
  return room;
}

}  // namespace postern::support
