// posternctl replay, as a process: the same validator says the same again; what another one says otherwise is listed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/time/clock.h"
#include "matrix/canonical_json.h"
#include "matrix/refusal.h"
#include "tests/posternctl/explain_rig.h"
#include "tests/support/store_requests.h"

namespace postern::posternctl {
namespace {

using matrix::Event;
using support::RoomBuilder;
using support::TestRoom;
using testing::AllOf;
using testing::HasSubstr;

constexpr char kAnn[] = "@ann:b.example";

class Replay : public testing::TestWithParam<const char*> {
 protected:
  /// Decisions of every kind: a leave at the tip, one beside it, one altered on its way, one soft-failed, one refused,
  /// and an event of our own.
  void MakeHistory() {
    const TestRoom room = RoomBuilder(GetParam(), "@creator:h.example")
                              .Member(kAnn, "invite")
                              .Member("@bob:c.example", "join")
                              .Member("@cat:d.example", "join")
                              .Member("@dan:e.example", "join")
                              .Member("@eve:f.example", "ban")
                              .Build();
    rig_.Create(room);
    EXPECT_EQ(rig_.Decide(room, room.Leave(kAnn)).outcome(), matrix::v1::OUTCOME_ACCEPTED);
    const auto beside = rig_.Decide(room, room.Leave("@bob:c.example"));
    EXPECT_EQ(beside.outcome(), matrix::v1::OUTCOME_ACCEPTED);
    EXPECT_TRUE(beside.commutes());
    const Event cat = room.Leave("@cat:d.example");
    matrix::JsonObject altered = cat.json();
    altered.Set("content", matrix::Json(support::Object(R"({"membership":"leave","reason":"spam"})")));
    EXPECT_EQ(rig_.Decide(room, cat, matrix::CanonicalJson(altered)).steps(1).outcome(),
              matrix::v1::STEP_OUTCOME_REDACTED);
    const Event dan = room.Leave("@dan:e.example");
    // Ordered before Dan's leave, and standing beside it.
    EXPECT_EQ(rig_.Decide(room, room.Leave("@eve:f.example")).outcome(), matrix::v1::OUTCOME_REJECTED);
    EXPECT_EQ(rig_.Decide(room, dan).outcome(), matrix::v1::OUTCOME_ACCEPTED);
    const Event again = room.Mint({.type = "m.room.member",
                                   .state_key = "@dan:e.example",
                                   .sender = "@dan:e.example",
                                   .content = support::Object(R"({"membership":"leave","reason":"again"})")});
    EXPECT_NE(rig_.Decide(room, again).outcome(), matrix::v1::OUTCOME_INVALID);

    TestRoom own = RoomBuilder(GetParam()).Build();
    rig_.Create(own);
    rig_.Mint(own.Mint({.type = "m.room.topic", .state_key = "", .sender = own.creator(), .content = {}}));
  }
  static constexpr std::int64_t kDecisions = 7;

