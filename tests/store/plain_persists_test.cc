// Which events are written without a decision of the database, and that nothing is where a room is not as it was
// thought.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "services/store/seen_origins.h"
#include "tests/store/store_rig.h"
#include "tests/support/store_requests.h"

namespace postern::store {
namespace {

using support::StoreRig;
using support::TestRoom;
using support::UserOf;

rpc::CallContext Call() { return StoreRig::Within(absl::Seconds(60)); }

TEST(SeenOrigins, AreNotedAgainAfterHalfAnHour) {
  SeenOrigins seen(10);
  const absl::Time now = absl::UnixEpoch();
  const std::vector<std::string> both = {"a.example", "b.example", "a.example"};
  EXPECT_EQ(seen.NotSeenLately(both, now), (std::vector<std::string>{"a.example", "b.example"}));
  seen.Note({"a.example"}, now);
  EXPECT_EQ(seen.NotSeenLately(both, now + absl::Minutes(29)), (std::vector<std::string>{"b.example"}));
  EXPECT_EQ(seen.NotSeenLately(both, now + absl::Minutes(30)), (std::vector<std::string>{"a.example", "b.example"}));
}

TEST(SeenOrigins, AreBounded) {
  SeenOrigins seen(2);
  const absl::Time now = absl::UnixEpoch();
  seen.Note({"a.example", "b.example"}, now);
  seen.Note({"c.example"}, now);
  EXPECT_EQ(seen.NotSeenLately({"a.example", "c.example"}, now), (std::vector<std::string>{"a.example"}));
}

class PlainPersistsOf : public testing::Test {
 protected:
  PlainPersistsOf() { rig_.Create(room_); }

  v1::PersistEventRequest RequestFor(const matrix::Event& event,
                                     matrix::v1::Outcome outcome = matrix::v1::OUTCOME_ACCEPTED) {
    return support::PersistRequestFor(event, rig_.ContextOf(event), outcome);
  }
  void ExpectStored(const v1::PersistEventRequest& request) {
    const auto answer = rig_.store().PersistEvent(Call(), request);
    EXPECT_TRUE(answer.ok() && answer->has_stored()) << answer.status();
  }
  void ExpectCalls(int plain, int by_database) {
    EXPECT_EQ(rig_.Calls("persist_plain"), plain);
    EXPECT_EQ(rig_.Calls("persist_events"), by_database);
  }

  /// Two of its members leave, each by another store.
  void ARoomThatAnotherStoreHasWrittenTo() {
    const v1::PersistEventRequest request = RequestFor(room_.Leave(UserOf(0)));
    StoreRig other(rig_.dsn());
    EXPECT_TRUE(other.Persist(room_.Leave(UserOf(1))).ok());
    ExpectStored(request);
    ExpectCalls(1, 1);
  }

