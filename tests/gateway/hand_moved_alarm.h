// An alarm that a test moves by hand.
#pragma once

#include <functional>
#include <map>
#include <utility>

#include "absl/time/time.h"
#include "services/gateway/rate_limit.h"

namespace postern::gateway {

class HandMovedAlarm : public Alarm {
 public:
  void At(absl::Time when, std::function<void()> work) override { due_.emplace(when, std::move(work)); }
  void RunUntil(absl::Time now) {
    while (!due_.empty() && due_.begin()->first <= now) {
      auto work = std::move(due_.begin()->second);
      due_.erase(due_.begin());
      work();
    }
  }

 private:
  std::multimap<absl::Time, std::function<void()>> due_;
};

}  // namespace postern::gateway
