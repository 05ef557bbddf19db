// Events that one context after another holds: what is remembered of them, and that nobody can tell.
#include "services/validator/recurring_events.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "matrix/refusal.h"
#include "services/validator/judgement.h"
#include "tests/support/judging_request.h"
#include "tests/support/room_builder.h"

namespace postern::validator {
namespace {

using support::RoomBuilder;
using support::TestRoom;

constexpr char kAnn[] = "@ann:b.example";

class EventsReadTwice : public testing::Test {
 protected:
  /// Whether what is read is remembered: the same object both times.
  bool IsKept(RecurringEvents& recurring, const matrix::Event& event) {
    const std::string text = TestRoom::Text(event);
    const auto first = recurring.Read(event.event_id(), text, event.rules());
    const auto again = recurring.Read(event.event_id(), text, event.rules());
    EXPECT_TRUE(first.ok() && again.ok());
    EXPECT_EQ((*again)->event_id(), event.event_id());
    return *first == *again;
  }
  const matrix::Event& Of(const char* type) { return *room_.state().Find(type, ""); }

  const TestRoom room_ = RoomBuilder("10").Member(kAnn, "invite").State("m.room.topic", "", "{}").Build();
};

TEST_F(EventsReadTwice, AreParsedOnceIfTheyAreStateButMembers) {
  RecurringEvents recurring;
  EXPECT_TRUE(IsKept(recurring, Of("m.room.create")));
  EXPECT_TRUE(IsKept(recurring, Of("m.room.power_levels")));
  EXPECT_FALSE(IsKept(recurring, *room_.state().Find("m.room.member", kAnn)));
  EXPECT_EQ(recurring.size(), 2U);
}

TEST_F(EventsReadTwice, AreParsedAnewWhereTheTextOrTheRulesAreOthers) {
  RecurringEvents recurring;
  const matrix::Event& create = Of("m.room.create");
  const matrix::Event& topic = Of("m.room.topic");
  const auto first = recurring.Read("$name", TestRoom::Text(create), create.rules());
  const auto other = recurring.Read("$name", TestRoom::Text(topic), topic.rules());
  ASSERT_TRUE(first.ok() && other.ok());
  EXPECT_EQ((*other)->event_id(), topic.event_id());
  const auto* newer = matrix::FindRoomRules("11");
  const auto by_other_rules = recurring.Read("$name", TestRoom::Text(topic), *newer);
  ASSERT_TRUE(by_other_rules.ok());
  EXPECT_EQ(&(*by_other_rules)->rules(), newer);
  EXPECT_EQ(recurring.size(), 1U);
}

TEST_F(EventsReadTwice, ThatCannotBeReadAreRefusedEachTime) {
  RecurringEvents recurring;
  for (int time = 0; time < 2; ++time) {
    const auto read = recurring.Read("$name", R"({"type":1})", room_.rules());
    EXPECT_EQ(matrix::ReasonOf(read.status()), matrix::Reason::kBadFormat);
  }
  EXPECT_EQ(recurring.size(), 0U);
}

TEST_F(EventsReadTwice, AreForgottenBeyondTheLimitsTheLongestUnusedFirst) {
  const auto size = [this](const char* type) { return TestRoom::Text(Of(type)).size(); };
  const std::size_t two = size("m.room.create") + std::max(size("m.room.power_levels"), size("m.room.join_rules"));
  for (const RecurringLimits& limits : {RecurringLimits{.most = 2}, RecurringLimits{.most_bytes = two}}) {
    RecurringEvents recurring(limits);
    const auto kept = recurring.Read("create", TestRoom::Text(Of("m.room.create")), room_.rules());
    const auto gone = recurring.Read("levels", TestRoom::Text(Of("m.room.power_levels")), room_.rules());
    EXPECT_EQ(*recurring.Read("create", TestRoom::Text(Of("m.room.create")), room_.rules()), *kept);
    ASSERT_TRUE(recurring.Read("rule", TestRoom::Text(Of("m.room.join_rules")), room_.rules()).ok());
    EXPECT_EQ(recurring.size(), 2U);
    EXPECT_EQ(*recurring.Read("create", TestRoom::Text(Of("m.room.create")), room_.rules()), *kept);
    EXPECT_NE(*recurring.Read("levels", TestRoom::Text(Of("m.room.power_levels")), room_.rules()), *gone);
  }
  RecurringEvents none({.most_bytes = 10});
  EXPECT_FALSE(IsKept(none, Of("m.room.create")));
}

TEST_F(EventsReadTwice, LeaveVerdictsAsTheyAre) {
  RecurringEvents recurring;
  for (const char* version : {"1", "3", "6", "10", "11", "12"}) {
    for (const char* membership : {"invite", "join", "leave", "ban", ""}) {
      const TestRoom room = RoomBuilder(version).Member(kAnn, membership).Build();
      const auto request = support::ValidateRequestFor(room, room.Leave(kAnn));
      v1::ValidateResponse plain, first, again;
      const absl::Status status = Validate(request, plain);
      EXPECT_EQ(Validate(request, recurring, first), status) << version << membership;
      EXPECT_EQ(Validate(request, recurring, again), status) << version << membership;
      EXPECT_EQ(first.SerializeAsString(), plain.SerializeAsString()) << version << membership;
      EXPECT_EQ(again.SerializeAsString(), plain.SerializeAsString()) << version << membership;
    }
  }
  EXPECT_GT(recurring.size(), 0U);
}

}  // namespace
}  // namespace postern::validator
