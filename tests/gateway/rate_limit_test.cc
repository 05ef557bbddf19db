// What one address and what one server may ask (rows 2 and 5; pitfalls R01, R02, S09).
#include "services/gateway/rate_limit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "matrix/refusal.h"
#include "services/gateway/refusal_response.h"
#include "tests/gateway/hand_moved_alarm.h"
#include "tests/gateway/scripted_peers.h"

namespace postern::gateway {
namespace {

using matrix::Reason;

const absl::Time kStart = absl::FromUnixSeconds(1700000000);

/// Runs what is due when the test says so.
TEST(AddressLimiter, LetsABurstPassAndThenSoManyASecond) {
  telemetry::Metrics metrics;
  AddressLimiter limiter({.per_second = 2, .burst = 3, .max_addresses = 10}, metrics);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(limiter.Admit("192.0.2.1", kStart).ok());
  const absl::Status refused = limiter.Admit("192.0.2.1", kStart);
  EXPECT_EQ(matrix::ReasonOf(refused), Reason::kAddressLimited);
  EXPECT_THAT(RefusalResponse(refused).body, testing::HasSubstr("\"retry_after_ms\":500"));
  EXPECT_TRUE(limiter.Admit("192.0.2.2", kStart).ok());
  EXPECT_TRUE(limiter.Admit("192.0.2.1", kStart + absl::Milliseconds(500)).ok());
  EXPECT_FALSE(limiter.Admit("192.0.2.1", kStart + absl::Milliseconds(500)).ok());
}

TEST(AddressLimiter, CountsAnIpv6NetworkAsOne) {
  telemetry::Metrics metrics;
  AddressLimiter limiter({.per_second = 1, .burst = 1, .max_addresses = 10}, metrics);
  EXPECT_TRUE(limiter.Admit("2001:db8:1:2::1", kStart).ok());
  EXPECT_FALSE(limiter.Admit("2001:db8:1:2:ffff::9", kStart).ok());
  EXPECT_TRUE(limiter.Admit("2001:db8:1:3::1", kStart).ok());
  EXPECT_TRUE(limiter.Admit("::ffff:192.0.2.1", kStart).ok());
  EXPECT_TRUE(limiter.Admit("::ffff:192.0.2.2", kStart).ok());
}

TEST(AddressLimiter, RemembersOnlySoManyAddresses) {
  telemetry::Metrics metrics;
  AddressLimiter limiter({.per_second = 1, .burst = 1, .max_addresses = 100}, metrics);
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(limiter.Admit("host" + std::to_string(i), kStart).ok());
  EXPECT_EQ(limiter.size(), 100U);
}

class OriginLimiterTest : public testing::Test {
 protected:
  OriginLimiterTest() {
    options_.limits = {.window_size = absl::Seconds(1),
                       .sleep_limit = 3,
                       .sleep_delay = absl::Milliseconds(500),
                       .reject_limit = 2,
                       .concurrent = 2};
  }

  Reason Enter(const std::string& origin) {
    if (limiter_ == nullptr) {
      limiter_ = std::make_unique<OriginLimiter>(
          options_, [this] { return clock_.now(); }, alarm_, metrics_);
    }
    return matrix::ReasonOf(limiter_->Enter(origin, [this](std::shared_ptr<OriginLimiter::Turn> turn, bool later) {
      turns_.push_back(std::move(turn));
      later_ += later ? 1 : 0;
    }));
  }
  void Move(absl::Duration by) {
    clock_.Advance(by);
    alarm_.RunUntil(clock_.now());
  }
  std::size_t begun() const { return turns_.size() + ended_; }
  void EndOne() {
    auto turn = std::move(turns_.front());
    turns_.erase(turns_.begin());
    ++ended_;
    turn = nullptr;
    alarm_.RunUntil(clock_.now());
  }

