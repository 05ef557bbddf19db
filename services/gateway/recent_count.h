// How many there were lately, however many that are.
#pragma once

#include <array>
#include <cstdint>

#include "absl/time/time.h"

namespace postern::gateway {

/// Counts what has come within the last window. Remembers tenths of windows, not what came: the oldest tenth counts by
/// the part of it that is still within. Always the same window. Not thread-safe.
class RecentCount {
 public:
  void Add(absl::Time now, absl::Duration window);
  std::int64_t Within(absl::Time now, absl::Duration window) const;

 private:
  static constexpr std::int64_t kTenths = 10;
  static std::size_t Place(std::int64_t tenth) { return static_cast<std::size_t>(tenth) % (kTenths + 1); }

  std::array<std::int64_t, kTenths + 1> counts_{};  // of the newest tenth and those before it, each at its Place
  std::int64_t newest_ = 0;                         // tenths since 1970
};

}  // namespace postern::gateway
