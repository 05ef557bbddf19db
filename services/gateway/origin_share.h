// What one of several gateways lets an origin have, so that its limits hold over all of them together (pitfall R02).
#pragma once

#include <cstdint>

#include "absl/time/time.h"

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

/// What an origin has of one gateway, or of several.
struct OriginLoad {
  std::int64_t requests = 0;  // received within the last window, those that were refused too
  std::int64_t waiting = 0;
  std::int64_t working = 0;
};

struct OriginShare {
  std::int64_t in_window = 0;  // requests that need not sleep
  std::int64_t waiting = 0;
  std::int64_t working = 0;
};

/// Each gateway has that part of every limit that its part of the load is; one that is alone has all. `own` counts the
/// request that is being judged. Every gateway may work on one request and let one wait, however little it has of the
/// load: there the sums may exceed the limits by one for each gateway.
OriginShare ShareOf(const OriginLimits& limits, const OriginLoad& own, const OriginLoad& others);

}  // namespace postern::gateway
