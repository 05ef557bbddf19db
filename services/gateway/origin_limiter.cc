#include "services/gateway/origin_limiter.h"

#include <algorithm>
#include <utility>

#include "matrix/refusal.h"
#include "services/gateway/refusal_response.h"

namespace postern::gateway {
namespace {

using matrix::Reason;

constexpr int kSweptAtOnce = 4;
/// What is less of a limit is not worth telling: of each other gateway so much may go unseen.
constexpr std::int64_t kNearPart = 20;
/// News that are to hold for longer were had before the clock was set back.
constexpr absl::Duration kLongestNews = absl::Minutes(2);

void DropOld(std::deque<absl::Time>& recent, absl::Duration window, absl::Time now) {
  // Those that come later than `now` by more than a window were received before the clock was set back.
  while (!recent.empty() && (now - recent.front() >= window || recent.front() - now > window)) recent.pop_front();
}

}  // namespace

OriginLimiter::OriginLimiter(OriginLimiterOptions options, Clock clock, Alarm& alarm, telemetry::Metrics& metrics)
    : options_(std::move(options)), clock_(std::move(clock)), alarm_(alarm), metrics_(metrics), limited_(metrics) {}

const OriginLimits& OriginLimiter::LimitsOf(const std::string& origin) const {
  const auto own = options_.of_origin.find(origin);
  return own == options_.of_origin.end() ? options_.limits : own->second;
}

absl::Status OriginLimiter::Refusal(const OriginLimits& limits) const {
  const absl::Duration one_share = limits.window_size / std::max<std::int64_t>(1, limits.sleep_limit);
  return RefuseUntil(Reason::kOriginLimited, "too many requests from this server",
                     std::max(one_share, limits.sleep_delay));
}

OriginLoad OriginLimiter::LoadOf(const Origin& origin, const OriginLimits& limits, absl::Time now) {
  return {origin.received.Within(now, limits.window_size), origin.waiting(), origin.working};
}

OriginShare OriginLimiter::ShareNow(const Origin& origin, const OriginLimits& limits, absl::Time now) const {
  const absl::Duration left = origin.others_until - now;
  const bool known = left > absl::ZeroDuration() && left <= kLongestNews;
  OriginShare share = ShareOf(limits, LoadOf(origin, limits, now), known ? origin.others : OriginLoad());
  share.working = std::min(share.working, options_.max_working);
  return share;
}

bool OriginLimiter::IsNear(const Origin& origin, const OriginLimits& limits, absl::Time now) {
  const OriginLoad load = LoadOf(origin, limits, now);
  return load.requests * kNearPart > limits.sleep_limit || load.waiting > 0 ||
         load.working * kNearPart > limits.concurrent;
}

void OriginLimiter::NoteNear(const std::string& name, const Origin& origin, absl::Time now) {
  if (near_.contains(name) || !IsNear(origin, LimitsOf(name), now)) return;
  near_.insert(name);
  if (!std::exchange(told_of_near_, true)) when_near_();
}

OriginLimiter::Near OriginLimiter::NearLimits(std::size_t most) {
  const absl::Time now = clock_();
  Near found;
  const std::lock_guard lock(mutex_);
  for (auto at = near_.begin(); at != near_.end();) {
    const auto origin = origins_.find(*at);
    const OriginLimits& limits = LimitsOf(*at);
    if (origin == origins_.end() || !IsNear(origin->second, limits, now)) {
      at = near_.erase(at);
      continue;
    }
    if (found.loads.size() < most) {
      const bool first = found.loads.empty();
      found.loads.emplace(*at, LoadOf(origin->second, limits, now));
      found.window = first ? limits.window_size : std::min(found.window, limits.window_size);
    }
    ++at;
  }
  told_of_near_ = !near_.empty();
  return found;
}

void OriginLimiter::Learn(const OriginLoads& told, const OriginLoads& others, absl::Time until) {
  const absl::Time now = clock_();
  const std::lock_guard lock(mutex_);
  for (const auto& [name, load] : told) {
    const auto found = origins_.find(name);
    if (found == origins_.end()) continue;
    const auto news = others.find(name);
    found->second.others = news == others.end() ? OriginLoad() : news->second;
    found->second.others_until = until;
    BeginReady(name, found->second, now);
  }
}

void OriginLimiter::NoteLimited(const std::string& name, Limiting limiting, absl::Time now) {
  metrics_.Count("postern_gateway_rate_limited_total", {{"scope", "origin"}, {"action", NameOf(limiting)}});
  limited_.Note(name, limiting, now);
  if (!std::exchange(watching_limited_, true)) EndQuietLater(now);
}

void OriginLimiter::EndQuietLater(absl::Time now) {
  alarm_.At(now + LimitedOrigins::kQuiet, [this] {
    const absl::Time later = clock_();
    const std::lock_guard lock(mutex_);
    watching_limited_ = limited_.EndQuiet(later);
    if (watching_limited_) EndQuietLater(later);
  });
}

bool OriginLimiter::MayGoOn(Origin& origin, const OriginLimits& limits, const OriginShare& share, absl::Time now) {
  if (static_cast<std::int64_t>(origin.recent.size()) >= share.in_window) return false;
  const absl::Duration each = limits.window_size / std::max<std::int64_t>(1, share.in_window);
  const bool floods = origin.received.Within(now, limits.window_size) > share.in_window;
  const bool early = origin.next_share > now && origin.next_share - now <= limits.window_size;
  if (floods && early) return false;
  // One that was not taken in time may be had late, so that the mean is what it may be.
  origin.next_share = std::max(early ? absl::InfinitePast() : origin.next_share, now - each) + each;
  return true;
}

absl::Status OriginLimiter::Enter(const std::string& name, Begin begin) {
  const OriginLimits& limits = LimitsOf(name);
  const absl::Time now = clock_();
  {
    const std::lock_guard lock(mutex_);
    Forget(now);
    if (origins_.size() >= options_.max_origins && !origins_.contains(name)) {
      NoteLimited(name, Limiting::kRefused, now);
      return Refusal(limits);
    }
    Origin& origin = origins_[name];
    DropOld(origin.recent, limits.window_size, now);
    origin.received.Add(now, limits.window_size);
    NoteNear(name, origin, now);
    const OriginShare share = ShareNow(origin, limits, now);
    const bool goes_on = MayGoOn(origin, limits, share, now);
    const bool waits = !goes_on || origin.working >= share.working;
    const bool full = origin.waiting() >= share.waiting || waiting_ >= options_.max_waiting;
    if (waits && (full || origin.HasWaited(options_.longest_wait, now))) {
      NoteLimited(name, Limiting::kRefused, now);
      return Refusal(limits);
    }
    origin.recent.push_back(now);
    if (!goes_on) {
      ++origin.sleeping;
      ++waiting_;
      NoteLimited(name, Limiting::kDelayed, now);
      alarm_.At(now + limits.sleep_delay, [this, name, begin = std::move(begin)] { Wake(name, begin); });
      return absl::OkStatus();
    }
    if (waits) {
      ++waiting_;
      origin.ready.push_back({std::move(begin), now});
      NoteNear(name, origin, now);
      NoteLimited(name, Limiting::kQueued, now);
      return absl::OkStatus();
    }
    ++origin.working;
  }
  begin(std::make_shared<Turn>(*this, name), false);
  return absl::OkStatus();
}

void OriginLimiter::Wake(const std::string& name, const Begin& begin) {
  const absl::Time now = clock_();
  {
    const std::lock_guard lock(mutex_);
    Origin& origin = origins_[name];
    --origin.sleeping;
    if (origin.working >= ShareNow(origin, LimitsOf(name), now).working) {
      origin.ready.push_back({begin, now});
      return;
    }
    --waiting_;
    ++origin.working;
  }
  begin(std::make_shared<Turn>(*this, name), true);
}

void OriginLimiter::Leave(const std::string& name) {
  const absl::Time now = clock_();
  const std::lock_guard lock(mutex_);
  Origin& origin = origins_[name];
  --origin.working;
  BeginReady(name, origin, now);
}

void OriginLimiter::BeginReady(const std::string& name, Origin& origin, absl::Time now) {
  if (origin.ready.empty()) return;
  const std::int64_t most = ShareNow(origin, LimitsOf(name), now).working;
  while (!origin.ready.empty() && origin.working < most) {
    ++origin.working;
    --waiting_;
    // On the alarm's thread: where turns end as they begin (no worker is free), this must not recurse through the whole
    // queue.
    alarm_.At(now, [this, name, next = std::move(origin.ready.front().begin)] {
      next(std::make_shared<Turn>(*this, name), true);
    });
    origin.ready.pop_front();
  }
}

/// Drops a few origins that nothing is to be remembered of, going round.
void OriginLimiter::Forget(absl::Time now) {
  auto at = origins_.lower_bound(swept_to_);
  for (int left = kSweptAtOnce; left > 0 && !origins_.empty(); --left) {
    if (at == origins_.end()) at = origins_.begin();
    Origin& origin = at->second;
    DropOld(origin.recent, LimitsOf(at->first).window_size, now);
    at = origin.Idle() ? origins_.erase(at) : std::next(at);
  }
  swept_to_ = at == origins_.end() ? std::string() : at->first;
}

std::size_t OriginLimiter::size() const {
  const std::lock_guard lock(mutex_);
  return origins_.size();
}

}  // namespace postern::gateway
