// Slowed and refused servers are metrics, bounded in number (pitfall R02).
#include "services/gateway/limited_origins.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postern::gateway {
namespace {

using testing::HasSubstr;
using testing::Not;

const absl::Time kStart = absl::FromUnixSeconds(1700000000);

std::string Name(int number) { return "s" + std::to_string(number) + ".example"; }

class LimitedOriginsTest : public testing::Test {
 protected:
  std::size_t Series() const {
    const std::string text = metrics_.Expose();
    std::size_t found = 0;
    for (std::size_t at = 0; (at = text.find("postern_gateway_limited_requests_total{", at)) != std::string::npos;
         ++at) {
      ++found;
    }
    return found;
  }

  telemetry::Metrics metrics_;
  LimitedOrigins limited_{metrics_};
};

TEST_F(LimitedOriginsTest, EachIsNamedWithWhatWasDone) {
  limited_.Note("a.example", Limiting::kDelayed, kStart);
  limited_.Note("a.example", Limiting::kDelayed, kStart);
  limited_.Note("a.example", Limiting::kRefused, kStart);
  limited_.Note("b.example", Limiting::kQueued, kStart);
  const std::string text = metrics_.Expose();
  EXPECT_THAT(text, HasSubstr(R"(postern_gateway_limited_requests_total{action="delayed",origin="a.example"} 2)"));
  EXPECT_THAT(text, HasSubstr(R"(postern_gateway_limited_requests_total{action="refused",origin="a.example"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(postern_gateway_limited_requests_total{action="queued",origin="b.example"} 1)"));
  EXPECT_THAT(text, HasSubstr("postern_gateway_limited_origins 2"));
}

TEST_F(LimitedOriginsTest, OnlySoManyAreNamedAtATime) {
  for (int i = 0; i < 3000; ++i) limited_.Note(Name(i), Limiting::kRefused, kStart + absl::Milliseconds(i));
  EXPECT_EQ(Series(), LimitedOrigins::kMostNamed + 1);
  EXPECT_THAT(metrics_.Expose(), HasSubstr(R"({action="refused",origin="other"} 2980)"));
  EXPECT_EQ(limited_.size(), LimitedOrigins::kMostWatched);
}

TEST_F(LimitedOriginsTest, TheNextOneTakesThePlaceOfOneLimitedLongAgo) {
  for (int i = 0; i < 20; ++i) limited_.Note(Name(i), Limiting::kRefused, kStart);
  const absl::Time later = kStart + LimitedOrigins::kNamedFor;
  limited_.Note(Name(0), Limiting::kRefused, later);
  limited_.Note("new.example", Limiting::kDelayed, later);
  EXPECT_THAT(metrics_.Expose(), HasSubstr(R"({action="delayed",origin="new.example"} 1)"));
  EXPECT_THAT(metrics_.Expose(), HasSubstr(R"({action="refused",origin="s0.example"} 2)"));
  EXPECT_THAT(metrics_.Expose(), Not(HasSubstr(R"(origin="s1.example")")));
  EXPECT_EQ(Series(), 20U);
}

TEST_F(LimitedOriginsTest, ItEndsWhenThereHasBeenNoneForAWhile) {
  limited_.Note("a.example", Limiting::kRefused, kStart);
  limited_.Note("b.example", Limiting::kRefused, kStart + absl::Seconds(5));
  EXPECT_TRUE(limited_.EndQuiet(kStart + absl::Seconds(10)));
  EXPECT_EQ(limited_.size(), 1U);
  EXPECT_FALSE(limited_.EndQuiet(kStart + absl::Seconds(15)));
  EXPECT_THAT(metrics_.Expose(), HasSubstr("postern_gateway_limited_origins 0"));
}

}  // namespace
}  // namespace postern::gateway
