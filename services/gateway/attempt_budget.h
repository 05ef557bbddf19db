// How often calls may be given up before their time, to be tried at another replica: enough to spare the callers of one
// replica that hangs, too little to double the load of a tier that is slow as a whole (docs/decisions/0030).
#pragma once

#include <algorithm>
#include <mutex>

namespace postern::gateway {

struct AttemptBudgetOptions {
  /// What there is at first, and at most: attempts.
  double most = 256;
  /// What each call brings back that is answered in time.
  double earned = 0.5;
};

/// Of one client's calls to one tier. Thread-safe.
class AttemptBudget {
 public:
  explicit AttemptBudget(AttemptBudgetOptions options = {}) : options_(options), left_(options.most) {}

  /// Before an attempt that may be given up. False: there is nothing left, and it may not.
  bool Take() {
    const std::lock_guard lock(mutex_);
    if (left_ < 1) return false;
    left_ -= 1;
    return true;
  }
  /// It was answered, and so not given up.
  void GiveBack() {
    const std::lock_guard lock(mutex_);
    left_ = std::min(options_.most, left_ + 1 + options_.earned);
  }

 private:
  const AttemptBudgetOptions options_;
  mutable std::mutex mutex_;
  double left_;
};

}  // namespace postern::gateway
