// What each of several gateways has of an origin's limits (pitfall R02).
#include "services/gateway/origin_share.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace postern::gateway {
namespace {

constexpr OriginLimits kLimits{.sleep_limit = 100, .reject_limit = 49, .concurrent = 10};

struct ShareCase {
  std::string name;
  OriginLoad own;
  OriginLoad others;
  OriginShare share;
};

class Share : public testing::TestWithParam<ShareCase> {};

INSTANTIATE_TEST_SUITE_P(R02, Share,
                         testing::ValuesIn(std::vector<ShareCase>{
                             {"OneAloneHasAll", {500, 50, 10}, {}, {100, 50, 10}},
                             {"HalfOfAFlood", {500, 25, 5}, {500, 25, 5}, {50, 25, 5}},
                             {"ThePartOfTheLoad", {900, 25, 5}, {100, 25, 5}, {90, 45, 9}},
                             {"OneAndOneMayAlwaysBe", {1, 0, 0}, {999, 50, 10}, {0, 1, 1}},
                             {"WhatOthersLeaveFree", {10, 0, 0}, {20, 0, 2}, {80, 17, 8}},
                             {"NoMoreThanThePartWhereOthersWait", {10, 0, 0}, {30, 5, 2}, {70, 13, 3}},
                             {"SlowRequestsAreLoadToo", {0, 5, 5}, {0, 5, 5}, {100, 25, 5}},
                         }),
                         [](const auto& tested) { return tested.param.name; });

TEST_P(Share, IsAsTheLoadIs) {
  const ShareCase& c = GetParam();
  const OriginShare share = ShareOf(kLimits, c.own, c.others);
  EXPECT_EQ(share.in_window, c.share.in_window);
  EXPECT_EQ(share.waiting, c.share.waiting);
  EXPECT_EQ(share.working, c.share.working);
}

TEST(Shares, OfAFloodAreTheLimitsHoweverItIsSpread) {
  for (std::int64_t first = 0; first <= 1000; ++first) {
    const OriginLoad one{first, 0, 0}, other{1000 - first, 0, 0};
    const OriginShare a = ShareOf(kLimits, one, other), b = ShareOf(kLimits, other, one);
    EXPECT_NEAR(static_cast<double>(a.in_window + b.in_window), 100, 1) << first;
    EXPECT_NEAR(static_cast<double>(a.waiting + b.waiting), 50, 1) << first;
  }
}

}  // namespace
}  // namespace postern::gateway
