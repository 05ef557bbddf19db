// What is remembered of rooms, for how long, and that a context is never told of what has changed since.
#include "services/store/remembered_rooms.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/store/store_rig.h"
#include "tests/support/store_requests.h"

namespace postern::store {
namespace {

using support::StoreRig;
using support::TestRoom;
using support::UserOf;

matrix::v1::StateKey KeyOf(const std::string& type, const std::string& state_key) {
  matrix::v1::StateKey key;
  key.set_type(type);
  key.set_state_key(state_key);
  return key;
}

v1::GetEventContextRequest Asking(const std::vector<std::string>& prev) {
  v1::GetEventContextRequest request;
  request.set_room_id("!a");
  for (const std::string& id : prev) request.add_prev_events(id);
  return request;
}

RememberedEvent EventOf(const std::string& id, std::int64_t group_after, std::int64_t fixed = 3) {
  return {.event_id = id, .pdu = "{}", .group_after = group_after, .fixed = fixed};
}

/// A room at its fifth event, `tip`, whose state is of four entries.
RoomNews FifthEvent() {
  return {
      .head = {.moment = {.stored = 5}, .accepted = 5, .fixed = 3, .group = 4, .extremities = {"$tip"}},
      .entries = {{.type = "create", .event_id = "$create", .since = 1}, {.type = "acl", .event_id = "", .since = 0}},
      .events = {EventOf("$create", 1), EventOf("$tip", 4)}};
}
/// The next, which removes a key and cites another event than the tip.
RoomNews SixthEvent() {
  return {.head = {.moment = {.stored = 6}, .accepted = 6, .fixed = 3, .group = 5, .extremities = {"$tip", "$sixth"}},
          .entries = {{.type = "topic", .event_id = "", .since = 5}},
          .events = {EventOf("$sixth", kFirstBranch + 1)}};
}

class Remembered : public testing::Test {
 protected:
  Remembered() { rooms_.Learn("!a", "10", FifthEvent(), 0); }
  RememberedRooms rooms_{{}};
  const std::vector<matrix::v1::StateKey> keys_ = {KeyOf("create", ""), KeyOf("acl", ""), KeyOf("topic", "")};
};

TEST_F(Remembered, IsWhatARequestNeedNotReadAnew) {
  v1::GetEventContextRequest request = Asking({"$tip"});
  request.add_auth_events("$create");
  request.add_auth_events("$power");
  const auto found = rooms_.Recall(request, keys_);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->room_version, "10");
  EXPECT_TRUE(found->extends_all_extremities);
  EXPECT_EQ(found->before, 4);
  EXPECT_EQ(found->fixed, 3);
  ASSERT_EQ(found->entries.size(), 2U);
  EXPECT_EQ(found->entries[0].event_id, "$create");
  EXPECT_EQ(found->entries[1].event_id, "");
  EXPECT_EQ(found->events.size(), 2U);
  ASSERT_EQ(found->unknown_keys.size(), 1U);
  EXPECT_EQ(found->unknown_keys[0].type(), "topic");
  EXPECT_EQ(found->unknown_events, std::vector<std::string>{"$power"});
}

TEST_F(Remembered, IsNoStateBehindAnEventThatIsNot) {
  EXPECT_FALSE(rooms_.Recall(Asking({"$other"}), keys_));
  EXPECT_FALSE(rooms_.Recall(Asking({"$tip", "$other"}), keys_));
  EXPECT_FALSE(rooms_.Recall(Asking({}), keys_));
}

TEST_F(Remembered, IsTheStateBehindAnEarlierTip) {
  rooms_.Advance("!a", {.stored = 5}, SixthEvent());
  const auto found = rooms_.Recall(Asking({"$tip"}), {KeyOf("create", "")});
  ASSERT_TRUE(found);
  EXPECT_FALSE(found->extends_all_extremities);
  EXPECT_EQ(found->before, 4);
  EXPECT_EQ(found->head.group, 5);
}

TEST_F(Remembered, IsNoEntryThatHasChangedSinceTheStateBefore) {
  rooms_.Advance("!a", {.stored = 5}, SixthEvent());
  EXPECT_FALSE(rooms_.Recall(Asking({"$tip"}), keys_));
  EXPECT_TRUE(rooms_.Recall(Asking({"$sixth", "$tip"}), keys_));
}

TEST_F(Remembered, IsNoStateOfABranch) {
  rooms_.Advance("!a", {.stored = 5}, SixthEvent());
  EXPECT_FALSE(rooms_.Recall(Asking({"$sixth"}), {KeyOf("create", "")}));
}

TEST_F(Remembered, IsTheStateOfAnEarlierSetOfTips) {
  rooms_.Advance("!a", {.stored = 5}, SixthEvent());
  RoomNews seventh = SixthEvent();
  seventh.head.moment.stored = 7;
  seventh.head.group = 6;
  seventh.head.extremities = {"$tip", "$sixth", "$seventh"};
  rooms_.Advance("!a", {.stored = 6}, seventh);
  const auto found = rooms_.Recall(Asking({"$sixth", "$tip", "$tip"}), {KeyOf("create", "")});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->before, 5);
  EXPECT_FALSE(found->extends_all_extremities);
}

