#include "telemetry/trace.h"

#include <gtest/gtest.h>

namespace postern::telemetry {
namespace {

TEST(Trace, ReadsWhatItWrites) {
  TraceContext trace = NewTrace();
  trace.sampled = true;
  const auto read = ParseTraceparent(FormatTraceparent(trace));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->trace_id, trace.trace_id);
  EXPECT_EQ(read->span_id, trace.span_id);
  EXPECT_TRUE(read->sampled);
}

TEST(Trace, GivesEachItsOwnIds) {
  const TraceContext first = NewTrace(), second = NewTrace(), child = ChildOf(first);
  EXPECT_NE(first.trace_id, second.trace_id);
  EXPECT_EQ(child.trace_id, first.trace_id);
  EXPECT_NE(child.span_id, first.span_id);
}

TEST(Traceparent, OfALaterVersionIsRead) {
  EXPECT_TRUE(ParseTraceparent("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more"));
}

TEST(Traceparent, ThatIsBrokenIsNone) {
  for (const char* broken : {
           "",
           "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
           "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
           "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
           "00-00000000000000000000000000000000-b7ad6b7169203331-01",
           "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
           "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
           "00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01",
           "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
       }) {
    EXPECT_FALSE(ParseTraceparent(broken)) << broken;
  }
}

}  // namespace
}  // namespace postern::telemetry
