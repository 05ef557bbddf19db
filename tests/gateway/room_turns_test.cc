// Turns in a room.
#include "services/gateway/room_turns.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "absl/time/clock.h"

namespace postern::gateway {
namespace {

const absl::Time kLong = absl::Now() + absl::Hours(1);

TEST(RoomTurns, OneHasTheTurnAtATime) {
  RoomTurns turns(64);
  std::atomic<int> inside = 0;
  int done = 0;  // only whoever has the turn counts
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 200; ++round) {
        const auto turn = turns.Take("!room:a.example", kLong);
        EXPECT_TRUE(turn.had());
        EXPECT_EQ(inside.fetch_add(1), 0);
        ++done;
        inside.fetch_sub(1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(done, 8 * 200);
}

TEST(RoomTurns, RoomsDoNotWaitForEachOther) {
  RoomTurns turns(64);
  const auto one = turns.Take("!one:a.example", kLong);
  EXPECT_TRUE(turns.Take("!two:a.example", kLong).had());
}

TEST(RoomTurns, WhoseTimeIsUpGoesWithout) {
  RoomTurns turns(64);
  const auto turn = turns.Take("!room:a.example", kLong);
  EXPECT_FALSE(turns.Take("!room:a.example", absl::Now() - absl::Seconds(1)).had());
}

TEST(RoomTurns, WhereTooManyWaitOneGoesWithout) {
  RoomTurns turns(0);
  auto turn = turns.Take("!room:a.example", kLong);
  EXPECT_FALSE(turns.Take("!room:a.example", kLong).had());
  turn = {};
  EXPECT_TRUE(turns.Take("!room:a.example", kLong).had());
}

TEST(RoomTurns, OthersLineUpForThoseOnlyWhoNeedIt) {
  RoomTurns turns(64);
  auto turn = turns.Take("!room:a.example", kLong);
  EXPECT_FALSE(turns.AreToLineUp("!room:a.example"));
  turn = {};
  turn = turns.Take("!room:a.example", kLong, /*others_line_up=*/true);
  EXPECT_TRUE(turns.AreToLineUp("!room:a.example"));
  EXPECT_FALSE(turns.AreToLineUp("!other:a.example"));
  turn = {};
  EXPECT_FALSE(turns.AreToLineUp("!room:a.example"));
}

TEST(RoomTurns, OthersLineUpForWhoWaitsToo) {
  RoomTurns turns(1);
  auto turn = turns.Take("!room:a.example", kLong);
  std::thread waits([&] { EXPECT_TRUE(turns.Take("!room:a.example", kLong, /*others_line_up=*/true).had()); });
  while (!turns.AreToLineUp("!room:a.example")) std::this_thread::yield();
  turn = {};
  waits.join();
  EXPECT_FALSE(turns.AreToLineUp("!room:a.example"));
}

TEST(RoomTurns, NobodyLinesUpForWhoHasGivenUp) {
  RoomTurns turns(64);
  const auto turn = turns.Take("!room:a.example", kLong);
  EXPECT_FALSE(turns.Take("!room:a.example", absl::Now() - absl::Seconds(1), /*others_line_up=*/true).had());
  EXPECT_FALSE(turns.AreToLineUp("!room:a.example"));
}

TEST(RoomTurns, ATurnThatWasGivenOnIsGoneFromTheOneWhoHadIt) {
  RoomTurns turns(0);
  auto first = turns.Take("!room:a.example", kLong);
  {
    const auto second = std::move(first);
    EXPECT_TRUE(second.had());
  }
  EXPECT_TRUE(turns.Take("!room:a.example", kLong).had());
}

}  // namespace
}  // namespace postern::gateway
