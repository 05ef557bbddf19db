// How much one address may ask (row 2): a token bucket for each.
#pragma once

#include <cstddef>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "telemetry/metrics.h"

namespace postern::gateway {

struct AddressLimits {
  double per_second = 500;
  double burst = 5000;
  std::size_t max_addresses = 50000;
};

/// A token bucket for each client address; an IPv6 /64 counts as one. Thread-safe, never blocks.
class AddressLimiter {
 public:
  AddressLimiter(AddressLimits limits, telemetry::Metrics& metrics);

  /// Refuses: kAddressLimited, with when to come back.
  absl::Status Admit(std::string_view address, absl::Time now);

  std::size_t size() const;

 private:
  struct Bucket {
    double tokens;
    absl::Time filled_at;
    std::list<std::string>::iterator age;
  };

  const AddressLimits limits_;
  telemetry::Metrics& metrics_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Bucket> buckets_;
  std::list<std::string> by_age_;  // the longest unused first
};

}  // namespace postern::gateway
