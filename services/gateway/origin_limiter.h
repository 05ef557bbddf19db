// How much one other server may ask (row 5): Synapse's rc_federation.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "services/gateway/alarm.h"
#include "services/gateway/clock.h"
#include "telemetry/metrics.h"

namespace postern::gateway {

/// Synapse's names and meanings: of the requests that an origin makes in `window_size`, those beyond `sleep_limit` wait
/// for `sleep_delay` first; at most `concurrent` are worked on at once, the others queue; where more than
/// `reject_limit` wait, the next is refused.
struct OriginLimits {
  absl::Duration window_size = absl::Seconds(1);
  std::int64_t sleep_limit = 1000;
  absl::Duration sleep_delay = absl::Milliseconds(500);
  std::int64_t reject_limit = 5000;
  std::int64_t concurrent = 64;
};

struct OriginLimiterOptions {
  OriginLimits limits;
  std::map<std::string, OriginLimits> of_origin;
  std::size_t max_origins = 10000;
  /// Over all origins: what waits holds memory.
  std::size_t max_waiting = 20000;
};

/// Thread-safe, never blocks: a request that has to wait holds no thread.
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

  std::size_t size() const;

 private:
  struct Origin {
    std::deque<absl::Time> recent;  // received within the window
    std::deque<Begin> ready;
    std::int64_t sleeping = 0;
    std::int64_t working = 0;
    bool Idle() const { return recent.empty() && ready.empty() && sleeping == 0 && working == 0; }
  };

  const OriginLimits& LimitsOf(const std::string& origin) const;
  void Forget(absl::Time now);
  void Wake(const std::string& origin, const Begin& begin);
  void Leave(const std::string& origin);
  absl::Status TooMany(const OriginLimits& limits) const;

  const OriginLimiterOptions options_;
  const Clock clock_;
  Alarm& alarm_;
  telemetry::Metrics& metrics_;
  mutable std::mutex mutex_;
  std::map<std::string, Origin> origins_;
  std::string swept_to_;
  std::size_t waiting_ = 0;
};

}  // namespace postern::gateway
