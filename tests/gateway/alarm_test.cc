#include "services/gateway/alarm.h"

#include <gtest/gtest.h>

#include "absl/time/clock.h"

namespace postern::gateway {
namespace {

TEST(ThreadAlarm, RunsWhatIsDueAndDropsTheRest) {
  std::mutex mutex;
  std::condition_variable ran;
  bool done = false;
  bool never = false;
  {
    ThreadAlarm alarm;
    alarm.At(absl::Now() + absl::Hours(1), [&] { never = true; });
    alarm.At(absl::Now(), [&] {
      const std::lock_guard lock(mutex);
      done = true;
      ran.notify_all();
    });
    std::unique_lock lock(mutex);
    EXPECT_TRUE(ran.wait_for(lock, std::chrono::seconds(20), [&] { return done; }));
  }
  EXPECT_FALSE(never);
}

}  // namespace
}  // namespace postern::gateway
