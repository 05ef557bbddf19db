// When a destination that could not be had is tried again (pitfalls O03, O04).
#pragma once

#include "absl/time/time.h"

namespace postern::gateway {

struct BackOff {
  /// After the first failure: a server that is being started again is missed for seconds, not for minutes.
  absl::Duration quick = absl::Seconds(5);
  /// After the second; each further one doubles it.
  absl::Duration first = absl::Seconds(30);
  /// Nobody is given up: this often at least.
  absl::Duration longest = absl::Hours(7 * 24);

  /// How long to wait after the `failures`th failure in a row, from 1 on. `chance` in [0, 1) spreads it over 0.8 to 1.4
  /// of that, so that many that failed together do not come back together.
  absl::Duration After(unsigned failures, double chance) const;
};

}  // namespace postern::gateway