  ExplainRig rig_;
};

TEST_P(Replay, FindsNoDifferenceWithTheSameRules) {
  MakeHistory();
  const std::string before = rig_.Written();
  const matrix::Json replayed = rig_.Json({"replay", "--since", "0"});
  EXPECT_EQ(Number(replayed, "judged"), kDecisions);
  EXPECT_EQ(Number(replayed, "differing"), 0) << matrix::CanonicalJson(replayed);
  EXPECT_EQ(Number(replayed, "not_recorded"), 0);
  EXPECT_THAT(rig_.Ctl({"replay", "--since", "24h"}).output, HasSubstr("0 differ"));
  EXPECT_EQ(rig_.Written(), before);
}

TEST_P(Replay, ListsWhatAnotherValidatorSaysOtherwise) {
  MakeHistory();
  rig_.validator().ForceOutcome(matrix::Outcome::kRejected, matrix::Reason::kNotAuthorised);
  const Ended people = rig_.Ctl({"replay", "--since", "0"});
  EXPECT_EQ(people.status, 1);
  EXPECT_THAT(people.output, AllOf(HasSubstr("outcome"), HasSubstr("accepted"), HasSubstr("rejected"),
                                   HasSubstr("step 5 (state before)")));
  const matrix::Json replayed = rig_.Json({"replay", "--since", "0"}, 1);
  EXPECT_GE(Number(replayed, "differing"), 4);
  const matrix::Json& first = Member(replayed, "differences").AsArray()->front();
  const matrix::Json& outcome = Member(first, "differences").AsArray()->front();
  EXPECT_EQ(*Member(outcome, "what").AsString(), "outcome");
  EXPECT_EQ(*Member(outcome, "recorded").AsString(), "accepted");
  EXPECT_EQ(*Member(outcome, "now").AsString(), "rejected");
}

TEST_P(Replay, ListsWhatAnotherValidatorJudgesNoMore) {
  MakeHistory();
  rig_.validator().FailCalls(matrix::Refuse(matrix::Reason::kStateUnresolved, "not any more"));
  const Ended people = rig_.Ctl({"replay", "--since", "0"});
  EXPECT_EQ(people.status, 1);
  EXPECT_THAT(people.output, HasSubstr("state_unresolved"));
}

INSTANTIATE_TEST_SUITE_P(Families, Replay, testing::Values("1", "2", "4", "10", "12"),
                         [](const auto& test) { return "V" + std::string(test.param); });

class ReplayOfOne : public testing::Test {
 protected:
  ExplainRig rig_;
  TestRoom room_ = RoomBuilder("10").Member(kAnn, "invite").Build();
};

TEST_F(ReplayOfOne, SkipsWhatWasNotRecorded) {
  rig_.Create(room_);
  const Event leave = room_.Leave(kAnn);
  const rpc::CallContext call{absl::Now() + absl::Minutes(1), telemetry::NewTrace()};
  const auto context = rig_.store().GetEventContext(call, support::ContextRequestFor(leave));
  ASSERT_TRUE(
      rig_.store().PersistEvent(call, support::PersistRequestFor(leave, *context, matrix::v1::OUTCOME_REJECTED)).ok());
  const matrix::Json replayed = rig_.Json({"replay", "--since", "0"});
  EXPECT_EQ(Number(replayed, "judged"), 0);
  EXPECT_EQ(Number(replayed, "not_recorded"), 1);
}

TEST_F(ReplayOfOne, GoesBackAsFarAsItIsTold) {
  rig_.Create(room_);
  rig_.Decide(room_, room_.Leave(kAnn));
  for (const char* since : {"1h", "0", "2020-01-01", "2020-01-01T12:00:00Z"}) {
    EXPECT_EQ(Number(rig_.Json({"replay", "--since", since}), "judged"), 1) << since;
  }
  EXPECT_EQ(Number(rig_.Json({"replay", "--since", "2200-01-01"}), "judged"), 0);
  EXPECT_EQ(Number(rig_.Json({"replay", "--since", "0", "--room", "!other:a.example"}), "judged"), 0);
}

TEST_F(ReplayOfOne, SaysWhatIsWrongWithTheQuestion) {
  EXPECT_EQ(rig_.Ctl({"replay"}).status, 2);
  EXPECT_EQ(rig_.Ctl({"replay", "--since", "yesterday"}).status, 2);
  EXPECT_EQ(rig_.Ctl({"replay", "--since", "0", "--validator", "validator.example:7101"}).status, 2);
}

TEST_F(ReplayOfOne, SaysThatNobodyAnswers) {
  rig_.Create(room_);
  rig_.Decide(room_, room_.Leave(kAnn));
  EXPECT_EQ(rig_.Ctl({"replay", "--since", "0", "--validator", "127.0.0.1:1", "--timeout", "2"}).status, 3);
}

}  // namespace
}  // namespace postern::posternctl
