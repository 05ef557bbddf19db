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
  void Run();

  const std::size_t queue_limit_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable idle_;
  std::deque<Queued> queue_;
  std::size_t running_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace postern::rpc
