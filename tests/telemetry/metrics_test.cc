#include "telemetry/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace postern::telemetry {
namespace {

using testing::HasSubstr;

TEST(Metrics, AreExposedAsText) {
  Metrics metrics;
  metrics.Count("postern_requests_total", {{"route", "a"}, {"status", "200"}});
  metrics.Count("postern_requests_total", {{"route", "a"}, {"status", "200"}}, 2);
  metrics.Count("postern_requests_total", {{"route", "b\"\n"}, {"status", "200"}});
  metrics.Observe("postern_request_seconds", absl::Milliseconds(3), {{"route", "a"}});
  metrics.SetGauge("postern_open", 4);
  metrics.SetGauge("postern_open", 5);
  const std::string text = metrics.Expose();
  EXPECT_THAT(text, HasSubstr("postern_requests_total{route=\"a\",status=\"200\"} 3"));
  EXPECT_THAT(text, HasSubstr("{route=\"b\\\"\\n\",status=\"200\"} 1"));
  EXPECT_THAT(text, HasSubstr("postern_request_seconds_bucket{route=\"a\",le=\"0.0025\"} 0"));
  EXPECT_THAT(text, HasSubstr("postern_request_seconds_bucket{route=\"a\",le=\"0.005\"} 1"));
  EXPECT_THAT(text, HasSubstr("postern_open 5"));
}

TEST(Metrics, ACounterThatIsDroppedIsShownNoMoreAndBeginsAnew) {
  Metrics metrics;
  metrics.Count("postern_a_total", {{"of", "one"}}, 5);
  metrics.Count("postern_a_total", {{"of", "two"}});
  metrics.DropCounter("postern_a_total", {{"of", "one"}});
  metrics.DropCounter("postern_a_total", {{"of", "nobody"}});
  EXPECT_THAT(metrics.Expose(), testing::Not(HasSubstr("one")));
  EXPECT_THAT(metrics.Expose(), HasSubstr("postern_a_total{of=\"two\"} 1"));
  metrics.Count("postern_a_total", {{"of", "one"}});
  EXPECT_THAT(metrics.Expose(), HasSubstr("postern_a_total{of=\"one\"} 1"));
}

TEST(Metrics, OfTwoObjectsAreApart) {
  Metrics first, second;
  first.Count("postern_a_total");
  EXPECT_EQ(second.Expose(), "");
}

TEST(Metrics, LoseNothingBetweenThreads) {
  Metrics metrics;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&metrics, i] {
      for (int j = 0; j < 1000; ++j) {
        metrics.Count("postern_a_total", {{"thread", i % 2 == 0 ? "even" : "odd"}});
        metrics.Observe("postern_a_seconds", absl::Microseconds(j));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::string text = metrics.Expose();
  EXPECT_THAT(text, HasSubstr("postern_a_total{thread=\"even\"} 4000"));
  EXPECT_THAT(text, HasSubstr("postern_a_seconds_count 8000"));
}

}  // namespace
}  // namespace postern::telemetry
