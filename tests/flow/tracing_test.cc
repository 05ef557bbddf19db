// One leave through three real processes is one trace at a collector: each span where it belongs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/flow/leave_attempt.h"
#include "tests/rpc/played_collector.h"

namespace postern::flow {
namespace {

using rpc::ReceivedSpan;
namespace otlp = rpc::otlp;

constexpr std::string_view kTraceId = "0af7651916cd43dd8448eb211c80319c";
constexpr std::string_view kOtherTraceId = "1af7651916cd43dd8448eb211c80319c";
constexpr std::string_view kPeersSpan = "b7ad6b7169203331";

std::string Hex(const std::string& bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    text += kDigits[static_cast<unsigned char>(c) >> 4U];
    text += kDigits[static_cast<unsigned char>(c) & 0xfU];
  }
  return text;
}

class Tracing : public testing::Test {
 protected:
  Tracing() {
    for (const char* service : {"validator", "store", "gateway"}) {
      const ServiceProcess process = service == std::string_view("gateway")     ? scene_.stack.gateway()
                                     : service == std::string_view("validator") ? scene_.stack.validator()
                                                                                : scene_.stack.store();
      scene_.stack.KillAndRestart(process, {"POSTERN_OTLP_ENDPOINT=" + collector_.endpoint()});
    }
    scene_.stack.WaitUntilReady();
  }

  /// A leave whose request carries `traceparent`; of its trace, what the collector gets until it has `enough` spans.
  std::vector<ReceivedSpan> SpansOf(const std::string& traceparent, std::size_t enough) {
    // Of a version in which the room is always looked at for the leave, too.
    LeaveAttempt leave(scene_, scene_.remote, *matrix::FindRoomRules("2"));
    leave.alter_request = [&](http::Request& request) { request.headers.emplace_back("traceparent", traceparent); };
    EXPECT_EQ(leave.Send().status, 200);
    const auto of_trace = [](const std::vector<ReceivedSpan>& received) {
      std::vector<ReceivedSpan> kept;
      std::ranges::copy_if(received, std::back_inserter(kept),
                           [](const ReceivedSpan& one) { return Hex(one.span.trace_id()) == kTraceId; });
      return kept;
    };
    return of_trace(collector_.AwaitSpans([&](const auto& received) { return of_trace(received).size() >= enough; }));
  }

  rpc::PlayedCollector collector_;
  Scene scene_;
};

TEST_F(Tracing, MakesOneTraceOfALeaveThroughAllServices) {
  const auto spans = SpansOf("00-" + std::string(kTraceId) + "-" + std::string(kPeersSpan) + "-01", /*enough=*/7);
  std::map<std::string, const ReceivedSpan*> by_id;
  for (const ReceivedSpan& one : spans) by_id[Hex(one.span.span_id())] = &one;
  EXPECT_EQ(by_id.size(), spans.size());

  const auto request = std::ranges::find_if(spans, [](const auto& one) { return one.span.name() == "send_leave_v2"; });
  ASSERT_NE(request, spans.end());
  EXPECT_EQ(request->service, "postern-gateway");
  EXPECT_EQ(Hex(request->span.parent_span_id()), kPeersSpan);

  const std::map<std::string, std::string> served_by{
      {"GetEventContext", "postern-store"}, {"Validate", "postern-validator"}, {"PersistEvent", "postern-store"}};
  for (const auto& [method, service] : served_by) {
    SCOPED_TRACE(method);
    const auto served = std::ranges::find_if(spans, [&, name = method](const auto& one) {
      return one.span.name() == name && one.span.kind() == otlp::Span::SPAN_KIND_SERVER;
    });
    ASSERT_NE(served, spans.end());
    EXPECT_EQ(served->service, service);
    const auto called = by_id.find(Hex(served->span.parent_span_id()));
    ASSERT_NE(called, by_id.end());
    EXPECT_EQ(called->second->service, "postern-gateway");
    EXPECT_EQ(called->second->span.kind(), otlp::Span::SPAN_KIND_CLIENT);
    EXPECT_EQ(called->second->span.parent_span_id(), request->span.span_id());
  }
}

TEST_F(Tracing, TellsNothingOfATraceThatIsNotSampled) {
  SpansOf("00-" + std::string(kOtherTraceId) + "-" + std::string(kPeersSpan) + "-00", 0);
  SpansOf("00-" + std::string(kTraceId) + "-" + std::string(kPeersSpan) + "-01", 7);  // sent later, it is there
  for (const ReceivedSpan& one : collector_.AwaitSpans([](const auto&) { return true; })) {
    EXPECT_NE(Hex(one.span.trace_id()), kOtherTraceId);
  }
}

}  // namespace
}  // namespace postern::flow
