// Which servers are being slowed or refused (pitfall R02): for operators.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "absl/time/time.h"
#include "services/gateway/alarm.h"
#include "services/gateway/clock.h"
#include "telemetry/metrics.h"

namespace postern::gateway {

enum class Limiting { kDelayed, kQueued, kRefused };
constexpr std::string_view NameOf(Limiting limiting) {
  constexpr std::array<std::string_view, 3> kNames{"delayed", "queued", "refused"};
  return kNames[static_cast<std::size_t>(limiting)];
}

/// Logs where the limiting of a server begins, and where it ends with what there was of it; never for each request.
/// Counts postern_gateway_limited_requests_total by action and origin, for at most 20 origins at a time: an origin
/// keeps its series for ten minutes after it was last limited, and the next one takes its place; all others are
/// "other". Not thread-safe.
class LimitedOrigins {
 public:
  static constexpr std::size_t kMostNamed = 20;
  static constexpr std::size_t kMostWatched = 1000;
  static constexpr absl::Duration kNamedFor = absl::Minutes(10);
  /// Limiting has ended when there was none for so long.
  static constexpr absl::Duration kQuiet = absl::Seconds(10);

  explicit LimitedOrigins(telemetry::Metrics& metrics) : metrics_(metrics) {}

  void Note(const std::string& origin, Limiting limiting, absl::Time now);
  /// Call it now and then while there are any. Returns whether there still are.
  bool EndQuiet(absl::Time now);

  std::size_t size() const { return limited_.size(); }

 private:
  struct Limited {
    absl::Time since;
    absl::Time last;
    std::array<std::int64_t, 3> counts{};
  };

  /// What the metric calls it.
  std::string_view LabelOf(const std::string& origin, absl::Time now);

  telemetry::Metrics& metrics_;
  std::map<std::string, Limited> limited_;
  std::map<std::string, absl::Time> named_;  // when each was last limited
};

}  // namespace postern::gateway
