// The auth rules that are not about members or levels: create, cited events, m.federate, aliases, redactions, the
// general rules.
#include "matrix/auth_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/room_builder.h"

namespace postern::matrix {
namespace {

using support::Draft;
using support::Object;
using support::RoomBuilder;
using support::TestRoom;

constexpr char kAnn[] = "@ann:b.example";
constexpr char kCreator[] = "@creator:a.example";

std::string RuleThatRefuses(const RuleResult& result) { return result.allowed() ? "" : result.rule; }

/// A state or message event by Ann, a plain member of a room of that version.
struct GeneralCase {
  std::string name;
  std::string version = "10";
  std::string create = "{}";
  std::string levels = "{}";
  std::string ann = "join";
  std::string type = "m.room.name";
  std::optional<std::string> state_key = "";
  std::string redacts = {};
  std::string refused = {};
};

class GeneralRules : public testing::TestWithParam<GeneralCase> {};

INSTANTIATE_TEST_SUITE_P(
    AuthRules, GeneralRules,
    testing::ValuesIn(std::vector<GeneralCase>{
        {.name = "AMessage", .type = "m.room.message", .state_key = std::nullopt},
        {.name = "AMessageByAStranger",
         .ann = "",
         .type = "m.room.message",
         .state_key = std::nullopt,
         .refused = "auth rule 5"},
        {.name = "AMessageByTheInvited",
         .version = "1",
         .ann = "invite",
         .type = "m.room.message",
         .refused = "auth rule 6"},
        {.name = "AMessageByWhoLeftInV12",
         .version = "12",
         .ann = "leave",
         .type = "m.room.message",
         .refused = "auth rule 6"},
        {.name = "AStateEventBelowTheLevel", .refused = "auth rule 7"},
        {.name = "AStateEventBelowTheLevelInV5", .version = "5", .refused = "auth rule 8"},
        {.name = "AStateEventAtTheLevel", .levels = R"({"events":{"m.room.name":0}})"},
        {.name = "AStateEventAtTheDefault", .levels = R"({"state_default":0})"},
        {.name = "AnothersStateKey",
         .levels = R"({"state_default":0})",
         .type = "org.example.note",
         .state_key = "@bob:b.example",
         .refused = "auth rule 8"},
        {.name = "AnothersStateKeyInV3",
         .version = "3",
         .levels = R"({"state_default":0})",
         .type = "org.example.note",
         .state_key = "@bob:b.example",
         .refused = "auth rule 9"},
        {.name = "OnesOwnStateKey", .levels = R"({"state_default":0})", .type = "org.example.note", .state_key = kAnn},
        {.name = "FromAnotherServerWhereClosed",
         .create = R"({"m.federate":false})",
         .type = "m.room.message",
         .refused = "auth rule 3"},
        {.name = "FromAnotherServerWhereClosedInV12",
         .version = "12",
         .create = R"({"m.federate":false})",
         .type = "m.room.message",
         .refused = "auth rule 4"},
        {.name = "FromAnotherServerWhereOpen",
         .create = R"({"m.federate":true})",
         .type = "m.room.message",
         .state_key = std::nullopt},
        {.name = "FromAnotherServerWhereFederateIsOdd",
         .create = R"({"m.federate":"false"})",
         .type = "m.room.message",
         .state_key = std::nullopt},
        {.name = "OwnAliasesInV5", .version = "5", .type = "m.room.aliases", .state_key = "b.example"},
        {.name = "AnothersAliasesInV5",
         .version = "5",
         .type = "m.room.aliases",
         .state_key = "c.example",
         .refused = "auth rule 4.2"},
        {.name = "AliasesOfNobodyInV5",
         .version = "5",
         .type = "m.room.aliases",
         .state_key = std::nullopt,
         .refused = "auth rule 4.1"},
        {.name = "AliasesInV6AreAnyState",
         .version = "6",
         .type = "m.room.aliases",
         .state_key = "b.example",
         .refused = "auth rule 7"},
        {.name = "ThirdPartyInviteAtTheLevel", .type = "m.room.third_party_invite", .state_key = "token"},
        {.name = "ThirdPartyInviteBelow",
         .levels = R"({"invite":1})",
         .type = "m.room.third_party_invite",
         .state_key = "token",
         .refused = "auth rule 6.1"},
        {.name = "RedactionOfOnesOwnServerInV2",
         .version = "2",
         .type = "m.room.redaction",
         .state_key = std::nullopt,
         .redacts = "$x:b.example"},
        {.name = "RedactionOfAnothersInV2",
         .version = "2",
         .type = "m.room.redaction",
         .state_key = std::nullopt,
         .redacts = "$x:a.example",
         .refused = "auth rule 11.3"},
        {.name = "RedactionOfAnothersAtTheLevel",
         .version = "1",
         .levels = R"({"redact":0})",
         .type = "m.room.redaction",
         .state_key = std::nullopt,
         .redacts = "$x:a.example"},
        {.name = "RedactionInV3IsAnyEvent",
         .version = "3",
         .type = "m.room.redaction",
         .state_key = std::nullopt,
         .redacts = "$x:a.example"},
    }),
    [](const auto& tested) { return tested.param.name; });

TEST_P(GeneralRules, AllowOrRefuseByNumber) {
  const GeneralCase& c = GetParam();
  const TestRoom room =
      RoomBuilder(c.version).CreateContent(c.create).PowerLevels(c.levels).Member(kAnn, c.ann).Build();
  JsonObject event = room.Unsigned({.type = c.type, .state_key = c.state_key, .sender = kAnn, .content = {}});
  if (!c.redacts.empty()) event.Set("redacts", Json(c.redacts));
  const RuleResult result = CheckAuthRules(room.Sign(std::move(event)), room.state());
  EXPECT_EQ(RuleThatRefuses(result), c.refused) << result.rule << ": " << result.text;
  EXPECT_FALSE(result.rule.empty());
}

/// A create event, altered.
struct CreateCase {
  std::string name;
  std::string version = "10";
  std::string content = R"({"creator":"@creator:a.example"})";
  std::string members = "{}";  // members of the event, replaced
  std::string refused = {};
};

class CreateRules : public testing::TestWithParam<CreateCase> {};

INSTANTIATE_TEST_SUITE_P(
    AuthRules, CreateRules,
    testing::ValuesIn(std::vector<CreateCase>{
        {.name = "Plain"},
        {.name = "WithPrevEvents", .members = R"({"prev_events":["$x"]})", .refused = "auth rule 1.1"},
        {.name = "OfAnotherDomain", .members = R"({"room_id":"!x:b.example"})", .refused = "auth rule 1.2"},
        {.name = "OfAnUnknownVersion",
         .content = R"({"creator":"@c:a.example","room_version":"13x"})",
         .refused = "auth rule 1.3"},
        {.name = "OfAVersionThatIsNoText",
         .content = R"({"creator":"@c:a.example","room_version":10})",
         .refused = "auth rule 1.3"},
        {.name = "WithoutCreator", .content = "{}", .refused = "auth rule 1.4"},
        {.name = "WithoutCreatorInV11", .version = "11", .content = "{}"},
        {.name = "WithRoomIdInV12",
         .version = "12",
         .members = R"({"room_id":"!x:a.example"})",
         .refused = "auth rule 1.2"},
        {.name = "AdditionalCreatorsInV12",
         .version = "12",
         .content = R"({"additional_creators":["@bob:b.example"]})"},
        {.name = "AdditionalCreatorsNoUsersInV12",
         .version = "12",
         .content = R"({"additional_creators":["bob"]})",
         .refused = "auth rule 1.4"},
        {.name = "AdditionalCreatorsNoListInV12",
         .version = "12",
         .content = R"({"additional_creators":"@bob:b.example"})",
         .refused = "auth rule 1.4"},
        {.name = "AdditionalCreatorsMeanNothingInV11", .version = "11", .content = R"({"additional_creators":"bob"})"},
    }),
    [](const auto& tested) { return tested.param.name; });

TEST_P(CreateRules, AllowOrRefuseByNumber) {
  const CreateCase& c = GetParam();
  JsonObject event = RoomBuilder(c.version).Build().events().front().json();
  event.Set("content", Json(Object(c.content)));
  for (const auto& [key, value] : Object(c.members)) event.Set(key, value);
  const auto create = Event::FromJson(Json(std::move(event)), *FindRoomRules(c.version));
  ASSERT_TRUE(create.ok()) << create.status();
  const RuleResult result = CheckAuthRules(*create, RoomState());
  EXPECT_EQ(RuleThatRefuses(result), c.refused) << result.text;
}

class CitedEvents : public testing::TestWithParam<std::string> {
 protected:
  const TestRoom room_ = RoomBuilder(GetParam()).Member(kAnn, "join").Member("@bob:b.example", "join").Build();
  const Event leave_ = room_.Leave(kAnn);
  const bool v12_ = GetParam() == "12";

