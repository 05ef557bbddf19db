// The auth rules on random events in random rooms: what more power, lower bars and what nobody asked for may not
// change. A failure names its seed.
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "matrix/auth_events.h"
#include "matrix/auth_rules.h"
#include "matrix/power_levels.h"
#include "tests/support/case_count.h"
#include "tests/support/choices.h"
#include "tests/support/grown_room.h"

namespace postern::matrix {
namespace {

using support::BytesOfSeed;
using support::Choices;
using support::GrownRoom;

constexpr std::uint32_t kRooms = support::CaseCount(60);
constexpr std::size_t kChoices = 600;
constexpr std::size_t kMostEvents = 40;

class AuthProperty : public testing::TestWithParam<std::string> {
 protected:
  /// Calls `check` with many events and the states that they were made for; they are allowed there or not.
  template <typename Check>
  void ForEvents(Check check) {
    for (std::uint32_t seed = 1; seed <= kRooms; ++seed) {
      const std::string bytes = BytesOfSeed(seed, kChoices);
      Choices choices(bytes);
      const GrownRoom room(GetParam(), choices, kMostEvents);
      for (std::size_t i = 0; i < room.grown().size(); ++i) {
        SCOPED_TRACE("seed " + std::to_string(seed) + ", event " + std::to_string(i));
        check(room.grown()[i], room.StateOf(room.StateBefore(i)));
        if (HasFatalFailure()) return;
      }
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Versions, AuthProperty, testing::Values("1", "3", "6", "7", "8", "10", "11", "12"),
                         [](const auto& tested) { return "V" + tested.param; });

/// The power levels of `state` with another content; nullopt where there are none.
template <typename Change>
std::optional<Event> LevelsOf(const RoomState& state, Change change) {
  const Event* levels = state.Find("m.room.power_levels", "");
  if (!levels) return std::nullopt;
  JsonObject content = levels->content();
  change(content);
  JsonObject fields = levels->json();
  fields.Set("content", std::move(content));
  return *Event::FromJson(Json(std::move(fields)), levels->rules());
}

void SetUserLevel(JsonObject& content, const std::string& user, std::int64_t level) {
  JsonObject users = content.Find("users") ? *content.Find("users")->AsObject() : JsonObject();
  users.Set(user, level);
  content.Set("users", std::move(users));
}

/// True of every rule, that on power levels too: an entry of one's own may be lowered whatever it was, and all others
/// are compared with one's level.
TEST_P(AuthProperty, MorePowerForTheSenderRefusesNothingThatWasAllowed) {
  int raised = 0;
  ForEvents([&](const Event& event, RoomState state) {
    const std::int64_t level = PowerLevels(state).OfUser(event.sender());
    if (level == kCreatorLevel || !CheckAuthRules(event, state).allowed()) return;
    const auto levels = LevelsOf(state, [&](JsonObject& content) { SetUserLevel(content, event.sender(), level + 7); });
    if (!levels) return;
    state.Set(*levels);
    const RuleResult result = CheckAuthRules(event, state);
    ASSERT_TRUE(result.allowed()) << result.rule << ": " << result.text;
    ++raised;
  });
  EXPECT_GE(raised, static_cast<int>(kRooms)) << "too few events to prove anything";
}

/// Kicks, bans and unbans look at the target's level, and nothing else does but the rule on power levels.
TEST_P(AuthProperty, MorePowerForTheTargetAllowsNothingThatWasRefused) {
  ForEvents([&](const Event& event, RoomState state) {
    if (event.type() != "m.room.member" || *event.state_key() == event.sender()) return;
    if (event.ContentString("join_authorised_via_users_server")) return;  // the target may be her own voucher
    const std::int64_t level = PowerLevels(state).OfUser(*event.state_key());
    if (level == kCreatorLevel || CheckAuthRules(event, state).allowed()) return;
    const auto levels =
        LevelsOf(state, [&](JsonObject& content) { SetUserLevel(content, *event.state_key(), level + 7); });
    if (!levels) return;
    state.Set(*levels);
    ASSERT_FALSE(CheckAuthRules(event, state).allowed());
  });
}

/// Not of power levels events: there the bars are among what is compared.
TEST_P(AuthProperty, LowerBarsRefuseNothingThatWasAllowed) {
  ForEvents([&](const Event& event, RoomState state) {
    if (event.type() == "m.room.power_levels" || !CheckAuthRules(event, state).allowed()) return;
    const auto levels = LevelsOf(state, [](JsonObject& content) {
      for (const char* bar : {"ban", "kick", "invite", "redact", "state_default", "events_default"}) {
        content.Set(bar, -1);
      }
      content.Erase("events");
    });
    if (!levels) return;
    state.Set(*levels);
    const RuleResult result = CheckAuthRules(event, state);
    ASSERT_TRUE(result.allowed()) << result.rule << ": " << result.text;
  });
}

/// What an event cites is all that its verdict may hang on: else the checks against its auth events and against the
/// state could differ on the same values.
TEST_P(AuthProperty, OnlyTheSelectedKeysAndTheCreateEventCount) {
  ForEvents([&](const Event& event, const RoomState& state) {
    RoomState selected;
    selected.Set(*state.create());
    for (const StateKey& key : SelectAuthEvents(event)) {
      if (const Event* entry = state.Find(key.type, key.state_key)) selected.Set(*entry);
    }
    const RuleResult whole = CheckAuthRules(event, state);
    const RuleResult part = CheckAuthRules(event, selected);
    ASSERT_EQ(part.rule, whole.rule);
    ASSERT_EQ(part.text, whole.text);
  });
}

}  // namespace
}  // namespace postern::matrix
