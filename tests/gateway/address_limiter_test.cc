// What one address may ask (row 2; pitfall S09).
#include "services/gateway/address_limiter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "matrix/refusal.h"
#include "services/gateway/refusal_response.h"

namespace postern::gateway {
namespace {

using matrix::Reason;

const absl::Time kStart = absl::FromUnixSeconds(1700000000);

TEST(AddressLimiter, LetsABurstPassAndThenSoManyASecond) {
  telemetry::Metrics metrics;
  AddressLimiter limiter({.per_second = 2, .burst = 3, .max_addresses = 10}, metrics);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(limiter.Admit("192.0.2.1", kStart).ok());
  const absl::Status refused = limiter.Admit("192.0.2.1", kStart);
  EXPECT_EQ(matrix::ReasonOf(refused), Reason::kAddressLimited);
  EXPECT_THAT(RefusalResponse(refused).body, testing::HasSubstr("\"retry_after_ms\":500"));
  EXPECT_TRUE(limiter.Admit("192.0.2.2", kStart).ok());
  EXPECT_TRUE(limiter.Admit("192.0.2.1", kStart + absl::Milliseconds(500)).ok());
  EXPECT_FALSE(limiter.Admit("192.0.2.1", kStart + absl::Milliseconds(500)).ok());
}

TEST(AddressLimiter, CountsAnIpv6NetworkAsOne) {
  telemetry::Metrics metrics;
  AddressLimiter limiter({.per_second = 1, .burst = 1, .max_addresses = 10}, metrics);
  EXPECT_TRUE(limiter.Admit("2001:db8:1:2::1", kStart).ok());
  EXPECT_FALSE(limiter.Admit("2001:db8:1:2:ffff::9", kStart).ok());
  EXPECT_TRUE(limiter.Admit("2001:db8:1:3::1", kStart).ok());
  EXPECT_TRUE(limiter.Admit("::ffff:192.0.2.1", kStart).ok());
  EXPECT_TRUE(limiter.Admit("::ffff:192.0.2.2", kStart).ok());
}

TEST(AddressLimiter, RemembersOnlySoManyAddresses) {
  telemetry::Metrics metrics;
  AddressLimiter limiter({.per_second = 1, .burst = 1, .max_addresses = 100}, metrics);
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(limiter.Admit("host" + std::to_string(i), kStart).ok());
  EXPECT_EQ(limiter.size(), 100U);
}

}  // namespace
}  // namespace postern::gateway
