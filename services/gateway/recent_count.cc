#include "services/gateway/recent_count.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace postern::gateway {
namespace {

/// Tenths of windows since 1970.
double TenthsOf(absl::Time now, absl::Duration window) {
  return 10 * absl::FDivDuration(now - absl::UnixEpoch(), window);
}

}  // namespace

void RecentCount::Add(absl::Time now, absl::Duration window) {
  const auto tenth = static_cast<std::int64_t>(TenthsOf(now, window));
  if (std::abs(tenth - newest_) > kTenths) {  // long ago, or the clock was set back
    counts_.fill(0);
    newest_ = tenth;
  }
  while (newest_ < tenth) counts_[Place(++newest_)] = 0;
  ++counts_[Place(newest_)];
}

std::int64_t RecentCount::Within(absl::Time now, absl::Duration window) const {
  const double at = TenthsOf(now, window);
  const auto tenth = static_cast<std::int64_t>(at);
  if (std::abs(tenth - newest_) > kTenths) return 0;
  const std::int64_t oldest = std::max(tenth, newest_) - kTenths;
  double sum = 0;
  for (std::int64_t each = oldest; each <= newest_; ++each) {
    const double part = each == tenth - kTenths ? 1 - (at - static_cast<double>(tenth)) : 1;
    sum += part * static_cast<double>(counts_[Place(each)]);
  }
  return std::llround(sum);
}

}  // namespace postern::gateway
