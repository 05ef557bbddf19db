// Threads for work that costs less when it is done together: a batch forms while the one before it is under way, and
// nobody waits for company.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

namespace postern::rpc {

struct BatchLimits {
  /// Batches under way at once. More of them are smaller, and each costs what a batch costs.
  std::size_t batches = 1;
  /// Items in one.
  std::size_t items = 64;
  /// Items that may wait.
  std::size_t queue = 1024;
};

/// Each item belongs to a lane (a room). Lanes take turns, so that a busy one holds nobody up for longer than a batch;
/// what is in a lane is done in order, and never in two batches at once.
template <typename Item>
class BatchPool {
 public:
  using Work = std::function<void(std::vector<Item>)>;

  BatchPool(const BatchLimits& limits, Work work) : limits_(limits), work_(std::move(work)) {
    threads_.reserve(limits_.batches);
    for (std::size_t i = 0; i < limits_.batches; ++i) threads_.emplace_back([this] { Run(); });
  }
  /// Does what is queued, then joins.
  ~BatchPool() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  BatchPool(const BatchPool&) = delete;
  BatchPool& operator=(const BatchPool&) = delete;

  /// False, and `item` is not taken, if the queue is full or the pool is stopping.
  [[nodiscard]] bool Post(const std::string& lane_name, Item item) {
    std::vector<Item> items;
    items.push_back(std::move(item));
    return PostAll(std::move(items), [&lane_name](const Item&) -> const std::string& { return lane_name; }).empty();
  }

  /// Posts what came together, so that it goes together. Returns those that are not taken.
  template <typename LaneName>
  [[nodiscard]] std::vector<Item> PostAll(std::vector<Item> items, const LaneName& lane_name) {
    std::vector<Item> refused;
    bool wake = false;
    {
      const std::lock_guard lock(mutex_);
      for (Item& item : items) {
        if (stopping_ || queued_ >= limits_.queue) {
          refused.push_back(std::move(item));
          continue;
        }
        const std::string& name = lane_name(item);
        Lane& lane = lanes_[name];
        if (lane.name.empty()) lane.name = name;
        lane.items.push_back(std::move(item));
        ++queued_;
        if (lane.items.size() > 1 || lane.under_way) continue;
        ready_.push_back(&lane);
        wake = true;
      }
    }
    if (wake) wake_.notify_one();
    return refused;
  }

  std::size_t queued() const {
    const std::lock_guard lock(mutex_);
    return queued_;
  }

 private:
  struct Lane {
    std::string name;
    std::deque<Item> items;
    bool under_way = false;
  };

  void Run() {
    std::unique_lock lock(mutex_);
    while (true) {
      wake_.wait(lock, [this] { return stopping_ || !ready_.empty(); });
      if (ready_.empty()) return;  // lanes that are under way are looked at again by those who have them
      const std::vector<Lane*> lanes = TakeLanes();
      std::vector<Item> batch = TakeItems(lanes);
      lock.unlock();
      work_(std::move(batch));
      lock.lock();
      GiveBack(lanes);
    }
  }

  std::vector<Lane*> TakeLanes() {
    const std::size_t count = std::min(ready_.size(), limits_.items);
    std::vector<Lane*> lanes(ready_.begin(), ready_.begin() + static_cast<std::ptrdiff_t>(count));
    ready_.erase(ready_.begin(), ready_.begin() + static_cast<std::ptrdiff_t>(count));
    for (Lane* lane : lanes) lane->under_way = true;
    return lanes;
  }

  /// One of each lane, then another of each.
  std::vector<Item> TakeItems(const std::vector<Lane*>& lanes) {
    std::vector<Item> batch;
    for (bool found = true; found && batch.size() < limits_.items;) {
      found = false;
      for (Lane* lane : lanes) {
        if (lane->items.empty() || batch.size() == limits_.items) continue;
        batch.push_back(std::move(lane->items.front()));
        lane->items.pop_front();
        found = true;
      }
    }
    queued_ -= batch.size();
    return batch;
  }

  void GiveBack(const std::vector<Lane*>& lanes) {
    for (Lane* lane : lanes) {
      lane->under_way = false;
      if (lane->items.empty()) {
        lanes_.erase(std::string(lane->name));
      } else {
        ready_.push_back(lane);
        wake_.notify_one();
      }
    }
  }

  const BatchLimits limits_;
  const Work work_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::unordered_map<std::string, Lane> lanes_;
  /// Lanes with something in them that nobody works on, in the order of their turns.
  std::deque<Lane*> ready_;
  std::size_t queued_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace postern::rpc
