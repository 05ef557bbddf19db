#include "rpc/batch_pool.h"

#include <gtest/gtest.h>

#include <future>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace postern::rpc {
namespace {

using Item = std::pair<std::string, int>;  // its lane, and which of it
using Batches = std::vector<std::vector<Item>>;

/// A pool of one thread, which is held in its first batch while others are posted.
class HeldPool {
 public:
  explicit HeldPool(std::size_t items, std::size_t queue = 1000)
      : pool_(std::in_place, BatchLimits{.batches = 1, .items = items, .queue = queue},
              [this](std::vector<Item> batch) {
                if (batches_.empty()) {
                  begun_.set_value();
                  released_.get_future().wait();
                }
                batches_.push_back(std::move(batch));
              }) {
    EXPECT_TRUE(Post("first", 0));
    begun_.get_future().wait();
  }
  bool Post(const std::string& lane, int number) { return pool_->Post(lane, {lane, number}); }
  std::vector<Item> PostAll(std::vector<Item> items) {
    return pool_->PostAll(std::move(items), [](const Item& item) -> const std::string& { return item.first; });
  }
  std::size_t queued() const { return pool_->queued(); }
  /// What came after the first, once all is done.
  Batches Release() {
    released_.set_value();
    pool_.reset();
    batches_.erase(batches_.begin());
    return batches_;
  }

 private:
  Batches batches_;
  std::promise<void> begun_, released_;
  std::optional<BatchPool<Item>> pool_;
};

TEST(BatchPool, TakesTogetherWhatIsPostedTogetherAndGivesBackWhatDoesNotFit) {
  HeldPool pool(64, /*queue=*/3);
  const std::vector<Item> refused = pool.PostAll({{"a", 0}, {"b", 0}, {"a", 1}, {"c", 0}});
  EXPECT_EQ(refused, (std::vector<Item>{{"c", 0}}));
  const Batches batches = pool.Release();
  ASSERT_EQ(batches.size(), 1u);
  EXPECT_EQ(batches[0], (std::vector<Item>{{"a", 0}, {"b", 0}, {"a", 1}}));
}

TEST(BatchPool, TakesTogetherWhatCameMeanwhile) {
  HeldPool pool(64);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(pool.Post("a", i));
  EXPECT_TRUE(pool.Post("b", 0));
  EXPECT_EQ(pool.queued(), 6u);
  const Batches batches = pool.Release();
  ASSERT_EQ(batches.size(), 1u);
  EXPECT_EQ(batches[0], (std::vector<Item>{{"a", 0}, {"b", 0}, {"a", 1}, {"a", 2}, {"a", 3}, {"a", 4}}));
}

TEST(BatchPool, GivesEachLaneItsTurn) {
  HeldPool pool(4);
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(pool.Post("busy", i));
  for (const char* lane : {"b", "c", "d", "e"}) EXPECT_TRUE(pool.Post(lane, 0));
  const Batches batches = pool.Release();
  EXPECT_EQ(batches[0], (std::vector<Item>{{"busy", 0}, {"b", 0}, {"c", 0}, {"d", 0}}));
  EXPECT_EQ(batches[1], (std::vector<Item>{{"e", 0}, {"busy", 1}, {"busy", 2}, {"busy", 3}}));
}

TEST(BatchPool, RefusesWhatTheQueueDoesNotHold) {
  HeldPool pool(64, 2);
  EXPECT_TRUE(pool.Post("a", 0));
  EXPECT_TRUE(pool.Post("a", 1));
  EXPECT_FALSE(pool.Post("b", 0));
  EXPECT_EQ(pool.Release().size(), 1u);
}

TEST(BatchPool, KeepsTheOrderOfALaneAndNeverHasItTwice) {
  std::mutex mutex;
  std::set<std::string> under_way;
  std::map<std::string, int> next;
  {
    BatchPool<Item> pool({.batches = 4, .items = 3, .queue = 100'000}, [&](std::vector<Item> batch) {
      std::set<std::string> lanes;
      {
        const std::lock_guard lock(mutex);
        for (const Item& item : batch) {
          const bool is_new = lanes.insert(item.first).second;
          EXPECT_TRUE(!is_new || under_way.insert(item.first).second);
          EXPECT_EQ(item.second, next[item.first]++);
        }
      }
      std::this_thread::yield();
      const std::lock_guard lock(mutex);
      for (const std::string& lane : lanes) under_way.erase(lane);
    });
    for (int i = 0; i < 2000; ++i) {
      for (const char* lane : {"a", "b", "c", "d", "e"}) ASSERT_TRUE(pool.Post(lane, {lane, i}));
    }
  }
  for (const auto& [lane, count] : next) EXPECT_EQ(count, 2000) << lane;
  EXPECT_EQ(next.size(), 5u);
}

}  // namespace
}  // namespace postern::rpc
