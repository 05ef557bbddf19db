#include "rpc/worker_pool.h"

namespace postern::rpc {

WorkerPool::WorkerPool(std::size_t threads, std::size_t queue_limit) : queue_limit_(queue_limit) {
  for (std::size_t i = 0; i < threads; ++i) {
    Worker& worker = workers_.emplace_back();
    worker.thread = std::thread([this, &worker] { Run(worker); });
  }
}

WorkerPool::~WorkerPool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    while (Worker* sleeper = TakeSleeper()) sleeper->wake.notify_one();
  }
  for (Worker& worker : workers_) worker.thread.join();
}

bool WorkerPool::Post(std::function<void()> work) {
  Worker* sleeper = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || queue_.size() >= queue_limit_) return false;
    queue_.push_back({std::move(work), std::chrono::steady_clock::now()});
    sleeper = TakeSleeper();
  }
  if (sleeper != nullptr) sleeper->wake.notify_one();
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

void WorkerPool::Run(Worker& self) {
  std::unique_lock lock(mutex_);
  while (true) {
    while (queue_.empty()) {
      if (stopping_) return;
      Sleep(self, lock);
    }
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

void WorkerPool::Sleep(Worker& self, std::unique_lock<std::mutex>& lock) {
  self.asleep = true;
  sleepers_.push_back(&self);
  self.wake.wait(lock, [&self] { return !self.asleep; });
}

WorkerPool::Worker* WorkerPool::TakeSleeper() {
  if (sleepers_.empty()) return nullptr;
  Worker* const last = sleepers_.back();
  sleepers_.pop_back();
  last->asleep = false;
  return last;
}

}  // namespace postern::rpc
