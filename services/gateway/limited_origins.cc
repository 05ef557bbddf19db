#include "services/gateway/limited_origins.h"

#include <algorithm>

#include "telemetry/log.h"

namespace postern::gateway {
namespace {

constexpr std::string_view kCounter = "postern_gateway_limited_requests_total";
constexpr std::string_view kGauge = "postern_gateway_limited_origins";
constexpr std::string_view kOther = "other";

}  // namespace

void LimitedOrigins::Note(const std::string& origin, Limiting limiting, absl::Time now) {
  metrics_.Count(kCounter, {{"action", NameOf(limiting)}, {"origin", LabelOf(origin, now)}});
  auto found = limited_.find(origin);
  if (found == limited_.end()) {
    if (limited_.size() >= kMostWatched) return;
    found = limited_.emplace(origin, Limited{.since = now, .last = now}).first;
    metrics_.SetGauge(kGauge, static_cast<double>(limited_.size()));
    telemetry::Log(telemetry::Level::kWarning, "a server is being limited",
                   {{"origin", origin}, {"action", NameOf(limiting)}});
  }
  found->second.last = now;
  ++found->second.counts[static_cast<std::size_t>(limiting)];
}

std::string_view LimitedOrigins::LabelOf(const std::string& origin, absl::Time now) {
  auto named = named_.find(origin);
  if (named == named_.end()) {
    if (named_.size() >= kMostNamed) {
      const auto oldest = std::ranges::min_element(named_, {}, [](const auto& entry) { return entry.second; });
      if (now - oldest->second < kNamedFor) return kOther;
      for (const Limiting limiting : {Limiting::kDelayed, Limiting::kQueued, Limiting::kRefused}) {
        metrics_.DropCounter(kCounter, {{"action", NameOf(limiting)}, {"origin", oldest->first}});
      }
      named_.erase(oldest);
    }
    named = named_.emplace(origin, now).first;
  }
  named->second = now;
  return named->first;
}

bool LimitedOrigins::EndQuiet(absl::Time now) {
  for (auto at = limited_.begin(); at != limited_.end();) {
    const auto& [origin, limited] = *at;
    if (now - limited.last < kQuiet) {
      ++at;
      continue;
    }
    telemetry::Log(telemetry::Level::kInfo, "a server is limited no more",
                   {{"origin", origin},
                    {"delayed", limited.counts[0]},
                    {"queued", limited.counts[1]},
                    {"refused", limited.counts[2]},
                    {"duration_ms", limited.last - limited.since}});
    at = limited_.erase(at);
  }
  metrics_.SetGauge(kGauge, static_cast<double>(limited_.size()));
  return !limited_.empty();
}

}  // namespace postern::gateway
