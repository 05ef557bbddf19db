// What one server may ask of one gateway (row 5; pitfall R01).
#include "services/gateway/origin_limiter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "matrix/refusal.h"
#include "tests/gateway/hand_moved_alarm.h"
#include "tests/gateway/scripted_peers.h"

namespace postern::gateway {
namespace {

using matrix::Reason;

const absl::Time kStart = absl::FromUnixSeconds(1700000000);

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

TEST_F(OriginLimiterTest, NeverHasAllTheThreadsOfTheGateway) {
  options_.limits = {.sleep_limit = 1000, .reject_limit = 1000, .concurrent = 1000};
  options_.max_working = 7;
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Enter("a.example"), Reason::kNone);
  EXPECT_EQ(begun(), 7U);
  while (!turns_.empty()) EndOne();
  EXPECT_EQ(begun(), 20U);
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

TEST_F(OriginLimiterTest, RefusesThoseThatComeWhileOneHasWaitedForTooLong) {
  options_.limits = {.sleep_limit = 1000, .reject_limit = 1000, .concurrent = 2};
  options_.longest_wait = absl::Seconds(2);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(Enter("a.example"), Reason::kNone);  // 2 work, 2 queue
  Move(absl::Seconds(2));
  EXPECT_EQ(Enter("a.example"), Reason::kNone);
  Move(absl::Milliseconds(1));
  EXPECT_EQ(Enter("a.example"), Reason::kOriginLimited);
  EXPECT_EQ(Enter("b.example"), Reason::kNone);
  EndOne();
  EndOne();  // now the one that came last is the first of those that wait
  EXPECT_EQ(Enter("a.example"), Reason::kNone);
  while (!turns_.empty()) EndOne();
  EXPECT_EQ(begun(), 7U);
}

TEST_F(OriginLimiterTest, NamedServersHaveLimitsOfTheirOwn) {
  options_.of_origin["big.example"] = {.sleep_limit = 1000, .reject_limit = 1000, .concurrent = 1000};
  for (int i = 0; i < 500; ++i) EXPECT_EQ(Enter("big.example"), Reason::kNone);
  EXPECT_EQ(begun(), 500U);
  turns_.clear();
}

TEST_F(OriginLimiterTest, SaysWhoIsLimitedAndWhenThatHasEnded) {
  for (int i = 0; i < 4; ++i) EXPECT_EQ(Enter("a.example"), Reason::kNone);
  EXPECT_THAT(metrics_.Expose(), testing::HasSubstr("postern_gateway_limited_origins 1"));
  EXPECT_THAT(metrics_.Expose(), testing::HasSubstr(R"({action="delayed",origin="a.example"} 1)"));
  while (!turns_.empty()) EndOne();
  Move(absl::Seconds(10));
  while (!turns_.empty()) EndOne();
  Move(absl::Seconds(10));
  EXPECT_THAT(metrics_.Expose(), testing::HasSubstr("postern_gateway_limited_origins 0"));
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

}  // namespace
}  // namespace postern::gateway
