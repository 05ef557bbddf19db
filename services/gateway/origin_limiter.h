// How much one other server may ask (row 5): Synapse's rc_federation, over all gateways together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "services/gateway/alarm.h"
#include "services/gateway/clock.h"
#include "services/gateway/limited_origins.h"
#include "services/gateway/origin_share.h"
#include "services/gateway/recent_count.h"
#include "telemetry/metrics.h"

namespace postern::gateway {

struct OriginLimiterOptions {
  OriginLimits limits;
  std::map<std::string, OriginLimits> of_origin;
  std::size_t max_origins = 10000;
  /// Over all origins: what waits holds memory.
  std::size_t max_waiting = 20000;
  /// Of one origin, in this gateway: whatever its limits are, it does not have all the threads.
  std::int64_t max_working = std::numeric_limits<std::int64_t>::max();
  /// While one of an origin waits that long for others of it to end, those that come are refused.
  absl::Duration longest_wait = absl::InfiniteDuration();
};

/// Origins by name.
using OriginLoads = std::map<std::string, OriginLoad>;

/// Thread-safe, never blocks: a request that has to wait holds no thread. Lets each origin have this gateway's share of
/// its limits; all of them as long as nothing is known of other gateways (SharedRates). Who keeps asking for more than
/// the sleep limit is let through evenly, not as many at once as a new window allows: that would be felt by the others.
class OriginLimiter {
 public:
  /// One request that is being worked on. Its end lets the next one of its origin begin.
  class Turn {
   public:
    Turn(OriginLimiter& limiter, std::string origin) : limiter_(limiter), origin_(std::move(origin)) {}
    ~Turn() { limiter_.Leave(origin_); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    OriginLimiter& limiter_;
    const std::string origin_;
  };
  /// Where `later`, it runs on a thread where it must not stay.
  using Begin = std::function<void(std::shared_ptr<Turn> turn, bool later)>;

  OriginLimiter(OriginLimiterOptions options, Clock clock, Alarm& alarm, telemetry::Metrics& metrics);

  /// Runs `begin` once, now or when it is this request's turn. Refuses, and does not take `begin`: kOriginLimited, with
  /// when to come back.
  absl::Status Enter(const std::string& origin, Begin begin);

  /// What other gateways have to know.
  struct Near {
    OriginLoads loads;
    /// The shortest window among them; of nothing, zero.
    absl::Duration window;
  };
  /// The origins that are near one of their limits, at most `most`: those that have asked for more than a twentieth of
  /// what they may, or that wait.
  Near NearLimits(std::size_t most);
  /// `others`: what all other gateways have of the origins `told`, to be reckoned with until `until`.
  void Learn(const OriginLoads& told, const OriginLoads& others, absl::Time until);
  /// Called where an origin comes near a limit, the first one since NearLimits found none. Must not block, nor call
  /// back. Set it before the first request.
  void WhenNear(std::function<void()> call) { when_near_ = std::move(call); }

  std::size_t size() const;

 private:
  struct Ready {
    Begin begin;
    absl::Time since;
  };
  struct Origin {
    std::deque<absl::Time> recent;  // received within the window and not refused
    RecentCount received;
    absl::Time next_share = absl::InfinitePast();  // when one may go on, of those who ask for more than they may
    std::deque<Ready> ready;
    std::int64_t sleeping = 0;
    std::int64_t working = 0;
    OriginLoad others;
    absl::Time others_until = absl::InfinitePast();

    bool HasWaited(absl::Duration time, absl::Time now) const {
      return !ready.empty() && now - ready.front().since > time;
    }
    std::int64_t waiting() const { return static_cast<std::int64_t>(ready.size()) + sleeping; }
    bool Idle() const { return recent.empty() && ready.empty() && sleeping == 0 && working == 0; }
  };

  const OriginLimits& LimitsOf(const std::string& origin) const;
  static OriginLoad LoadOf(const Origin& origin, const OriginLimits& limits, absl::Time now);
  OriginShare ShareNow(const Origin& origin, const OriginLimits& limits, absl::Time now) const;
  /// Whether a request that has just been received may begin without having slept.
  static bool MayGoOn(Origin& origin, const OriginLimits& limits, const OriginShare& share, absl::Time now);
  static bool IsNear(const Origin& origin, const OriginLimits& limits, absl::Time now);
  void NoteNear(const std::string& name, const Origin& origin, absl::Time now);
  void NoteLimited(const std::string& name, Limiting limiting, absl::Time now);
  void EndQuietLater(absl::Time now);
  void Forget(absl::Time now);
  void Wake(const std::string& origin, const Begin& begin);
  void Leave(const std::string& origin);
  /// Lets as many of those that are ready begin as may.
  void BeginReady(const std::string& name, Origin& origin, absl::Time now);
  absl::Status Refusal(const OriginLimits& limits) const;

  const OriginLimiterOptions options_;
  const Clock clock_;
  Alarm& alarm_;
  telemetry::Metrics& metrics_;
  std::function<void()> when_near_ = [] {};
  mutable std::mutex mutex_;
  std::map<std::string, Origin> origins_;
  std::string swept_to_;
  std::size_t waiting_ = 0;
  std::set<std::string> near_;
  bool told_of_near_ = false;
  LimitedOrigins limited_;
  bool watching_limited_ = false;
};

}  // namespace postern::gateway
