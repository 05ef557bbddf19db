// A fixed number of threads with a bounded queue: rpc handlers and routes run here, never on gRPC's or the listener's
// threads.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/time/time.h"

namespace postern::rpc {

class WorkerPool {
 public:
  WorkerPool(std::size_t threads, std::size_t queue_limit);
  /// Runs what is queued, then joins.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  /// False, and `work` is not taken, if the queue is full or the pool is stopping.
  [[nodiscard]] bool Post(std::function<void()> work);

  /// Waits until the queue is empty and nothing runs.
  void Drain();

  std::size_t queued() const;
  /// What is queued or runs.
  std::size_t under_way() const;
  /// For how long what is queued has waited, of that which came first; zero if nothing waits.
  absl::Duration longest_wait() const;

 private:
  struct Queued {
    std::function<void()> work;
    std::chrono::steady_clock::time_point since;
  };
  struct Worker {
    std::condition_variable wake;
    bool asleep = false;
    std::thread thread;
  };
  void Run(Worker& self);
  void Sleep(Worker& self, std::unique_lock<std::mutex>& lock);
  /// Whoever has slept shortest, to be told once the lock is free; nullptr: nobody sleeps.
  Worker* TakeSleeper();

  const std::size_t queue_limit_;
  mutable std::mutex mutex_;
  /// In the order in which they fell asleep. The last is woken first: its stack and what the allocator keeps for it are
  /// in the processor's caches still, and the others stay asleep for as long as they are not needed.
  std::vector<Worker*> sleepers_;
  std::condition_variable idle_;
  std::deque<Queued> queue_;
  std::size_t running_ = 0;
  bool stopping_ = false;
  std::deque<Worker> workers_;
};

}  // namespace postern::rpc
