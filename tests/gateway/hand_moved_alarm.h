// An alarm that a test moves by hand.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <utility>

#include "absl/time/time.h"
#include "services/gateway/alarm.h"

namespace postern::gateway {

/// What it runs may set it again, from another thread too.
class HandMovedAlarm : public Alarm {
 public:
  void At(absl::Time when, std::function<void()> work) override {
    const std::lock_guard lock(mutex_);
    due_.emplace(when, std::move(work));
  }
  void RunUntil(absl::Time now) {
    while (auto work = TakeDue(now)) work();
  }

 private:
  std::function<void()> TakeDue(absl::Time now) {
    const std::lock_guard lock(mutex_);
    if (due_.empty() || due_.begin()->first > now) return nullptr;
    auto work = std::move(due_.begin()->second);
    due_.erase(due_.begin());
    return work;
  }

  std::mutex mutex_;
  std::multimap<absl::Time, std::function<void()>> due_;
};

}  // namespace postern::gateway
