#include "services/gateway/alarm.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"

namespace postern::gateway {
namespace {

constexpr absl::Duration kLongestWait = absl::Hours(24 * 365);

}  // namespace

ThreadAlarm::ThreadAlarm() : thread_([this] { Run(); }) {}

ThreadAlarm::~ThreadAlarm() { Stop(); }

void ThreadAlarm::Stop() {
  std::multimap<SteadyTime, std::function<void()>> dropped;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    dropped.swap(due_);
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void ThreadAlarm::At(absl::Time when, std::function<void()> work) {
  const absl::Duration wait = std::clamp(when - absl::Now(), absl::ZeroDuration(), kLongestWait);
  const SteadyTime due = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(wait);
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    due_.emplace(due, std::move(work));
  }
  wake_.notify_all();
}

void ThreadAlarm::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (due_.empty()) {
      wake_.wait(lock);
      continue;
    }
    const SteadyTime first = due_.begin()->first;
    if (std::chrono::steady_clock::now() < first) {
      wake_.wait_until(lock, first);
      continue;
    }
    auto work = std::move(due_.begin()->second);
    due_.erase(due_.begin());
    lock.unlock();
    work();
    work = nullptr;
    lock.lock();
  }
}

}  // namespace postern::gateway
