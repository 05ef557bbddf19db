#include "services/gateway/recent_count.h"

#include <gtest/gtest.h>

namespace postern::gateway {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1700000000);
constexpr absl::Duration kWindow = absl::Seconds(1);

TEST(RecentCount, CountsWhatCameWithinTheWindow) {
  RecentCount count;
  EXPECT_EQ(count.Within(kStart, kWindow), 0);
  for (int i = 0; i < 100; ++i) count.Add(kStart + absl::Milliseconds(2 * i), kWindow);
  EXPECT_EQ(count.Within(kStart + absl::Milliseconds(200), kWindow), 100);
  EXPECT_EQ(count.Within(kStart + absl::Milliseconds(999), kWindow), 100);
  EXPECT_NEAR(static_cast<double>(count.Within(kStart + absl::Milliseconds(1050), kWindow)), 75, 2);
  EXPECT_EQ(count.Within(kStart + absl::Milliseconds(1200), kWindow), 0);
}

TEST(RecentCount, OfASteadyLoadIsWhatComesInAWindow) {
  RecentCount count;
  for (int ms = 0; ms < 5000; ++ms) {
    const absl::Time now = kStart + absl::Milliseconds(ms);
    count.Add(now, kWindow);
    if (ms < 1000) continue;
    EXPECT_NEAR(static_cast<double>(count.Within(now, kWindow)), 1000, 2) << ms;
  }
}

TEST(RecentCount, BeginsAnewAfterALongTimeAndWhereTheClockWasSetBack) {
  RecentCount count;
  count.Add(kStart, kWindow);
  EXPECT_EQ(count.Within(kStart + absl::Hours(1), kWindow), 0);
  EXPECT_EQ(count.Within(kStart - absl::Hours(1), kWindow), 0);
  count.Add(kStart - absl::Hours(1), kWindow);
  EXPECT_EQ(count.Within(kStart - absl::Hours(1), kWindow), 1);
  count.Add(kStart - absl::Hours(1) - absl::Milliseconds(150), kWindow);  // a little: not lost
  EXPECT_EQ(count.Within(kStart - absl::Hours(1), kWindow), 2);
}

}  // namespace
}  // namespace postern::gateway