TEST_F(Remembered, AreNoEntriesOfARoomThatSomebodyElseHasWrittenTo) {
  RoomNews later = FifthEvent();
  later.head.moment.stored = 6;
  later.entries.clear();
  rooms_.Learn("!a", "10", later, 0);
  const auto found = rooms_.Recall(Asking({"$tip"}), {KeyOf("create", "")});
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->entries.empty());
  EXPECT_EQ(found->unknown_keys.size(), 1U);
}

TEST_F(Remembered, IsTheLaterOfTwoMoments) {
  RoomNews earlier = FifthEvent();
  earlier.head.moment.stored = 4;
  rooms_.Learn("!a", "10", earlier, 0);
  EXPECT_EQ(rooms_.Head("!a")->moment.stored, 5);
  RoomNews told = FifthEvent();
  told.head.moment.lineages = 1;
  rooms_.Learn("!a", "10", told, 0);
  EXPECT_EQ(rooms_.Head("!a")->moment.lineages, 1);
}

TEST_F(Remembered, StaysAsItIsWhereSomethingElseHasMovedOn) {
  rooms_.Advance("!a", {.stored = 4}, SixthEvent());
  EXPECT_EQ(rooms_.Head("!a")->moment.stored, 5);
  rooms_.Advance("!b", {.stored = 5}, SixthEvent());
  EXPECT_FALSE(rooms_.Head("!b"));
}

TEST_F(Remembered, IsForgottenAllAtOnce) {
  rooms_.Learn("!b", "10", FifthEvent(), 0);
  rooms_.ForgetAll();
  EXPECT_FALSE(rooms_.Head("!a"));
  EXPECT_FALSE(rooms_.Head("!b"));
  EXPECT_EQ(rooms_.bytes(), 0U);
}

TEST_F(Remembered, IsNothingThatWasReadBeforeAllWasForgotten) {
  rooms_.ForgetAll();
  rooms_.Learn("!a", "10", FifthEvent(), 0);
  EXPECT_FALSE(rooms_.Head("!a"));
  rooms_.Learn("!a", "10", FifthEvent(), rooms_.generation());
  EXPECT_TRUE(rooms_.Head("!a"));
}

TEST(RememberedRooms, AreSoManyAtMost) {
  RememberedRooms rooms({.rooms = 2});
  rooms.Learn("!a", "10", FifthEvent(), 0);
  rooms.Learn("!b", "10", FifthEvent(), 0);
  EXPECT_TRUE(rooms.Head("!a"));
  rooms.Learn("!c", "10", FifthEvent(), 0);
  EXPECT_TRUE(rooms.Head("!a"));
  EXPECT_FALSE(rooms.Head("!b"));
  RememberedRooms none({.rooms = 0});
  none.Learn("!a", "10", FifthEvent(), 0);
  EXPECT_FALSE(none.Head("!a"));
}

