// An origin's limits over several gateways that share a store (pitfall R02), by clocks that the test moves.
#include "services/gateway/shared_rates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <numeric>

#include "matrix/refusal.h"
#include "tests/gateway/fake_store_client.h"
#include "tests/gateway/hand_moved_alarm.h"
#include "tests/gateway/scripted_peers.h"
#include "tests/support/fake_store.h"

namespace postern::gateway {
namespace {

using testing::HasSubstr;

const absl::Time kStart = absl::FromUnixSeconds(1700000000);
constexpr absl::Duration kStep = absl::Milliseconds(1);
constexpr const char* kOrigin = "b.example";

/// The store, which can be taken away.
class SeveredStore : public EventStoreClient {
 public:
  using EventStoreClient::EventStoreClient;
  absl::StatusOr<store::v1::ShareRatesResponse> ShareRates(const rpc::CallContext& call,
                                                           const store::v1::ShareRatesRequest& request) override {
    ++calls;
    if (away) return matrix::Refuse(matrix::Reason::kStoreDown, "taken away");
    return EventStoreClient::ShareRates(call, request);
  }

  bool away = false;
  int calls = 0;
};

/// As a ThreadAlarm, goes by a clock that nobody sets.
class SteadyAlarm : public HandMovedAlarm {
 public:
  SteadyAlarm(const StandingClock& steady, Clock set) : steady_(steady), set_(std::move(set)) {}
  void At(absl::Time when, std::function<void()> work) override {
    HandMovedAlarm::At(steady_.now() + (when - set_()), std::move(work));
  }

 private:
  const StandingClock& steady_;
  const Clock set_;
};

/// One gateway's limiter and its exchanges. Its clock is off by so much.
class PlayedGateway {
 public:
  PlayedGateway(support::FakeStore& store, const StandingClock& clock, const OriginLimits& limits, absl::Duration off)
      : store_(store),
        steady_(clock),
        clock_([&clock, off, this] { return clock.now() + off + set_by_; }),
        limiter_({.limits = limits, .of_origin = {}}, clock_, alarm_, metrics_),
        rates_(limiter_, store_, clock_, metrics_) {}

  void Ask(absl::Duration work) {
    ++asked;
    const absl::Status entered = limiter_.Enter(kOrigin, [this, work](auto turn, bool later) {
      ++begun;
      at_once += later ? 0 : 1;
      turns_.emplace_back(steady_.now() + work, std::move(turn));
      most_working = std::max(most_working, turns_.size());
    });
    refused += entered.ok() ? 0 : 1;
  }
  void Step() {
    alarm_.RunUntil(steady_.now());
    std::erase_if(turns_, [&](const auto& turn) { return turn.first <= steady_.now(); });
    alarm_.RunUntil(steady_.now());
    if (dead || steady_.now() < next_exchange_) return;
    const auto pace = rates_.Exchange();
    next_exchange_ = steady_.now() + pace.value_or(kStep);
  }
  std::size_t working() const { return turns_.size(); }
  void SetClock(absl::Duration by) { set_by_ += by; }

  bool dead = false;
  int asked = 0, begun = 0, at_once = 0, refused = 0;
  std::size_t most_working = 0;
  SeveredStore store_;
  telemetry::Metrics metrics_;

 private:
  absl::Duration set_by_;
  const StandingClock& steady_;
  const Clock clock_;
  SteadyAlarm alarm_{steady_, clock_};
  OriginLimiter limiter_;
  SharedRates rates_;
  absl::Time next_exchange_ = absl::InfinitePast();
  std::vector<std::pair<absl::Time, std::shared_ptr<OriginLimiter::Turn>>> turns_;
};

struct Spread {
  std::string name;
  std::vector<double> parts;  // of the load, a gateway each
};

class SharedRatesTest : public testing::TestWithParam<Spread> {
 protected:
  void Start(std::size_t gateways, std::vector<absl::Duration> off = {}) {
    off.resize(gateways);
    for (std::size_t i = 0; i < gateways; ++i) {
      gateways_.push_back(std::make_unique<PlayedGateway>(store_, clock_, limits_, off[i]));
    }
  }
  /// A load of so many requests a second, each of which takes `work`, for so long.
  void Play(double per_second, absl::Duration time, const std::vector<double>& parts,
            absl::Duration work = absl::ZeroDuration()) {
    owed_.resize(parts.size());
    for (absl::Duration passed; passed < time; passed += kStep) {
      clock_.Advance(kStep);
      std::size_t working = 0;
      for (std::size_t i = 0; i < parts.size(); ++i) {
        owed_[i] += per_second * parts[i] * absl::ToDoubleSeconds(kStep);
        for (; owed_[i] >= 1; owed_[i] -= 1) gateways_[i]->Ask(work);
        gateways_[i]->Step();
        working += gateways_[i]->working();
      }
      most_working_ = std::max(most_working_, working);
    }
  }
  int Sum(int PlayedGateway::*number) const {
    return std::accumulate(gateways_.begin(), gateways_.end(), 0,
                           [number](int sum, const auto& gateway) { return sum + (*gateway).*number; });
  }
  /// How many began while `play` went on.
  template <typename Play>
  double Begun(Play play) {
    const int before = Sum(&PlayedGateway::begun);
    play();
    return Sum(&PlayedGateway::begun) - before;
  }

