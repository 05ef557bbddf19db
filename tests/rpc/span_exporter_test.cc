// Spans reach a collector, and one that is slow, or not there, costs nobody but the spans.
#include "rpc/span_exporter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "matrix/refusal.h"
#include "rpc/call_spans.h"
#include "telemetry/trace.h"
#include "tests/rpc/played_collector.h"

namespace postern::rpc {
namespace {

using telemetry::Span;
using testing::HasSubstr;

telemetry::TraceContext Sampled() {
  telemetry::TraceContext trace = telemetry::NewTrace();
  trace.sampled = true;
  return trace;
}

class Exporting : public testing::Test {
 protected:
  void Start(const std::string& endpoint) {
    exporter_ = SpanExporter::Start({.endpoint = endpoint,
                                     .service_name = "postern-test",
                                     .queue_limit = 8,
                                     .most_at_once = 4,
                                     .longest_wait = absl::Milliseconds(20),
                                     .timeout = absl::Milliseconds(200)},
                                    metrics_)
                    .value();
  }
  void SaySome(int spans) {
    for (int i = 0; i < spans; ++i) {
      telemetry::Say({.name = "some", .self = Sampled(), .begun = absl::Now(), .ended = absl::Now()});
    }
  }
  bool CountsWithin(const std::string& sample) {
    for (const absl::Time until = absl::Now() + absl::Seconds(30); absl::Now() < until;) {
      if (metrics_.Expose().find(sample) != std::string::npos) return true;
    }
    return false;
  }

  PlayedCollector collector_;
  telemetry::Metrics metrics_;
  std::unique_ptr<SpanExporter> exporter_;
};

TEST_F(Exporting, TellsBothEndsOfACallAsOneTrace) {
  Start(collector_.endpoint());
  const CallContext caller{absl::InfiniteFuture(), Sampled()};
  const CallContext call{absl::InfiniteFuture(), telemetry::ChildOf(caller.trace)};
  const absl::Status refused = matrix::Refuse(matrix::Reason::kStoreDown, "no");
  SayServed(call, "PersistEvent", absl::Now(), absl::OkStatus());
  SayCalled(caller, call, "PersistEvent", absl::Now(), refused);
  const auto spans = collector_.AwaitSpans([](const auto& received) { return received.size() >= 2; });
  ASSERT_EQ(spans.size(), 2U);
  const otlp::Span& served = spans[0].span;
  const otlp::Span& called = spans[1].span;
  EXPECT_EQ(spans[0].service, "postern-test");
  EXPECT_EQ(served.kind(), otlp::Span::SPAN_KIND_SERVER);
  EXPECT_EQ(called.kind(), otlp::Span::SPAN_KIND_CLIENT);
  EXPECT_EQ(served.trace_id().size(), 16U);
  EXPECT_EQ(served.trace_id(), called.trace_id());
  EXPECT_EQ(served.parent_span_id(), called.span_id());
  EXPECT_EQ(called.parent_span_id().size(), 8U);
  EXPECT_EQ(served.status().code(), otlp::Status::STATUS_CODE_UNSET);
  EXPECT_EQ(called.status().code(), otlp::Status::STATUS_CODE_ERROR);
  EXPECT_EQ(called.status().message(), "store_down");
  EXPECT_GE(called.end_time_unix_nano(), called.start_time_unix_nano());
  EXPECT_TRUE(CountsWithin(R"(postern_spans_total{result="sent"} 2)"));
}

TEST_F(Exporting, SendsWhatAStrangerWroteAsPlainTextOfBoundedLength) {
  Start(collector_.endpoint());
  telemetry::Say({.name = "some",
                  .self = Sampled(),
                  .begun = absl::Now(),
                  .ended = absl::Now(),
                  .attributes = {{"postern.room_id", "!a\xff\n:b"}, {"postern.origin", std::string(10000, 'x')}}});
  const auto spans = collector_.AwaitSpans([](const auto& received) { return !received.empty(); });
  ASSERT_EQ(spans.size(), 1U);
  ASSERT_EQ(spans[0].span.attributes_size(), 2);
  EXPECT_EQ(spans[0].span.attributes(0).value().string_value(), "!a??:b");
  EXPECT_EQ(spans[0].span.attributes(1).value().string_value().size(), 512U);
}

TEST_F(Exporting, SendsWhatWaitsWhenTheProcessEnds) {
  Start(collector_.endpoint());
  SaySome(3);
  exporter_ = nullptr;
  EXPECT_THAT(metrics_.Expose(), HasSubstr(R"(postern_spans_total{result="sent"} 3)"));
  SaySome(1);  // to nobody
}

TEST_F(Exporting, DropsAndCountsWhatASlowCollectorDoesNotTake) {
  collector_.Hold(true);
  Start(collector_.endpoint());
  SaySome(100);
  EXPECT_TRUE(CountsWithin(R"(postern_spans_total{result="queue_full"})"));
  EXPECT_TRUE(CountsWithin(R"(postern_spans_total{result="failed"})"));
  collector_.Hold(false);
  SaySome(1);
  EXPECT_TRUE(CountsWithin(R"(postern_spans_total{result="sent"})"));
}

TEST_F(Exporting, CountsWhatACollectorRejects) {
  collector_.Reject(1);
  Start(collector_.endpoint());
  SaySome(1);
  EXPECT_TRUE(CountsWithin(R"(postern_spans_total{result="failed"} 1)"));
}

TEST_F(Exporting, EndsSoonWhereNobodyListens) {
  Start("http://127.0.0.1:1");
  SaySome(8);
  const absl::Time begun = absl::Now();
  exporter_ = nullptr;
  EXPECT_LT(absl::Now() - begun, absl::Seconds(20));
}

TEST_F(Exporting, WantsNothingOfATraceThatIsNotSampled) {
  Start(collector_.endpoint());
  EXPECT_FALSE(telemetry::WantsSpans(telemetry::NewTrace()));
  EXPECT_TRUE(telemetry::WantsSpans(Sampled()));
  telemetry::TraceContext trace = telemetry::NewTrace();
  telemetry::SampleShare(0);
  telemetry::Sample(trace);
  EXPECT_FALSE(trace.sampled);
  telemetry::SampleShare(1);
  telemetry::Sample(trace);
  EXPECT_TRUE(trace.sampled);
  exporter_ = nullptr;
  EXPECT_FALSE(telemetry::WantsSpans(Sampled()));
  trace.sampled = false;
  telemetry::Sample(trace);
  EXPECT_FALSE(trace.sampled);
  telemetry::SampleShare(0);
}

TEST(SpanEndpoint, HasASchemeAHostAndAPort) {
  for (const char* good : {"", "http://127.0.0.1:4317", "https://collector.example:4317", "http://[::1]:4317"}) {
    EXPECT_TRUE(CheckEndpoint(good).ok()) << good;
  }
  for (const char* wrong : {"collector:4317", "http://collector", "http://:4317", "http://collector:", "ftp://a:1",
                            "http://collector:4317/v1/traces"}) {
    EXPECT_EQ(matrix::ReasonOf(CheckEndpoint(wrong)), matrix::Reason::kInvalidArgument) << wrong;
  }
}

TEST(SpanEndpoint, NothingIsSentWithoutOne) {
  telemetry::Metrics metrics;
  const auto exporter = SpanExporter::Start({}, metrics);
  ASSERT_TRUE(exporter.ok());
  EXPECT_EQ(*exporter, nullptr);
}

}  // namespace
}  // namespace postern::rpc
