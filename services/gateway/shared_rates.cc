#include "services/gateway/shared_rates.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "matrix/refusal.h"
#include "services/gateway/room_draft.h"
#include "telemetry/log.h"
#include "telemetry/trace.h"

namespace postern::gateway {
namespace {

constexpr std::string_view kShared = "postern_gateway_rate_limits_shared";
constexpr std::size_t kHolderLetters = 16;
constexpr std::size_t kMostTold = 1000;
constexpr absl::Duration kShortestPace = absl::Milliseconds(50);
constexpr absl::Duration kLongestPace = absl::Seconds(1);
/// In paces.
constexpr int kGoodFor = 10;
constexpr int kHurried = 4;
constexpr absl::Duration kCallTime = absl::Milliseconds(500);

store::v1::ShareRatesRequest RequestOf(const std::string& holder, const OriginLoads& loads, absl::Duration good_for) {
  store::v1::ShareRatesRequest request;
  request.set_holder(holder);
  request.set_milliseconds(static_cast<std::uint32_t>(absl::ToInt64Milliseconds(good_for)));
  for (const auto& [name, load] : loads) {
    auto& origin = *request.add_origins();
    origin.set_origin(name);
    origin.set_requests(load.requests);
    origin.set_waiting(load.waiting);
    origin.set_working(load.working);
  }
  return request;
}

OriginLoads LoadsOf(const store::v1::ShareRatesResponse& response) {
  OriginLoads loads;
  for (const auto& origin : response.origins()) {
    loads[origin.origin()] = {origin.requests(), origin.waiting(), origin.working()};
  }
  return loads;
}

}  // namespace

SharedRates::SharedRates(OriginLimiter& limiter, StoreClient& store, Clock clock, telemetry::Metrics& metrics)
    : limiter_(limiter),
      store_(store),
      clock_(std::move(clock)),
      metrics_(metrics),
      holder_(RandomLetters(kHolderLetters)),
      pace_(kShortestPace) {
  limiter_.WhenNear([this] {
    const std::lock_guard lock(mutex_);
    near_ = true;
    wake_.notify_all();
  });
}

SharedRates::~SharedRates() { Shutdown(); }

void SharedRates::Start() {
  metrics_.SetGauge(kShared, 1);
  thread_ = std::thread([this] { Run(); });
}

void SharedRates::Shutdown() {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(stopping_, true)) return;
    wake_.notify_all();
  }
  if (!thread_.joinable()) return;
  thread_.join();
  if (!others_have_ours_) return;
  // If it is not heard, what was told runs out.
  static_cast<void>(store_.ShareRates({absl::Now() + kCallTime, telemetry::NewTrace()}, RequestOf(holder_, {}, pace_)));
}

void SharedRates::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    wake_.wait(lock, [this] { return stopping_ || near_; });
    near_ = false;
    std::optional<absl::Duration> next = absl::ZeroDuration();
    while (next && !stopping_) {
      lock.unlock();
      next = Exchange();
      lock.lock();
      // After the last one too: an origin that comes and goes is not worth a call each time.
      wake_.wait_for(lock, absl::ToChronoMilliseconds(next.value_or(pace_)), [this] { return stopping_; });
    }
  }
}

std::optional<absl::Duration> SharedRates::Exchange() {
  const OriginLimiter::Near near = limiter_.NearLimits(kMostTold);
  const bool any = !near.loads.empty();
  if (!any && !others_have_ours_) return std::nullopt;
  const absl::Time now = clock_();
  if (any) {
    pace_ = std::clamp(near.window / 10, kShortestPace, kLongestPace);
    hurried_ = now - last_near_ > kGoodFor * pace_ ? kHurried : std::max(0, hurried_ - 1);
    last_near_ = now;
  }
  const auto answer = store_.ShareRates({absl::Now() + kCallTime, telemetry::NewTrace()},
                                        RequestOf(holder_, near.loads, kGoodFor * pace_));
  NoteOutcome(answer.status());
  others_have_ours_ = any || !answer.ok();
  if (answer.ok()) limiter_.Learn(near.loads, LoadsOf(*answer), now + kGoodFor * pace_);
  if (!any && answer.ok()) return std::nullopt;
  return hurried_ > 0 ? pace_ / kHurried : pace_;
}

void SharedRates::NoteOutcome(const absl::Status& status) {
  if (shared_ == status.ok()) return;
  shared_ = status.ok();
  metrics_.SetGauge(kShared, shared_ ? 1 : 0);
  telemetry::Log(shared_ ? telemetry::Level::kInfo : telemetry::Level::kWarning,
                 shared_ ? "rate limits hold over all gateways again"
                         : "rate limits hold for each gateway by itself: the store cannot be had",
                 {{"reason", matrix::DetailOf(status)}});
}

}  // namespace postern::gateway
