#include "tests/support/grown_room.h"

#include <algorithm>
#include <array>
#include <utility>

#include "fmt/format.h"

namespace postern::support {
namespace {

using matrix::Event;
using matrix::Json;
using matrix::JsonArray;
using matrix::JsonObject;
using matrix::StateMap;

constexpr std::array<std::string_view, 5> kUsers{"@creator:a.example", "@u1:a.example", "@u2:b.example",
                                                 "@u3:b.example", "@u4:c.example"};
constexpr std::array<int, 8> kLevels{0, 10, 49, 50, 51, 99, 100, 101};

bool CarriesIds(const matrix::RoomRules& rules) { return rules.event_id_format == matrix::EventIdFormat::kCarried; }

std::string CarriedId(std::size_t number) { return fmt::format("$grown{}:a.example", number); }

}  // namespace

GrownRoom::GrownRoom(std::string_view version, Choices& choices, std::size_t most_events)
    : room_(Start(version, choices)), unguarded_(choices.Chance(30)) {
  StateMap state;
  for (const Event& event : room_.events()) {
    known_.Add(event);
    state[{event.type(), *event.state_key()}] = event.event_id();
  }
  places_.push_back(std::move(state));
  while (!choices.ended() && grown_.size() < most_events) Grow(choices);
}

std::vector<StateMap> GrownRoom::SomeStates(Choices& choices) const {
  std::vector<StateMap> states;
  for (std::size_t left = 2 + choices.Below(3); left > 0; --left) states.push_back(choices.OneOf(places_));
  return states;
}

matrix::RoomState GrownRoom::StateOf(const StateMap& ids) const {
  matrix::RoomState state;
  for (const auto& [key, id] : ids) state.Set(*known_.Find(id));
  return state;
}

TestRoom GrownRoom::Start(std::string_view version, Choices& choices) {
  RoomBuilder builder(version);
  builder.JoinRule(choices.Chance(70) ? "public" : "invite");
  if (choices.Chance(10)) builder.NoPowerLevels();
  for (std::size_t user = 1; user < kUsers.size(); ++user) {
    builder.Member(kUsers[user], choices.OneOf(std::array<std::string_view, 4>{"join", "invite", "ban", ""}));
  }
  return builder.Build();
}

/// Mostly a late one, so that branches grow.
const StateMap& GrownRoom::SomePlace(Choices& choices) const {
  if (choices.Chance(40)) return choices.OneOf(places_);
  const std::size_t newest = places_.size() - 1;
  return places_[newest - choices.Below(std::min<std::size_t>(places_.size(), 4))];
}

void GrownRoom::Grow(Choices& choices) {
  StateMap before = SomePlace(choices);
  if (choices.Chance(20)) {
    const auto merged = matrix::ResolveState({before, SomePlace(choices)}, known_, rules());
    if (merged.ok()) before = *merged;
  }
  const matrix::RoomState state = StateOf(before);
  Draft draft = SomeDraft(choices);
  draft.state = &state;
  draft.origin_server_ts = room_.tip().origin_server_ts() + static_cast<std::int64_t>(choices.Below(8)) * 1000 - 2000;
  JsonObject event = room_.Unsigned(draft);
  event.Set("hashes", JsonObject());
  event.Set("signatures", JsonObject());
  event.Set("depth", static_cast<std::int64_t>(choices.Below(16)));
  // Senders of versions 1-2 name events as they like: circles are written by naming what is still to come.
  if (CarriesIds(rules())) event.Set("event_id", CarriedId(grown_.size()));
  if (choices.Chance(6)) CiteOddly(choices, event);
  auto made = Event::FromJson(Json(std::move(event)), rules());
  if (!made.ok() || known_.Find(made->event_id())) return;
  if (unguarded_ || matrix::CheckAuthRules(*made, state).allowed()) Keep(*std::move(made), before);
}

Draft GrownRoom::SomeDraft(Choices& choices) const {
  const std::string sender(choices.OneOf(kUsers));
  switch (choices.Below(8)) {
    case 0:
      return {.type = "m.room.power_levels", .state_key = "", .sender = sender, .content = SomeLevels(choices)};
    case 1:
      return {.type = "m.room.join_rules",
              .state_key = "",
              .sender = sender,
              .content = Object(choices.OneOf(std::array<std::string_view, 4>{
                  R"({"join_rule":"public"})", R"({"join_rule":"invite"})", R"({"join_rule":"knock"})", "{}"}))};
    case 2:
      return {.type = "m.room.name", .state_key = "", .sender = sender, .content = {}};
    case 3:
      return {.type = "m.room.third_party_invite", .state_key = "token", .sender = sender, .content = {}};
    default:
      return MemberDraft(choices);
  }
}

Draft GrownRoom::MemberDraft(Choices& choices) const {
  const std::string sender(choices.OneOf(kUsers));
  const std::string target(choices.Chance(60) ? sender : std::string(choices.OneOf(kUsers)));
  constexpr std::array<std::string_view, 6> kMemberships{"join", "leave", "ban", "invite", "knock", "join"};
  JsonObject content;
  content.Set("membership", choices.OneOf(kMemberships));
  if (choices.Chance(20)) content.Set("join_authorised_via_users_server", choices.OneOf(kUsers));
  return {.type = "m.room.member", .state_key = target, .sender = sender, .content = std::move(content)};
}

JsonObject GrownRoom::SomeLevels(Choices& choices) const {
  JsonObject users;
  if (!rules().room_id_is_create_hash) users.Set(kUsers[0], 100);
  for (std::size_t left = choices.Below(4); left > 0; --left) {
    users.Set(choices.OneOf(kUsers), choices.OneOf(kLevels));
  }
  JsonObject levels;
  levels.Set("users", std::move(users));
  if (choices.Chance(30)) levels.Set("ban", choices.OneOf(kLevels));
  if (choices.Chance(30)) levels.Set("users_default", choices.OneOf(kLevels));
  return levels;
}

/// Leaves one of its auth events out, or names any event of the room among them, or one that is not there yet.
void GrownRoom::CiteOddly(Choices& choices, JsonObject& event) const {
  JsonArray cited = *event.Find("auth_events")->AsArray();
  if (choices.Chance(40) && !cited.empty()) {
    cited.erase(cited.begin() + static_cast<std::ptrdiff_t>(choices.Below(cited.size())));
  } else if (CarriesIds(rules())) {
    cited.push_back(JsonArray{CarriedId(choices.Below(grown_.size() + 3)), JsonObject()});
  } else if (!grown_.empty()) {
    cited.push_back(choices.OneOf(grown_).event_id());
  }
  event.Set("auth_events", std::move(cited));
}

void GrownRoom::Keep(Event event, const StateMap& before) {
  const Event& kept = grown_.emplace_back(std::move(event));
  known_.Add(kept);
  before_.push_back(before);
  StateMap after = before;
  after[{kept.type(), *kept.state_key()}] = kept.event_id();
  places_.push_back(std::move(after));
}

}  // namespace postern::support
