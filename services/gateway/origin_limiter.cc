#include "services/gateway/origin_limiter.h"

#include <algorithm>
#include <utility>

#include "matrix/refusal.h"
#include "services/gateway/refusal_response.h"

namespace postern::gateway {
namespace {

using matrix::Reason;

constexpr int kSweptAtOnce = 4;

}  // namespace

OriginLimiter::OriginLimiter(OriginLimiterOptions options, Clock clock, Alarm& alarm, telemetry::Metrics& metrics)
    : options_(std::move(options)), clock_(std::move(clock)), alarm_(alarm), metrics_(metrics) {}

const OriginLimits& OriginLimiter::LimitsOf(const std::string& origin) const {
  const auto own = options_.of_origin.find(origin);
  return own == options_.of_origin.end() ? options_.limits : own->second;
}

absl::Status OriginLimiter::TooMany(const OriginLimits& limits) const {
  metrics_.Count("postern_gateway_rate_limited_total", {{"scope", "origin"}, {"action", "refused"}});
  const absl::Duration one_share = limits.window_size / std::max<std::int64_t>(1, limits.sleep_limit);
  return RefuseUntil(Reason::kOriginLimited, "too many requests from this server",
                     std::max(one_share, limits.sleep_delay));
}

absl::Status OriginLimiter::Enter(const std::string& name, Begin begin) {
  const OriginLimits& limits = LimitsOf(name);
  const absl::Time now = clock_();
  {
    const std::lock_guard lock(mutex_);
    Forget(now);
    if (origins_.size() >= options_.max_origins && !origins_.contains(name)) return TooMany(limits);
    Origin& origin = origins_[name];
    while (!origin.recent.empty() && now - origin.recent.front() >= limits.window_size) origin.recent.pop_front();
    const auto waiting = static_cast<std::int64_t>(origin.ready.size()) + origin.sleeping;
    if (waiting > limits.reject_limit || waiting_ >= options_.max_waiting) return TooMany(limits);
    origin.recent.push_back(now);
    if (static_cast<std::int64_t>(origin.recent.size()) > limits.sleep_limit) {
      ++origin.sleeping;
      ++waiting_;
      metrics_.Count("postern_gateway_rate_limited_total", {{"scope", "origin"}, {"action", "delayed"}});
      alarm_.At(now + limits.sleep_delay, [this, name, begin = std::move(begin)] { Wake(name, begin); });
      return absl::OkStatus();
    }
    if (origin.working >= limits.concurrent) {
      ++waiting_;
      origin.ready.push_back(std::move(begin));
      metrics_.Count("postern_gateway_rate_limited_total", {{"scope", "origin"}, {"action", "queued"}});
      return absl::OkStatus();
    }
    ++origin.working;
  }
  begin(std::make_shared<Turn>(*this, name), false);
  return absl::OkStatus();
}

void OriginLimiter::Wake(const std::string& name, const Begin& begin) {
  {
    const std::lock_guard lock(mutex_);
    Origin& origin = origins_[name];
    --origin.sleeping;
    if (origin.working >= LimitsOf(name).concurrent) {
      origin.ready.push_back(begin);
      return;
    }
    --waiting_;
    ++origin.working;
  }
  begin(std::make_shared<Turn>(*this, name), true);
}

void OriginLimiter::Leave(const std::string& name) {
  Begin next;
  {
    const std::lock_guard lock(mutex_);
    Origin& origin = origins_[name];
    if (origin.ready.empty()) {
      --origin.working;
      return;
    }
    --waiting_;
    next = std::move(origin.ready.front());
    origin.ready.pop_front();
  }
  // On the alarm's thread: where turns end as they begin (no worker is free), this must not recurse through the whole
  // queue.
  alarm_.At(clock_(), [this, name, next = std::move(next)] { next(std::make_shared<Turn>(*this, name), true); });
}

/// Drops a few origins that nothing is to be remembered of, going round.
void OriginLimiter::Forget(absl::Time now) {
  auto at = origins_.lower_bound(swept_to_);
  for (int left = kSweptAtOnce; left > 0 && !origins_.empty(); --left) {
    if (at == origins_.end()) at = origins_.begin();
    Origin& origin = at->second;
    const absl::Duration window = LimitsOf(at->first).window_size;
    while (!origin.recent.empty() && now - origin.recent.front() >= window) origin.recent.pop_front();
    at = origin.Idle() ? origins_.erase(at) : std::next(at);
  }
  swept_to_ = at == origins_.end() ? std::string() : at->first;
}

std::size_t OriginLimiter::size() const {
  const std::lock_guard lock(mutex_);
  return origins_.size();
}

}  // namespace postern::gateway