  std::vector<CitedEvent> Cited() const {
    std::vector<CitedEvent> cited;
    for (const std::string& id : leave_.auth_events()) {
      for (const Event& event : room_.events()) {
        if (event.event_id() == id) cited.push_back({&event, false});
      }
    }
    return cited;
  }
  std::string Number(std::string_view below) const {
    return (v12_ ? "auth rule 3." : "auth rule 2.") + std::string(below);
  }
  RuleResult Check(const std::vector<CitedEvent>& cited) const {
    return CheckCitedEvents(leave_, cited, room_.state().create());
  }
};

INSTANTIATE_TEST_SUITE_P(AuthRules, CitedEvents, testing::Values("1", "3", "6", "10", "11", "12"));

TEST_P(CitedEvents, AreFineAsSelected) { EXPECT_TRUE(Check(Cited()).allowed()); }

TEST_P(CitedEvents, MustNotRepeatAKey) {
  auto cited = Cited();
  cited.push_back(cited.front());
  const RuleResult result = Check(cited);
  EXPECT_EQ(result.rule, Number("1"));
  EXPECT_EQ(result.reason, Reason::kBadAuthEvents);
}

TEST_P(CitedEvents, MustBeOfTheSelection) {
  auto cited = Cited();
  cited.push_back({room_.state().Find("m.room.member", "@bob:b.example"), false});
  EXPECT_EQ(Check(cited).rule, Number("2"));
}

TEST_P(CitedEvents, MustNotBeRejected) {
  auto cited = Cited();
  cited.back().rejected = true;
  EXPECT_EQ(Check(cited).rule, Number("3"));
}

TEST_P(CitedEvents, NameTheCreateEventBeforeV12AndNeverSince) {
  auto cited = Cited();
  if (v12_) {
    cited.push_back({room_.state().create(), false});
    EXPECT_EQ(Check(cited).rule, "auth rule 3.2");
    EXPECT_EQ(CheckCitedEvents(leave_, Cited(), nullptr).rule, "auth rule 2");
    const TestRoom other = RoomBuilder("12", "@creator:z.example").Build();
    EXPECT_EQ(CheckCitedEvents(leave_, Cited(), other.state().create()).rule, "auth rule 2");
  } else {
    std::erase_if(cited, [](const CitedEvent& c) { return c.event->type() == "m.room.create"; });
    EXPECT_EQ(Check(cited).rule, "auth rule 2.4");
  }
}

TEST_P(CitedEvents, MustBeOfTheRoom) {
  const TestRoom other = RoomBuilder(GetParam(), "@creator:z.example").Member(kAnn, "join").Build();
  auto cited = Cited();
  for (CitedEvent& c : cited) {
    if (c.event->type() == "m.room.member") c.event = other.state().Find("m.room.member", kAnn);
  }
  EXPECT_EQ(Check(cited).rule, Number(v12_ ? "4" : "5"));
}

TEST(AuthRules, EveryVersionNumbersItsOwnPage) {
  for (const RoomRules& rules : AllRoomRules()) {
    EXPECT_EQ(AuthRuleNumber(AuthRule::kCreateHasPrevEvents, rules), "auth rule 1.1") << rules.version;
    EXPECT_TRUE(AuthRuleNumber(AuthRule::kOwnLeave, rules).starts_with("auth rule ")) << rules.version;
  }
  EXPECT_EQ(AuthRuleNumber(AuthRule::kOtherwise, *FindRoomRules("2")), "auth rule 12");
  EXPECT_EQ(AuthRuleNumber(AuthRule::kOtherwise, *FindRoomRules("5")), "auth rule 11");
  EXPECT_EQ(AuthRuleNumber(AuthRule::kOtherwise, *FindRoomRules("9")), "auth rule 10");
  EXPECT_EQ(AuthRuleNumber(AuthRule::kRedactionLevel, *FindRoomRules("3")), "auth rules");
}

TEST(RoomState, HoldsTheEventThatWasSetLast) {
  const TestRoom room = RoomBuilder("10").Member(kAnn, "join").Build();
  RoomState state;
  for (const Event& event : room.events()) state.Set(event);
  EXPECT_EQ(state.Find("m.room.member", kAnn), &room.tip());
  EXPECT_EQ(state.Find("m.room.member", "@nobody:b.example"), nullptr);
  EXPECT_EQ(state.create(), &room.events().front());
  EXPECT_EQ(state.Find("m.room.member", kCreator)->membership(), "join");
}

}  // namespace
}  // namespace postern::matrix
