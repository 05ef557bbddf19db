#include "rpc/worker_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <future>
#include <set>
#include <thread>

namespace postern::rpc {
namespace {

TEST(WorkerPool, RunsEverythingOnce) {
  std::atomic<int> done = 0;
  WorkerPool pool(4, 10000);
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(pool.Post([&done] { ++done; }));
  pool.Drain();
  EXPECT_EQ(done, 1000);
  EXPECT_EQ(pool.queued(), 0U);
}

TEST(WorkerPool, RefusesWhatItsQueueCannotHold) {
  std::promise<void> release, entered;
  WorkerPool pool(1, 2);
  ASSERT_TRUE(pool.Post([&entered, held = release.get_future().share()] {
    entered.set_value();
    held.wait();
  }));
  entered.get_future().wait();
  EXPECT_TRUE(pool.Post([] {}));
  EXPECT_TRUE(pool.Post([] {}));
  EXPECT_FALSE(pool.Post([] {}));
  EXPECT_EQ(pool.queued(), 2U);
  release.set_value();
  pool.Drain();
  EXPECT_TRUE(pool.Post([] {}));
}

TEST(WorkerPool, TellsHowLongTheFirstOfItsQueueHasWaited) {
  std::promise<void> release, entered;
  WorkerPool pool(1, 2);
  ASSERT_TRUE(pool.Post([&entered, held = release.get_future().share()] {
    entered.set_value();
    held.wait();
  }));
  entered.get_future().wait();
  EXPECT_EQ(pool.longest_wait(), absl::ZeroDuration());
  ASSERT_TRUE(pool.Post([] {}));
  const absl::Duration first = pool.longest_wait();
  EXPECT_GT(first, absl::ZeroDuration());
  ASSERT_TRUE(pool.Post([] {}));
  EXPECT_GT(pool.longest_wait(), first);
  release.set_value();
  pool.Drain();
  EXPECT_EQ(pool.longest_wait(), absl::ZeroDuration());
}

TEST(WorkerPool, WakesTheThreadThatFellAsleepLast) {
  constexpr int kThreads = 4;
  std::barrier all_at_work(kThreads);
  WorkerPool pool(kThreads, 100);
  for (int i = 0; i < kThreads; ++i) ASSERT_TRUE(pool.Post([&all_at_work] { all_at_work.arrive_and_wait(); }));
  pool.Drain();
  std::set<std::thread::id> at_work;
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(pool.Post([&at_work] { at_work.insert(std::this_thread::get_id()); }));
    pool.Drain();
  }
  EXPECT_EQ(at_work.size(), 1U);
}

TEST(WorkerPool, FinishesItsQueueBeforeItEnds) {
  std::atomic<int> done = 0;
  {
    WorkerPool pool(2, 1000);
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(pool.Post([&done] { ++done; }));
  }
  EXPECT_EQ(done, 100);
}

TEST(WorkerPool, TakesWorkFromItsOwnWorkers) {
  std::atomic<int> done = 0;
  WorkerPool pool(1, 10);
  ASSERT_TRUE(pool.Post([&] { EXPECT_TRUE(pool.Post([&done] { ++done; })); }));
  pool.Drain();
  EXPECT_EQ(done, 1);
}

}  // namespace
}  // namespace postern::rpc
