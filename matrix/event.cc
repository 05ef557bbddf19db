#include "matrix/event.h"

#include "matrix/event_format.h"
#include "matrix/event_id.h"

namespace postern::matrix {
namespace {

std::vector<std::string> ReferencedIds(const JsonObject& event, std::string_view member, const RoomRules& rules) {
  std::vector<std::string> ids;
  for (const Json& reference : *event.Find(member)->AsArray()) {
    const Json& id = rules.event_id_format == EventIdFormat::kCarried ? reference.AsArray()->front() : reference;
    ids.push_back(*id.AsString());
  }
  return ids;
}

}  // namespace

absl::StatusOr<Event> Event::FromJson(Json json, const RoomRules& rules) {
  if (auto status = CheckEventFormat(json, rules); !status.ok()) return status;
  return Event(std::move(json), rules);
}

absl::StatusOr<Event> Event::Parse(std::string_view text, const RoomRules& rules) {
  auto json = ParseJson(text);
  if (!json.ok()) return json.status();
  return FromJson(*std::move(json), rules);
}

Event::Event(Json json, const RoomRules& rules) : rules_(&rules), json_(std::move(json)) {
  IndexMembers();
  event_id_ = ComputeEventId(this->json(), rules);
  const Json* room_id = this->json().Find("room_id");
  room_id_ = room_id ? *room_id->AsString() : "!" + event_id_.substr(1);
  prev_events_ = ReferencedIds(this->json(), "prev_events", rules);
  auth_events_ = ReferencedIds(this->json(), "auth_events", rules);
}

// The pointer leads into json_, whose members a copy holds at other places.
void Event::IndexMembers() {
  const Json* state_key = json().Find("state_key");
  state_key_ = state_key ? state_key->AsString() : nullptr;
}

Event::Event(const Event& other)
    : rules_(other.rules_),
      json_(other.json_),
      event_id_(other.event_id_),
      room_id_(other.room_id_),
      prev_events_(other.prev_events_),
      auth_events_(other.auth_events_) {
  IndexMembers();
}

Event& Event::operator=(const Event& other) {
  if (this != &other) *this = Event(other);
  return *this;
}

Event::Event(Event&&) noexcept = default;
Event& Event::operator=(Event&&) noexcept = default;
Event::~Event() = default;

const std::string& Event::type() const { return *json().Find("type")->AsString(); }
const std::string& Event::sender() const { return *json().Find("sender")->AsString(); }
const JsonObject& Event::content() const { return *json().Find("content")->AsObject(); }
std::int64_t Event::depth() const { return *json().Find("depth")->AsInteger(); }
std::int64_t Event::origin_server_ts() const { return *json().Find("origin_server_ts")->AsInteger(); }

std::string_view Event::membership() const {
  const std::string* membership = ContentString("membership");
  return membership ? std::string_view(*membership) : std::string_view();
}

const std::string* Event::ContentString(std::string_view key) const {
  const Json* value = content().Find(key);
  return value ? value->AsString() : nullptr;
}

}  // namespace postern::matrix
