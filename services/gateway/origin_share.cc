#include "services/gateway/origin_share.h"

#include <algorithm>
#include <cmath>

namespace postern::gateway {
namespace {

/// What is asked for: requests that take longer than a window are not among those received in it.
double Demand(const OriginLoad& load) {
  return static_cast<double>(std::max(load.requests, load.waiting + load.working));
}

}  // namespace

OriginShare ShareOf(const OriginLimits& limits, const OriginLoad& own, const OriginLoad& others) {
  const double part = Demand(others) == 0 ? 1 : Demand(own) / (Demand(own) + Demand(others));
  const auto of = [part](std::int64_t limit) { return std::llround(part * static_cast<double>(limit)); };
  OriginShare share{.in_window = of(limits.sleep_limit),
                    .waiting = std::max<std::int64_t>(1, of(limits.reject_limit + 1)),
                    .working = std::max<std::int64_t>(1, of(limits.concurrent))};
  // What the others leave free, while they do not want it. Where all together ask for too much, that is no more than
  // the part.
  share.in_window = std::max(share.in_window, limits.sleep_limit - others.requests);
  if (others.waiting == 0) share.working = std::max(share.working, limits.concurrent - others.working);
  return share;
}

}  // namespace postern::gateway