  OriginLimits limits_{.window_size = absl::Seconds(1),
                       .sleep_limit = 100,
                       .sleep_delay = absl::Milliseconds(500),
                       .reject_limit = 4,
                       .concurrent = 1000};
  StandingClock clock_{kStart};
  support::FakeStore store_{"a.example", [this] { return clock_.now(); }};
  std::vector<std::unique_ptr<PlayedGateway>> gateways_;
  std::vector<double> owed_;
  std::size_t most_working_ = 0;
};

INSTANTIATE_TEST_SUITE_P(R02, SharedRatesTest,
                         testing::Values(Spread{"One", {1}}, Spread{"TwoEven", {0.5, 0.5}},
                                         Spread{"TwoNineToOne", {0.9, 0.1}}, Spread{"TwoAllToOne", {1, 0}},
                                         Spread{"ThreeEven", {1.0 / 3, 1.0 / 3, 1.0 / 3}},
                                         Spread{"ThreeSkewed", {0.8, 0.15, 0.05}}),
                         [](const auto& tested) { return tested.param.name; });

// Those that sleep are let through besides: at most 5 at a time, for half a second.
TEST_P(SharedRatesTest, AFloodIsLetThroughByTheLimitOverManyWindows) {
  const auto& parts = GetParam().parts;
  Start(parts.size());
  Play(2000, absl::Seconds(2), parts);
  for (int window = 0; window < 10; ++window) {
    EXPECT_NEAR(Begun([&] { Play(2000, absl::Seconds(1), parts); }), 100, 10) << "window " << window;
  }
}

TEST_P(SharedRatesTest, SeveralGatewaysLetAsManyThroughAsOneDoes) {
  const auto& parts = GetParam().parts;
  for (const double load : {80.0, 110.0, 150.0, 400.0, 1000.0}) {
    SCOPED_TRACE(load);
    const auto through = [&](const std::vector<double>& spread) {
      gateways_.clear();
      owed_.clear();
      Start(spread.size());
      Play(load, absl::Seconds(2), spread);
      const double begun = Begun([&] { Play(load, absl::Seconds(10), spread); });
      Play(0, absl::Seconds(3), spread);
      return begun;
    };
    const double of_one = through({1});
    EXPECT_NEAR(through(parts), of_one, of_one / 10);
  }
}

TEST_P(SharedRatesTest, NobodyIsSlowedBelowTheLimit) {
  const auto& parts = GetParam().parts;
  Start(parts.size());
  Play(90, absl::Seconds(10), parts);
  EXPECT_EQ(Sum(&PlayedGateway::at_once), Sum(&PlayedGateway::asked));
}

TEST_P(SharedRatesTest, TheBeginningOfAFloodIsNotLetThroughByEach) {
  const auto& parts = GetParam().parts;
  Start(parts.size());
  EXPECT_LE(Begun([&] { Play(400, absl::Milliseconds(999), parts); }), 140);
}

// Where nothing sleeps for long, what may wait is the limit: 100 that wait for 500 ms are 200 a second.
TEST_P(SharedRatesTest, NoMoreWaitThanTheRejectLimit) {
  const auto& parts = GetParam().parts;
  limits_.reject_limit = 99;
  Start(parts.size());
  Play(1000, absl::Seconds(2), parts);
  for (int window = 0; window < 10; ++window) {
    EXPECT_NEAR(Begun([&] { Play(1000, absl::Seconds(1), parts); }), 200, 20) << "window " << window;
  }
}

TEST_P(SharedRatesTest, NoMoreAreWorkedOnThanTheLimit) {
  const auto& parts = GetParam().parts;
  limits_ = {.sleep_limit = 10000, .reject_limit = 10000, .concurrent = 20};
  Start(parts.size());
  Play(300, absl::Seconds(2), parts, absl::Milliseconds(200));  // 60 at once, if all were let
  most_working_ = 0;
  EXPECT_NEAR(Begun([&] { Play(300, absl::Seconds(10), parts, absl::Milliseconds(200)); }), 1000, 100);
  EXPECT_LE(most_working_, 22);
}

class TwoGateways : public SharedRatesTest {
 protected:
  static constexpr double kFlood = 2000;