  StandingClock clock_{kStart};
  telemetry::Metrics metrics_;
  HandMovedAlarm alarm_;
  OriginLimiterOptions options_;
  std::unique_ptr<OriginLimiter> limiter_;
  std::vector<std::shared_ptr<OriginLimiter::Turn>> turns_;
  std::size_t ended_ = 0;
  int later_ = 0;
};

TEST_F(OriginLimiterTest, WorksOnSoManyAtOnceAndQueuesTheRest) {
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Enter("a.example"), Reason::kNone);
  EXPECT_EQ(begun(), 2U);
  EXPECT_EQ(later_, 0);
  EndOne();
  EXPECT_EQ(begun(), 3U);
  EXPECT_EQ(later_, 1);
  EXPECT_EQ(Enter("b.example"), Reason::kNone);  // another server has places of its own
  EXPECT_EQ(begun(), 4U);
  turns_.clear();
}

TEST_F(OriginLimiterTest, DelaysWhatIsBeyondTheSleepLimit) {
  options_.limits.concurrent = 100;
  for (int i = 0; i < 4; ++i) EXPECT_EQ(Enter("a.example"), Reason::kNone);
  EXPECT_EQ(begun(), 3U);
  Move(absl::Milliseconds(499));
  EXPECT_EQ(begun(), 3U);
  Move(absl::Milliseconds(1));
  EXPECT_EQ(begun(), 4U);
  Move(absl::Milliseconds(500));  // the window has passed
  EXPECT_EQ(Enter("a.example"), Reason::kNone);
  EXPECT_EQ(begun(), 5U);
  turns_.clear();
}

TEST_F(OriginLimiterTest, RefusesWhenMoreThanTheRejectLimitWait) {
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Enter("a.example"), Reason::kNone) << i;  // 2 work, 1 queues, 2 sleep
  EXPECT_EQ(Enter("a.example"), Reason::kOriginLimited);
  EXPECT_EQ(Enter("b.example"), Reason::kNone);
  while (!turns_.empty()) EndOne();
  Move(absl::Seconds(1));
  while (!turns_.empty()) EndOne();
  EXPECT_EQ(begun(), 6U);
}

TEST_F(OriginLimiterTest, NamedServersHaveLimitsOfTheirOwn) {
  options_.of_origin["big.example"] = {.sleep_limit = 1000, .reject_limit = 1000, .concurrent = 1000};
  for (int i = 0; i < 500; ++i) EXPECT_EQ(Enter("big.example"), Reason::kNone);
  EXPECT_EQ(begun(), 500U);
  turns_.clear();
}

TEST_F(OriginLimiterTest, ForgetsThoseWhoAskNoMore) {
  options_.max_origins = 50;
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 10; ++i) {
      EXPECT_EQ(Enter("s" + std::to_string(10 * round + i) + ".example"), Reason::kNone);
    }
    turns_.clear();
    Move(absl::Seconds(2));
  }
  EXPECT_LE(limiter_->size(), 50U);
}

TEST_F(OriginLimiterTest, ALongQueueWhoseTurnsEndAtOnceIsNoDeepStack) {
  options_.limits = {.window_size = absl::Seconds(1),
                     .sleep_limit = 100000,
                     .sleep_delay = absl::ZeroDuration(),
                     .reject_limit = 100000,
                     .concurrent = 1};
  OriginLimiter limiter(
      options_, [this] { return clock_.now(); }, alarm_, metrics_);
  std::shared_ptr<OriginLimiter::Turn> first;
  int begun = 0;
  for (int i = 0; i < 15000; ++i) {
    ASSERT_TRUE(limiter
                    .Enter("a.example",
                           [&](std::shared_ptr<OriginLimiter::Turn> turn, bool later) {
                             ++begun;
                             if (!later) first = std::move(turn);
                           })
                    .ok());
  }
  first = nullptr;
  alarm_.RunUntil(clock_.now());
  EXPECT_EQ(begun, 15000);
}

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
