// The six steps: for each of them what fails it, what that makes of the event, and what the verdict says.
#include "matrix/six_steps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "matrix/base64.h"
#include "matrix/canonical_json.h"
#include "matrix/content_hash.h"
#include "matrix/event_id.h"
#include "tests/support/room_builder.h"

namespace postern::matrix {
namespace {

using support::KeyOf;
using support::Object;
using support::RoomBuilder;
using support::TestRoom;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr char kAnn[] = "@ann:b.example";

/// One of each family of room versions.
const auto kFamilies = testing::Values("1", "2", "3", "5", "6", "7", "9", "10", "11", "12");
std::string VersionName(const testing::TestParamInfo<std::string>& tested) { return "V" + tested.param; }

class SixSteps : public testing::TestWithParam<std::string> {
 protected:
  static TestRoom Room(std::string_view membership = "invite") {
    return RoomBuilder(GetParam()).Member(kAnn, membership).Build();
  }
  static Verdict Judge(const TestRoom& room, const JsonObject& event, const JudgingContext& context) {
    auto verdict = RunSixSteps(CanonicalJson(event), room.rules(), context, room.keys(), room.now());
    EXPECT_TRUE(verdict.ok()) << verdict.status();
    return verdict.ok() ? *std::move(verdict) : Verdict();
  }
  static Verdict Judge(const TestRoom& room, const Event& event) {
    return Judge(room, event.json(), room.ContextFor(event));
  }
  static std::vector<StepOutcome> Outcomes(const Verdict& verdict) {
    std::vector<StepOutcome> outcomes;
    for (const StepResult& step : verdict.steps) outcomes.push_back(step.outcome);
    return outcomes;
  }
};

constexpr StepOutcome kOk = StepOutcome::kOk;
constexpr StepOutcome kFailed = StepOutcome::kFailed;
constexpr StepOutcome kSkipped = StepOutcome::kSkipped;

INSTANTIATE_TEST_SUITE_P(Versions, SixSteps, kFamilies, VersionName);

TEST_P(SixSteps, AcceptTheRejectionOfAnInvite) {
  const TestRoom room = Room();
  const Event leave = room.Leave(kAnn);
  const Verdict verdict = Judge(room, leave);
  EXPECT_EQ(verdict.outcome, Outcome::kAccepted) << verdict.detail;
  EXPECT_EQ(verdict.reason, Reason::kNone);
  EXPECT_THAT(Outcomes(verdict), ElementsAre(kOk, kOk, kOk, kOk, kOk, kOk));
  EXPECT_EQ(verdict.event_id, leave.event_id());
  EXPECT_EQ(verdict.judged_copy, TestRoom::Text(leave));
  EXPECT_EQ(verdict.judged_sha256, Sha256(verdict.judged_copy));
  EXPECT_EQ(verdict.judged_at, room.now());
  EXPECT_THAT(verdict.keys_used, ElementsAre(Field(&UsedKey::server_name, "b.example")));
  EXPECT_TRUE(verdict.commutes);
  ASSERT_THAT(verdict.current_state_change, SizeIs(1));
  EXPECT_EQ(verdict.current_state_change[0].key, (StateKey{"m.room.member", kAnn}));
  EXPECT_EQ(verdict.current_state_change[0].event_id, leave.event_id());
  EXPECT_THAT(verdict.read_set, ElementsAre(StateKey{"m.room.create", ""}, StateKey{"m.room.member", kAnn},
                                            StateKey{"m.room.power_levels", ""}));
}

TEST_P(SixSteps, NameARuleAndTheEventsLookedAtInEachOfTheLastThree) {
  const TestRoom room = Room();
  const Verdict verdict = Judge(room, room.Leave(kAnn));
  for (const std::size_t step : {3U, 4U, 5U}) {
    EXPECT_THAT(verdict.steps[step].rule, HasSubstr("auth rule ")) << step;
    EXPECT_THAT(verdict.steps[step].text, Not(IsEmpty())) << step;
    EXPECT_THAT(verdict.steps[step].looked_at, Contains(room.state().Find("m.room.member", kAnn)->event_id())) << step;
  }
}

TEST_P(SixSteps, FormatFailsFirstAndAlone) {
  const TestRoom room = Room();
  const Event leave = room.Leave(kAnn);
  JsonObject event = leave.json();
  event.Set("depth", Json("deep"));
  const Verdict verdict = Judge(room, event, room.ContextFor(leave));
  EXPECT_EQ(verdict.outcome, Outcome::kInvalid);
  EXPECT_EQ(verdict.reason, Reason::kBadFormat);
  EXPECT_THAT(Outcomes(verdict), ElementsAre(kFailed, kSkipped, kSkipped, kSkipped, kSkipped, kSkipped));
  EXPECT_THAT(verdict.judged_copy, IsEmpty());
}

TEST_P(SixSteps, WhatIsNoJsonFailsTheFormatToo) {
  const TestRoom room = Room();
  for (const std::string_view text : {"", "{", "[]", "{\"a\":1,\"a\":2}", "\"\\ud800\""}) {
    const auto verdict = RunSixSteps(text, room.rules(), room.ContextFor(room.tip()), room.keys(), room.now());
    ASSERT_TRUE(verdict.ok());
    EXPECT_EQ(verdict->outcome, Outcome::kInvalid);
    EXPECT_EQ(verdict->reason, Reason::kBadFormat);
    EXPECT_THAT(verdict->steps, SizeIs(6));
  }
}

TEST_P(SixSteps, AContentHashMismatchGoesOnWithTheRedactedCopy) {
  const TestRoom room = Room();
  const Event leave = room.Leave(kAnn);
  JsonObject event = leave.json();
  JsonObject content = *event.Find("content")->AsObject();
  content.Set("reason", Json("not what was signed"));
  event.Set("content", Json(std::move(content)));
  const Verdict verdict = Judge(room, event, room.ContextFor(leave));
  EXPECT_EQ(verdict.outcome, Outcome::kAccepted) << verdict.detail;
  EXPECT_THAT(Outcomes(verdict), ElementsAre(kOk, StepOutcome::kRedacted, kOk, kOk, kOk, kOk));
  EXPECT_EQ(verdict.event_id, leave.event_id());
  EXPECT_THAT(verdict.judged_copy, AllOf(Not(HasSubstr("not what was signed")), HasSubstr("signatures")));
  EXPECT_EQ(verdict.judged_sha256, Sha256(verdict.judged_copy));
  EXPECT_EQ(Event::Parse(verdict.judged_copy, room.rules())->event_id(), leave.event_id());
}

TEST_P(SixSteps, UnsignedIsNotKept) {
  const TestRoom room = Room();
  const Event leave = room.Leave(kAnn);
  JsonObject event = leave.json();
  event.Set("unsigned", Json(Object(R"({"age":1,"invite_room_state":[]})")));
  const Verdict verdict = Judge(room, event, room.ContextFor(leave));
  EXPECT_EQ(verdict.outcome, Outcome::kAccepted);
  EXPECT_EQ(verdict.judged_copy, TestRoom::Text(leave));
}

TEST_P(SixSteps, AWrongSignatureRefusesWhateverTheHashSays) {
  const TestRoom room = Room();
  const Event leave = room.Leave(kAnn);
  for (const bool hash_matches : {true, false}) {
    JsonObject event = leave.json();
    if (!hash_matches) event.Set("content", Json(Object(R"({"membership":"leave","x":1})")));
    event.Erase("signatures");
    SignEvent(event, "b.example", *SigningKey::FromSeed("ed25519:test", std::string(32, 'x')), room.rules());
    const Verdict verdict = Judge(room, event, room.ContextFor(leave));
    EXPECT_EQ(verdict.outcome, Outcome::kInvalid);
    EXPECT_EQ(verdict.reason, Reason::kBadSignature);
    EXPECT_THAT(Outcomes(verdict),
                ElementsAre(kOk, hash_matches ? kOk : StepOutcome::kRedacted, kFailed, kSkipped, kSkipped, kSkipped));
    EXPECT_EQ(verdict.judged_sha256, Sha256(verdict.judged_copy));
  }
}

TEST_P(SixSteps, WithoutAKeyNothingIsSigned) {
  const TestRoom room = Room();
  const Event leave = room.Leave(kAnn);
  const auto verdict = RunSixSteps(TestRoom::Text(leave), room.rules(), room.ContextFor(leave), {}, room.now());
  EXPECT_EQ(verdict->reason, Reason::kBadSignature);
}

TEST_P(SixSteps, AnUnknownPrevOrAuthEventIsInvalid) {
  const TestRoom room = Room();
  const Event leave = room.Leave(kAnn);
  for (const bool prev : {true, false}) {
    JudgingContext context = room.ContextFor(leave);
    (prev ? context.prev_events : context.auth_events).front() = {
        .event_id = (prev ? leave.prev_events() : leave.auth_events()).front()};
    const Verdict verdict = Judge(room, leave.json(), context);
    EXPECT_EQ(verdict.outcome, Outcome::kInvalid);
    EXPECT_EQ(verdict.reason, Reason::kUnknownEvents);
    EXPECT_THAT(Outcomes(verdict), ElementsAre(kOk, kOk, kOk, kFailed, kSkipped, kSkipped));
  }
}

TEST_P(SixSteps, ARejectedAuthEventRejectsWhetherOrNotItIsKept) {
  const TestRoom room = Room();
  const Event leave = room.Leave(kAnn);
  for (const bool kept : {true, false}) {
    JudgingContext context = room.ContextFor(leave);
    context.auth_events.back().rejected = true;
    if (!kept) context.auth_events.back().event = nullptr;
    const Verdict verdict = Judge(room, leave.json(), context);
    EXPECT_EQ(verdict.outcome, Outcome::kRejected);
    EXPECT_EQ(verdict.reason, Reason::kBadAuthEvents);
    EXPECT_EQ(verdict.steps[3].rule, GetParam() == "12" ? "auth rule 3.3" : "auth rule 2.3");
  }
}

TEST_P(SixSteps, ARejectedPrevEventWhoseStateIsNotKnownCannotBeHad) {
  const TestRoom room = Room();
  const Event leave = room.Leave(kAnn);
  JudgingContext context = room.ContextFor(leave);
  context.prev_events.front().rejected = true;
  context.extends_all_extremities = false;
  context.state_before_unresolved = true;
  const Verdict verdict = Judge(room, leave.json(), context);
  EXPECT_EQ(verdict.outcome, Outcome::kInvalid);
  EXPECT_EQ(verdict.reason, Reason::kUnknownEvents);
}

TEST_P(SixSteps, ARejectedPrevEventDoesNot) {
  const TestRoom room = Room();
  const Event leave = room.Leave(kAnn);
  JudgingContext context = room.ContextFor(leave);
  context.prev_events.front().rejected = true;
  EXPECT_EQ(Judge(room, leave.json(), context).outcome, Outcome::kAccepted);
}

TEST_P(SixSteps, NoPrevEventsRejects) {
  const TestRoom room = Room();
  JsonObject event = room.Leave(kAnn).json();
  event.Set("prev_events", Json(JsonArray()));
  const Event leave = room.Sign(std::move(event));
  EXPECT_EQ(Judge(room, leave).reason, Reason::kBadAuthEvents);
}

TEST_P(SixSteps, TheStateBeforeRejects) {
  const TestRoom room = Room("invite");
  const TestRoom banned = Room("ban");
  const Event leave = room.Leave(kAnn);
  JudgingContext context = room.ContextFor(leave);
  context.extends_all_extremities = false;
  context.state_before.Set(*banned.state().Find("m.room.member", kAnn));
  const Verdict verdict = Judge(room, leave.json(), context);
  EXPECT_EQ(verdict.outcome, Outcome::kRejected);
  EXPECT_EQ(verdict.reason, Reason::kNotAuthorised);
  EXPECT_THAT(Outcomes(verdict), ElementsAre(kOk, kOk, kOk, kOk, kFailed, kSkipped));
  EXPECT_THAT(verdict.current_state_change, IsEmpty());
}

TEST_P(SixSteps, TheCurrentStateSoftFails) {
  for (const std::string_view now : {"ban", "leave"}) {
    const TestRoom room = Room("invite");
    const TestRoom later = Room(now);
    const Event leave = room.Leave(kAnn);
    JudgingContext context = room.ContextFor(leave);
    context.extends_all_extremities = false;
    context.state_now.Set(*later.state().Find("m.room.member", kAnn));
    const Verdict verdict = Judge(room, leave.json(), context);
    EXPECT_EQ(verdict.outcome, Outcome::kSoftFailed) << now;
    EXPECT_EQ(verdict.reason, Reason::kNotAuthorised);
    EXPECT_THAT(Outcomes(verdict), ElementsAre(kOk, kOk, kOk, kOk, kOk, kFailed));
    EXPECT_THAT(verdict.current_state_change, IsEmpty());
    EXPECT_THAT(verdict.detail, HasSubstr("auth rule "));
  }
}

TEST_P(SixSteps, AnUnresolvedStateGivesNoVerdictButOnlyAfterStepFour) {
  const TestRoom room = Room();
  const Event leave = room.Leave(kAnn);
  JudgingContext context = room.ContextFor(leave);
  context.extends_all_extremities = false;
  context.state_before_unresolved = true;
  const auto verdict = RunSixSteps(TestRoom::Text(leave), room.rules(), context, room.keys(), room.now());
  EXPECT_EQ(ReasonOf(verdict.status()), Reason::kStateUnresolved);

  const auto unsigned_one = RunSixSteps(TestRoom::Text(leave), room.rules(), context, {}, room.now());
  ASSERT_TRUE(unsigned_one.ok());
  EXPECT_EQ(unsigned_one->reason, Reason::kBadSignature);

  context.auth_events.back().rejected = true;
  EXPECT_EQ(Judge(room, leave.json(), context).reason, Reason::kBadAuthEvents);
}

TEST_P(SixSteps, AContextOfAnotherEventIsRefused) {
  const TestRoom room = Room();
  const Event leave = room.Leave(kAnn);
  JudgingContext context = room.ContextFor(leave);
  context.auth_events.pop_back();
  auto verdict = RunSixSteps(TestRoom::Text(leave), room.rules(), context, room.keys(), room.now());
  EXPECT_EQ(ReasonOf(verdict.status()), Reason::kInvalidArgument);
  context = room.ContextFor(leave);
  context.room_id = "!other:a.example";
  verdict = RunSixSteps(TestRoom::Text(leave), room.rules(), context, room.keys(), room.now());
  EXPECT_EQ(ReasonOf(verdict.status()), Reason::kInvalidArgument);
}

TEST_P(SixSteps, APolicyServerIsASeventhResult) {
  const TestRoom room =
      RoomBuilder(GetParam()).Member(kAnn, "invite").State("m.room.policy", "", R"({"via":"p.example"})").Build();
  const Verdict verdict = Judge(room, room.Leave(kAnn));
  ASSERT_THAT(verdict.steps, SizeIs(7));
  EXPECT_EQ(verdict.steps[6].step, Step::kPolicyServer);
  EXPECT_EQ(verdict.steps[6].outcome, kSkipped);
  EXPECT_EQ(verdict.outcome, Outcome::kAccepted);
}

// Versions 1 and 2 let a sender choose its ids, and so close a circle.
TEST(EventGraph, ACycleIsRejected) {
  TestRoom room = RoomBuilder("2").Member(kAnn, "invite").Build();
  JsonObject first = room.Leave(kAnn).json();
  JsonObject evil = room.Unsigned(
      {.type = "m.room.message", .state_key = std::nullopt, .sender = "@creator:a.example", .content = {}});
  evil.Set("prev_events",
           Json(JsonArray{Json(JsonArray{*first.Find("event_id"), Json(Object(R"({"sha256":"AA"})"))})}));
  room.Append(room.Sign(std::move(evil)));
  JsonObject leave = room.Unsigned(
      {.type = "m.room.member", .state_key = kAnn, .sender = kAnn, .content = Object(R"({"membership":"leave"})")});
  leave.Set("event_id", *first.Find("event_id"));
  const Event event = room.Sign(std::move(leave));
  const auto verdict =
      RunSixSteps(TestRoom::Text(event), room.rules(), room.ContextFor(event), room.keys(), room.now());
  ASSERT_TRUE(verdict.ok()) << verdict.status();
  EXPECT_EQ(verdict->outcome, Outcome::kRejected);
  EXPECT_THAT(verdict->detail, HasSubstr("cites it"));
}

TEST(EventGraph, AnEventThatCitesItselfIsRejected) {
  const TestRoom room = RoomBuilder("1").Member(kAnn, "invite").Build();
  JsonObject leave = room.Leave(kAnn).json();
  leave.Set("prev_events",
            Json(JsonArray{Json(JsonArray{*leave.Find("event_id"), Json(Object(R"({"sha256":"AA"})"))})}));
  const Event event = room.Sign(std::move(leave));
  const auto verdict =
      RunSixSteps(TestRoom::Text(event), room.rules(), room.ContextFor(event), room.keys(), room.now());
  ASSERT_TRUE(verdict.ok()) << verdict.status();
  EXPECT_EQ(verdict->reason, Reason::kBadAuthEvents);
}

/// A self-leave that forks from before other leaves were seen.
struct CommutingCase {
  std::string name;
  bool extends = false;
  bool diverge = false;
  std::int64_t seconds_after_invite = 10;
  bool levels_changed = false;
  bool commutes = false;
  bool unresolved = false;
};

class Commuting : public testing::TestWithParam<CommutingCase> {};

INSTANTIATE_TEST_SUITE_P(SixSteps, Commuting,
                         testing::ValuesIn(std::vector<CommutingCase>{
                             {.name = "FromAnEarlierTip", .commutes = true},
                             {.name = "WhereStatesDiverge", .diverge = true, .unresolved = true},
                             {.name = "DatedBeforeItsInvite", .seconds_after_invite = -1, .unresolved = true},
                             {.name = "DatedBeforeItsInviteButLast", .extends = true, .seconds_after_invite = -1},
                             {.name = "LevelsChangedMeanwhile", .levels_changed = true, .unresolved = true},
                             {.name = "Last", .extends = true, .commutes = true},
                             {.name = "LastIsNeverDiverging", .extends = true, .diverge = true, .commutes = true},
                         }),
                         [](const auto& tested) { return tested.param.name; });

TEST_P(Commuting, IsOnlySaidWhereItHolds) {
  const CommutingCase& c = GetParam();
  TestRoom room = RoomBuilder("10").Member(kAnn, "invite").Build();
  const std::int64_t invited = room.tip().origin_server_ts();
  const Event leave = room.Mint({.type = "m.room.member",
                                 .state_key = kAnn,
                                 .sender = kAnn,
                                 .content = Object(R"({"membership":"leave"})"),
                                 .origin_server_ts = invited + c.seconds_after_invite * 1000});
  JudgingContext context = room.ContextFor(leave);
  context.extends_all_extremities = c.extends;
  context.states_diverge = c.diverge;
  Event levels = room.Mint({.type = "m.room.power_levels",
                            .state_key = "",
                            .sender = room.creator(),
                            .content = Object(R"({"users":{"@creator:a.example":100},"ban":60})")});
  if (c.levels_changed) context.state_now.Set(levels);
  const auto verdict = RunSixSteps(TestRoom::Text(leave), room.rules(), context, room.keys(), room.now());
  if (c.unresolved) {
    EXPECT_EQ(ReasonOf(verdict.status()), Reason::kStateUnresolved);
    return;
  }
  ASSERT_TRUE(verdict.ok()) << verdict.status();
  EXPECT_EQ(verdict->outcome, Outcome::kAccepted);
  EXPECT_EQ(verdict->commutes, c.commutes);
  EXPECT_EQ(verdict->state_after_change.size(), 1U);
  EXPECT_EQ(verdict->current_state_change.size(), 1U);
}

TEST(Verdicts, AreTheSameForTheSameRequest) {
  const TestRoom room = RoomBuilder("10").Member(kAnn, "invite").Build();
  const Event leave = room.Leave(kAnn);
  const auto first = RunSixSteps(TestRoom::Text(leave), room.rules(), room.ContextFor(leave), room.keys(), room.now());
  const auto second = RunSixSteps(TestRoom::Text(leave), room.rules(), room.ContextFor(leave), room.keys(), room.now());
  EXPECT_EQ(first->judged_copy, second->judged_copy);
  EXPECT_EQ(first->read_set, second->read_set);
}

}  // namespace
}  // namespace postern::matrix