TEST(RememberedRooms, TakeNoMoreMemoryThanTheyMay) {
  RememberedRooms rooms({.bytes = 100'000});
  for (int room = 0; room < 50; ++room) {
    RoomNews news = FifthEvent();
    for (RememberedEvent& event : news.events) event.pdu.assign(5'000, 'x');
    rooms.Learn(fmt::format("!{}", room), "10", news, 0);
    EXPECT_LE(rooms.bytes(), 100'000U);
  }
  EXPECT_TRUE(rooms.Head("!49"));
  EXPECT_FALSE(rooms.Head("!0"));
}

TEST(RememberedRooms, HoldSoMuchOfOneRoomAtMost) {
  RememberedRooms rooms({.of_a_room = 3});
  RoomNews news = FifthEvent();
  for (int event = 0; event < 50; ++event) {
    news.events.push_back(EventOf(fmt::format("${}", event), 4));
    news.entries.push_back(
        {.type = "m.room.member", .state_key = fmt::format("@{}", event), .event_id = "$x", .since = 1});
  }
  rooms.Learn("!a", "10", news, 0);
  EXPECT_TRUE(rooms.Recall(Asking({"$49"}), {}));
  EXPECT_FALSE(rooms.Recall(Asking({"$46"}), {}));
  const auto found = rooms.Recall(Asking({"$tip"}), {KeyOf("m.room.member", "@49"), KeyOf("m.room.member", "@46")});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->entries.size(), 1U);
  EXPECT_EQ(found->unknown_keys.size(), 1U);
}

TEST(RememberedRooms, LeaveVeryLargeEventsToTheDatabase) {
  RememberedRooms rooms({});
  RoomNews news = FifthEvent();
  news.events.front().pdu.assign(20'000, 'x');
  rooms.Learn("!a", "10", news, 0);
  const auto found = rooms.Recall(Asking({"$tip"}), {KeyOf("create", "")});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->unknown_events, std::vector<std::string>{"$create"});
}

class RememberedByAStore : public testing::Test {
 protected:
  RememberedByAStore() { rig_.Create(room_); }
  std::string MembershipToldFor(const matrix::Event& event) {
    const auto context =
        rig_.store().GetEventContext(StoreRig::Within(absl::Seconds(30)), support::ContextRequestFor(event));
    EXPECT_TRUE(context.ok()) << context.status();
    return context->sender_membership();
  }
  void ExpectCalls(int of_the_rest, int whole) {
    EXPECT_EQ(rig_.Calls("context_rests"), of_the_rest);
    EXPECT_EQ(rig_.Calls("event_contexts"), whole);
  }

  StoreRig rig_;
  const TestRoom room_ = support::RoomOf(4);
};

TEST_F(RememberedByAStore, IsWhatAnEventOfAnotherMemberNeedNotReadAnew) {
  EXPECT_EQ(MembershipToldFor(room_.Leave(UserOf(0))), "join");
  EXPECT_EQ(MembershipToldFor(room_.Leave(UserOf(1))), "join");
  ExpectCalls(1, 1);
}

TEST_F(RememberedByAStore, IsWhatItHasWrittenItself) {
  const matrix::Event left = room_.Leave(UserOf(0));
  ASSERT_TRUE(rig_.Persist(left).ok());
  EXPECT_EQ(MembershipToldFor(room_.Leave(UserOf(1))), "join");
  ExpectCalls(1, 1);
}

TEST_F(RememberedByAStore, IsNotToldOnceAnotherStoreHasWritten) {
  const matrix::Event leave = room_.Leave(UserOf(0));
  EXPECT_EQ(MembershipToldFor(leave), "join");
  StoreRig other(rig_.dsn());
  ASSERT_TRUE(other
                  .Persist(room_.Mint({.type = "m.room.member",
                                       .state_key = UserOf(0),
                                       .sender = room_.creator(),
                                       .content = support::Object(R"({"membership":"ban"})")}))
                  .ok());
  EXPECT_EQ(MembershipToldFor(leave), "ban");
  ExpectCalls(1, 2);
}

TEST_F(RememberedByAStore, IsNotToldOfARoomWhoseVersionIsAnother) {
  const matrix::Event leave = room_.Leave(UserOf(0));
  const std::string was = rig_.ContextOf(leave).judging().room_version();
  rig_.Sql("update rooms set room_version = 'org.example.v99'");
  EXPECT_EQ(rig_.ContextOf(leave).judging().room_version(), "org.example.v99");
  rig_.Sql("update rooms set room_version = '" + was + "'");
  EXPECT_EQ(rig_.ContextOf(leave).judging().room_version(), was);
}

TEST_F(RememberedByAStore, MovesOnWithWhatAnotherStoreHasWritten) {
  const matrix::Event leave = room_.Leave(UserOf(0));
  EXPECT_EQ(MembershipToldFor(leave), "join");
  StoreRig other(rig_.dsn());
  ASSERT_TRUE(other.Persist(room_.Leave(UserOf(1))).ok());
  EXPECT_EQ(MembershipToldFor(leave), "join");
  ExpectCalls(1, 1);
  // What it has moved on to is what it is told from, and what its next event is written on.
  EXPECT_EQ(rig_.ContextOf(leave).token(), other.ContextOf(leave).token());
  ASSERT_TRUE(rig_.Persist(leave).ok());
  EXPECT_EQ(rig_.Calls("persist_events"), 0);
}

TEST_F(RememberedByAStore, DoesNotMoveOnOverVeryManyChanges) {
  const matrix::Event leave = room_.Leave(UserOf(0));
  EXPECT_EQ(MembershipToldFor(leave), "join");
  rig_.Sql(
      "insert into state_entries select room_id, 0, 'm.room.member', ('@x' || n || ':b.example')::bytea, state_group + "
      "n, event_id "
      "from rooms cross join generate_series(1, 65) as n cross join lateral (select event_id from events limit 1) as e "
      "returning 1");
  rig_.Sql("update rooms set state_group = state_group + 65, stream_ordering = stream_ordering + 65 returning 1");
  EXPECT_EQ(MembershipToldFor(leave), "join");
  ExpectCalls(1, 2);
}

TEST_F(RememberedByAStore, IsNotEnoughForAnEventThatIsStoredAlready) {
  const matrix::Event leave = room_.Leave(UserOf(0));
  ASSERT_TRUE(rig_.Persist(leave).ok());
  EXPECT_TRUE(rig_.ContextOf(leave).has_existing());
}

TEST_F(RememberedByAStore, IsNotEnoughForAnEventThatCitesWhatWasRefused) {
  const matrix::Event refused = room_.Leave(UserOf(1));
  ASSERT_TRUE(rig_.Persist(refused, matrix::v1::OUTCOME_REJECTED).ok());
  const matrix::Event leave = room_.Leave(UserOf(0));
  EXPECT_EQ(MembershipToldFor(leave), "join");
  v1::GetEventContextRequest request = support::ContextRequestFor(leave);
  request.add_auth_events(refused.event_id());
  const auto context = rig_.store().GetEventContext(StoreRig::Within(absl::Seconds(30)), request);
  ASSERT_TRUE(context.ok()) << context.status();
  EXPECT_TRUE(context->judging().auth_events().rbegin()->rejected());
}

TEST_F(RememberedByAStore, IsForgottenWhenPostgresGoesAway) {
  EXPECT_EQ(MembershipToldFor(room_.Leave(UserOf(0))), "join");
  rig_.Sql(
      "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database() "
      "and pid <> pg_backend_pid()");
  EXPECT_EQ(MembershipToldFor(room_.Leave(UserOf(0))), "join");
  // Tried as the rest, on a connection that was gone; then as a whole.
  EXPECT_EQ(rig_.Calls("event_contexts"), 2);
}

}  // namespace
}  // namespace postern::store