  /// A flood at both, until its limit holds.
  void Flood(std::vector<absl::Duration> off = {}) {
    Start(2, std::move(off));
    Play(kFlood, absl::Seconds(3), kEven);
  }
  double BegunASecond(const std::vector<double>& parts = kEven) {
    constexpr int kSeconds = 5;
    return Begun([&] { Play(kFlood, absl::Seconds(kSeconds), parts); }) / kSeconds;
  }

  static inline const std::vector<double> kEven{0.5, 0.5};
};

TEST_F(TwoGateways, OneThatDiesLeavesItsShareToTheOtherOnce) {
  Flood();
  gateways_[1]->dead = true;
  // What it has said counts for a second, which is half of the limit meanwhile.
  EXPECT_LE(Begun([&] { Play(kFlood, absl::Seconds(1), {1, 0}); }), 110);
  Play(kFlood, absl::Seconds(1), {1, 0});
  EXPECT_NEAR(BegunASecond({1, 0}), 100, 10);
}

TEST_F(TwoGateways, ANewOneTakesItsShare) {
  Start(3);
  Play(kFlood, absl::Seconds(3), kEven);
  const std::vector<double> all(3, 1.0 / 3);
  Play(kFlood, absl::Seconds(1), all);
  EXPECT_NEAR(BegunASecond(all), 100, 10);
}

TEST_F(TwoGateways, WithoutTheStoreEachHasTheLimitForItselfAndAMetricSaysSo) {
  Flood();
  for (auto& gateway : gateways_) gateway->store_.away = true;
  EXPECT_NEAR(Begun([&] { Play(kFlood, absl::Milliseconds(900), kEven); }), 90, 20) << "what was heard last holds on";
  Play(kFlood, absl::Seconds(2), kEven);
  EXPECT_NEAR(BegunASecond(), 200, 20);
  EXPECT_THAT(gateways_[0]->metrics_.Expose(), HasSubstr("postern_gateway_rate_limits_shared 0"));
  for (auto& gateway : gateways_) gateway->store_.away = false;
  Play(kFlood, absl::Seconds(2), kEven);
  EXPECT_NEAR(BegunASecond(), 100, 10);
  EXPECT_THAT(gateways_[0]->metrics_.Expose(), HasSubstr("postern_gateway_rate_limits_shared 1"));
}

TEST_F(TwoGateways, NeedNotAgreeOnTheTime) {
  Flood({absl::Hours(3), -absl::Minutes(7)});
  EXPECT_NEAR(BegunASecond(), 100, 10);
}

TEST_F(TwoGateways, AClockThatIsSetLeavesTheLimitsAsTheyAre) {
  Flood();
  gateways_[0]->SetClock(-absl::Hours(1));
  gateways_[1]->SetClock(absl::Hours(1));
  Play(kFlood, absl::Seconds(3), kEven);
  EXPECT_NEAR(BegunASecond(), 100, 10);
}

TEST_F(TwoGateways, TellNothingWhileNobodyIsNearALimit) {
  Start(2);
  Play(4, absl::Seconds(10), kEven);
  EXPECT_EQ(gateways_[0]->store_.calls, 0);
  Play(kFlood, absl::Seconds(5), kEven);
  EXPECT_NEAR(gateways_[0]->store_.calls, 53, 5);
  Play(0, absl::Seconds(3), kEven);
  const int calls = gateways_[0]->store_.calls;
  EXPECT_LE(calls, 80);
  Play(4, absl::Seconds(10), kEven);
  EXPECT_EQ(gateways_[0]->store_.calls, calls);
}

TEST(SharedRatesThread, TellsWhenAnOriginComesNearAndTakesItBackAtTheEnd) {
  std::mutex mutex;
  std::condition_variable told;
  std::vector<int> origins;
  ScriptedStore store;
  store.on_share_rates = [&](const store::v1::ShareRatesRequest& request) {
    const std::lock_guard lock(mutex);
    origins.push_back(request.origins_size());
    told.notify_all();
    return store::v1::ShareRatesResponse();
  };
  telemetry::Metrics metrics;
  ThreadAlarm alarm;
  OriginLimiter limiter({.limits = {.window_size = absl::Hours(1), .sleep_limit = 1}, .of_origin = {}}, absl::Now,
                        alarm, metrics);
  SharedRates rates(limiter, store, absl::Now, metrics);
  rates.Start();
  ASSERT_TRUE(limiter.Enter(kOrigin, [](auto, bool) {}).ok());
  {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(told.wait_for(lock, std::chrono::seconds(20), [&] { return !origins.empty(); }));
    EXPECT_EQ(origins.front(), 1);
  }
  rates.Shutdown();
  EXPECT_EQ(origins.back(), 0);
  alarm.Stop();
}

}  // namespace
}  // namespace postern::gateway
