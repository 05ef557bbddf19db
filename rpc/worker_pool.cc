#include "rpc/worker_pool.h"

namespace postern::rpc {

WorkerPool::WorkerPool(std::size_t threads, std::size_t queue_limit) : queue_limit_(queue_limit) {
  threads_.reserve(threads);
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { Run(); });
}

WorkerPool::~WorkerPool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool WorkerPool::Post(std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || queue_.size() >= queue_limit_) return false;
    queue_.push_back({std::move(work), std::chrono::steady_clock::now()});
  }
  wake_.notify_one();
  return true;
}

void WorkerPool::Drain() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] { return queue_.empty() && running_ == 0; });
}

std::size_t WorkerPool::queued() const {
  const std::lock_guard lock(mutex_);
  return queue_.size();
}

std::size_t WorkerPool::under_way() const {
  const std::lock_guard lock(mutex_);
  return queue_.size() + running_;
}

absl::Duration WorkerPool::longest_wait() const {
  const std::lock_guard lock(mutex_);
  if (queue_.empty()) return absl::ZeroDuration();
  return absl::FromChrono(std::chrono::steady_clock::now() - queue_.front().since);
}

void WorkerPool::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    auto work = std::move(queue_.front().work);
    queue_.pop_front();
    ++running_;
    lock.unlock();
    work();
    work = nullptr;  // what it captured goes before it counts as done
    lock.lock();
    --running_;
    if (queue_.empty() && running_ == 0) idle_.notify_all();
  }
}

}  // namespace postern::rpc
