// Many writers in one room, and the same event from many.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "tests/store/store_rig.h"
#include "tests/support/store_requests.h"

namespace postern::store {
namespace {

using support::StoreRig;
using support::TestRoom;
using support::UserOf;

TEST(Concurrency, CommutingLeavesOfOneRoomNeverConflict) {
  constexpr int kUsers = 32;
  StoreRig rig({}, {.server_name = "a.example"}, 16);
  const TestRoom room = support::RoomOf(kUsers);
  rig.Create(room);
  std::vector<matrix::Event> leaves;
  std::vector<v1::EventContext> contexts;
  for (int i = 0; i < kUsers; ++i) {
    leaves.push_back(room.Leave(UserOf(i)));
    contexts.push_back(rig.ContextOf(leaves.back()));
  }
  std::atomic<int> stored = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kUsers; ++i) {
    threads.emplace_back([&, i] {
      const std::size_t n = static_cast<std::size_t>(i);
      const auto answer = rig.store().PersistEvent(StoreRig::Within(absl::Seconds(30)),
                                                   support::PersistRequestFor(leaves[n], contexts[n]));
      if (answer.ok() && answer->has_stored()) ++stored;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(stored, kUsers);
  EXPECT_EQ(rig.Sql("select count(*) from memberships where membership = 'leave'"), "32");
  EXPECT_EQ(rig.Sql("select count(*) from outbox where stream_ordering > " + std::to_string(room.events().size())),
            "32");
  EXPECT_EQ(rig.Sql("select count(distinct stream_ordering) from events"),
            rig.Sql("select max(stream_ordering) from events"));
  // The projection is what the current state group says.
  EXPECT_EQ(
      rig.Sql(
          "select count(*) from rooms o cross join lateral fn.whole_state(o.room_id, o.state_group) s "
          "left join memberships m on m.room_id = o.room_id and m.user_id = s.state_key and m.event_id = s.event_id "
          "where s.type = 'm.room.member' and m.event_id is null"),
      "0");
}

TEST(Concurrency, OneEventFromManyIsStoredOnce) {
  StoreRig rig({}, {.server_name = "a.example"}, 16);
  const TestRoom room = support::RoomOf(1);
  rig.Create(room);
  const matrix::Event leave = room.Leave(UserOf(0));
  const v1::PersistEventRequest request = support::PersistRequestFor(leave, rig.ContextOf(leave));
  std::atomic<int> first = 0, replays = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 24; ++i) {
    threads.emplace_back([&] {
      const auto answer = rig.store().PersistEvent(StoreRig::Within(absl::Seconds(30)), request);
      if (answer.ok() && answer->has_stored()) ++(answer->stored().replay() ? replays : first);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(first, 1);
  EXPECT_EQ(replays, 23);
  EXPECT_EQ(rig.Sql("select count(*) from outbox where stream_ordering > " + std::to_string(room.events().size())),
            "1");
}

TEST(Concurrency, ChangesThatDoNotCommuteTakeTurns) {
  constexpr int kWriters = 8;
  StoreRig rig;
  const TestRoom room = support::RoomOf(kWriters);
  rig.Create(room);
  std::atomic<int> stored = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kWriters; ++i) {
    threads.emplace_back([&, i] {
      const matrix::Event leave = room.Leave(UserOf(i));
      v1::EventContext context = rig.ContextOf(leave);
      for (;;) {
        v1::PersistEventRequest request = support::PersistRequestFor(leave, context);
        request.mutable_verdict()->set_commutes(false);
        const auto answer = rig.store().PersistEvent(StoreRig::Within(absl::Seconds(30)), request);
        if (!answer.ok()) return;
        if (answer->has_stored()) break;
        context = answer->fresh_context();
      }
      ++stored;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(stored, kWriters);
  EXPECT_EQ(rig.Sql("select count(*) from memberships where membership = 'leave'"), "8");
}

}  // namespace
}  // namespace postern::store
