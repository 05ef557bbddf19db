#include "services/gateway/address_limiter.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

#include "matrix/refusal.h"
#include "services/gateway/refusal_response.h"

namespace postern::gateway {
namespace {

using matrix::Reason;

/// What is counted as one client: an IPv4 address, or the first 64 bits of an IPv6 one.
std::string BucketOf(std::string_view address) {
  std::array<char, sizeof(in6_addr)> bytes{};
  std::string text(address.substr(0, address.find('%')));
  if (inet_pton(AF_INET6, text.c_str(), bytes.data()) != 1) return text;
  const auto* v6 = reinterpret_cast<const in6_addr*>(bytes.data());
  return IN6_IS_ADDR_V4MAPPED(v6) ? std::string(bytes.data() + 12, 4) : std::string(bytes.data(), 8);
}

}  // namespace

AddressLimiter::AddressLimiter(AddressLimits limits, telemetry::Metrics& metrics)
    : limits_(limits), metrics_(metrics) {}

absl::Status AddressLimiter::Admit(std::string_view address, absl::Time now) {
  const std::string key = BucketOf(address);
  const std::lock_guard lock(mutex_);
  auto found = buckets_.find(key);
  if (found == buckets_.end()) {
    if (buckets_.size() >= limits_.max_addresses) {  // the longest unused is the fullest
      buckets_.erase(by_age_.front());
      by_age_.pop_front();
    }
    found = buckets_.emplace(key, Bucket{limits_.burst, now, by_age_.insert(by_age_.end(), key)}).first;
  }
  Bucket& bucket = found->second;
  by_age_.splice(by_age_.end(), by_age_, bucket.age);
  const double earned = std::max(0.0, absl::ToDoubleSeconds(now - bucket.filled_at)) * limits_.per_second;
  bucket.tokens = std::min(limits_.burst, bucket.tokens + earned);
  bucket.filled_at = now;
  if (bucket.tokens >= 1) {
    bucket.tokens -= 1;
    return absl::OkStatus();
  }
  metrics_.Count("postern_gateway_rate_limited_total", {{"scope", "address"}, {"action", "refused"}});
  return RefuseUntil(Reason::kAddressLimited, "too many requests from this address",
                     absl::Seconds((1 - bucket.tokens) / limits_.per_second));
}

std::size_t AddressLimiter::size() const {
  const std::lock_guard lock(mutex_);
  return buckets_.size();
}

}  // namespace postern::gateway
