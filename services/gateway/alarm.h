// Things that are to be done later.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include "absl/time/time.h"

namespace postern::gateway {

/// Runs things later, on a thread of its own. A test has one that it moves by hand.
class Alarm {
 public:
  virtual ~Alarm() = default;
  /// `work` must not block. Not run if the alarm goes before.
  virtual void At(absl::Time when, std::function<void()> work) = 0;
};

/// `when` is taken as a time from now on: a clock that is set while something waits does not hold it up.
class ThreadAlarm : public Alarm {
 public:
  ThreadAlarm();
  ~ThreadAlarm() override;
  void At(absl::Time when, std::function<void()> work) override;
  /// Runs nothing more, and drops what is due and what comes.
  void Stop();

 private:
  using SteadyTime = std::chrono::steady_clock::time_point;
  void Run();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::multimap<SteadyTime, std::function<void()>> due_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace postern::gateway