  StoreRig rig_;
  const TestRoom room_ = support::RoomOf(4);
};

TEST_F(PlainPersistsOf, LeavesFromOneTipNeedNoDecisionOfTheDatabase) {
  const matrix::Event one = room_.Leave(UserOf(0)), other = room_.Leave(UserOf(1));
  const v1::PersistEventRequest first = RequestFor(one), second = RequestFor(other);
  ExpectStored(first);
  ExpectStored(second);
  ExpectCalls(2, 0);
  EXPECT_EQ(rig_.Sql("select count(*) from memberships where membership = 'leave'"), "2");
  EXPECT_EQ(rig_.Sql("select cardinality(extremities) from rooms"), "2");
}

TEST_F(PlainPersistsOf, SoftFailedEventsAreLeftToTheDatabase) {
  ExpectStored(RequestFor(room_.Leave(UserOf(0)), matrix::v1::OUTCOME_SOFT_FAILED));
  ExpectCalls(0, 1);
}

TEST_F(PlainPersistsOf, ChangesOfOtherStateAreLeftToTheDatabase) {
  ExpectStored(RequestFor(room_.Mint(
      {.type = "m.room.topic", .state_key = "", .sender = room_.creator(), .content = support::Object("{}")})));
  ExpectCalls(0, 1);
}

TEST_F(PlainPersistsOf, AnEventThatIsStoredIsFoundByTheDatabase) {
  const v1::PersistEventRequest request = RequestFor(room_.Leave(UserOf(0)));
  ExpectStored(request);
  const auto again = rig_.store().PersistEvent(Call(), request);
  EXPECT_TRUE(again.ok() && again->stored().replay()) << again.status();
  ExpectCalls(2, 1);
}

TEST_F(PlainPersistsOf, ARoomThatAnotherStoreHasWrittenToIsLeftToTheDatabase) {
  ARoomThatAnotherStoreHasWrittenTo();
  EXPECT_EQ(rig_.Sql("select count(*) from memberships where membership = 'leave'"), "2");
  EXPECT_EQ(rig_.Sql("select count(distinct stream_ordering) = count(*) from events"), "t");
}

TEST_F(PlainPersistsOf, ARoomThatAnotherStoreWritesToTooIsLookedAtFirst) {
  ARoomThatAnotherStoreHasWrittenTo();
  const v1::PersistEventRequest request = RequestFor(room_.Leave(UserOf(2)));
  StoreRig other(rig_.dsn());
  EXPECT_TRUE(other.Persist(room_.Leave(UserOf(3))).ok());
  ExpectStored(request);
  ExpectCalls(2, 1);
  EXPECT_GE(rig_.Calls("room_heads"), 1);
  EXPECT_EQ(rig_.Sql("select count(*) from memberships where membership = 'leave'"), "4");
}

TEST_F(PlainPersistsOf, TheHeadOfARoomIsReadOnce) {
  StoreRig other(rig_.dsn());  // which answers for contexts, as another replica may
  const auto request_for = [&](int user) {
    const matrix::Event leave = room_.Leave(UserOf(user));
    return support::PersistRequestFor(leave, other.ContextOf(leave), matrix::v1::OUTCOME_ACCEPTED);
  };
  const v1::PersistEventRequest first = request_for(0), second = request_for(1);
  ExpectStored(first);
  ExpectStored(second);
  ExpectCalls(2, 0);
  EXPECT_EQ(rig_.Calls("room_heads"), 1);
}

TEST_F(PlainPersistsOf, ATemplateTellsTheHeadOfItsRoom) {
  v1::GetTemplateContextRequest wanted;
  wanted.set_room_id(room_.room_id());
  wanted.set_user_id(UserOf(0));
  StoreRig other(rig_.dsn());
  const matrix::Event leave = room_.Leave(UserOf(0));
  const auto request = support::PersistRequestFor(leave, other.ContextOf(leave), matrix::v1::OUTCOME_ACCEPTED);
  const auto told = rig_.store().GetTemplateContext(Call(), wanted);
  EXPECT_TRUE(told.ok()) << told.status();
  ExpectStored(request);
  ExpectCalls(1, 0);
  EXPECT_EQ(rig_.Calls("room_heads"), 0);
}

TEST_F(PlainPersistsOf, ARoomThatTheDatabaseHasDecidedForIsLookedAtOnce) {
  const v1::PersistEventRequest leave = RequestFor(room_.Leave(UserOf(0))), later = RequestFor(room_.Leave(UserOf(1)));
  ExpectStored(RequestFor(room_.Leave(UserOf(2)), matrix::v1::OUTCOME_SOFT_FAILED));
  ExpectStored(leave);
  ExpectStored(later);
  ExpectCalls(2, 1);
  EXPECT_EQ(rig_.Calls("room_heads"), 1);
}

TEST_F(PlainPersistsOf, WhatWasReliedOnAndHasChangedIsAConflict) {
  const matrix::Event again = room_.Mint({.type = "m.room.member",
                                          .state_key = UserOf(0),
                                          .sender = UserOf(0),
                                          .content = support::Object(R"({"membership":"leave","reason":"again"})")});
  const v1::PersistEventRequest second = RequestFor(again);
  ExpectStored(RequestFor(room_.Leave(UserOf(0))));
  const auto answer = rig_.store().PersistEvent(Call(), second);
  EXPECT_TRUE(answer.ok() && answer->has_fresh_context()) << answer.status();
  ExpectCalls(2, 1);
}

}  // namespace
}  // namespace postern::store
