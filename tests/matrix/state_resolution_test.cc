// State resolution beyond the vectors: its budget, what is missing, and that order does not matter.
#include "matrix/state_resolution.h"

#include <gtest/gtest.h>

#include "matrix/refusal.h"
#include "tests/support/room_builder.h"

namespace postern::matrix {
namespace {

using support::Object;
using support::RoomBuilder;
using support::TestRoom;

constexpr char kAnn[] = "@ann:b.example";

/// Two branches after one room: Ann leaves in one, the creator changes the name in the other.
class ForkedRoom : public testing::TestWithParam<std::string> {
 protected:
  ForkedRoom() {
    for (const Event& event : room_.events()) {
      events_.Add(event);
      base_[{event.type(), *event.state_key()}] = event.event_id();
    }
    events_.Add(leave_);
    events_.Add(name_);
    left_ = base_;
    left_[{"m.room.member", kAnn}] = leave_.event_id();
    named_ = base_;
    named_[{"m.room.name", ""}] = name_.event_id();
  }

  const TestRoom room_ = RoomBuilder(GetParam()).Member(kAnn, "join").Build();
  const Event leave_ = room_.Leave(kAnn);
  const Event name_ =
      room_.Mint({.type = "m.room.name", .state_key = "", .sender = room_.creator(), .content = Object("{}")});
  ResolutionEvents events_;
  StateMap base_;
  StateMap left_;
  StateMap named_;
};

INSTANTIATE_TEST_SUITE_P(Versions, ForkedRoom, testing::Values("1", "2", "11", "12"),
                         [](const auto& tested) { return "V" + tested.param; });

TEST_P(ForkedRoom, HasBothChanges) {
  StateMap both = left_;
  both[{"m.room.name", ""}] = name_.event_id();
  EXPECT_EQ(*ResolveState({left_, named_}, events_, room_.rules()), both);
  EXPECT_EQ(*ResolveState({named_, left_}, events_, room_.rules()), both);
  EXPECT_EQ(*ResolveState({named_, left_, left_}, events_, room_.rules()), both);
}

TEST_P(ForkedRoom, AgreesWithItselfWhereNothingIsInDispute) {
  EXPECT_EQ(*ResolveState({left_}, events_, room_.rules()), left_);
  EXPECT_EQ(*ResolveState({left_, left_}, events_, room_.rules()), left_);
  EXPECT_EQ(*ResolveState({}, events_, room_.rules()), StateMap());
}

TEST_P(ForkedRoom, SaysWhenTheWorkIsTooMuch) {
  EXPECT_EQ(ReasonOf(ResolveState({left_, named_}, events_, room_.rules(), 5).status()), Reason::kStateUnresolved);
}

TEST_P(ForkedRoom, SaysWhenAnEventIsMissing) {
  ResolutionEvents incomplete;
  incomplete.Add(leave_);
  EXPECT_EQ(ReasonOf(ResolveState({left_, named_}, incomplete, room_.rules()).status()), Reason::kInvalidArgument);
}

/// A long line of events, each resting on the one before: nothing recurses.
TEST(StateResolution, WalksLongChainsWithoutAStack) {
  constexpr int kLength = 2000;
  TestRoom room = RoomBuilder("10").Member(kAnn, "join").Build();
  ResolutionEvents events;
  StateMap state;
  StateMap early;
  for (int i = 0; i < kLength; ++i) {
    room.Append(room.Member(kAnn, "join"));
    if (i == kLength / 2) early[{"m.room.member", kAnn}] = room.tip().event_id();
  }
  for (const Event& event : room.events()) {
    events.Add(event);
    state[{event.type(), *event.state_key()}] = event.event_id();
  }
  const auto member = early;
  early = state;
  early[{"m.room.member", kAnn}] = member.begin()->second;
  const auto resolved = ResolveState({early, state}, events, room.rules());
  ASSERT_TRUE(resolved.ok()) << resolved.status();
  EXPECT_EQ(*resolved, state);
}

}  // namespace
}  // namespace postern::matrix
