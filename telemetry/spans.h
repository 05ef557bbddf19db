// Spans: what took how long within a trace, for a collector of OpenTelemetry. Like log lines they are said from
// anywhere, and go where the process sends them; without that, or in a trace that is not sampled, saying one costs a
// branch.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "telemetry/trace.h"

namespace postern::telemetry {

enum class SpanKind { kServer, kClient };

struct Span {
  SpanKind kind = SpanKind::kServer;
  std::string name{};       // "send_leave_v2", "Validator.Validate"
  TraceContext self{};      // its own id
  std::string parent_id{};  // 16 hex digits; empty: the first of its trace
  absl::Time begun{};
  absl::Time ended{};
  /// The name of the refusal; empty: none. That something was refused is not an error of ours: see `failed`.
  std::string refused{};
  bool failed = false;
  /// Of bounded length, no event content.
  std::vector<std::pair<std::string_view, std::string>> attributes{};
};

/// Where spans go from now on; must not block. Set once, at the start, and with nullptr at the end.
void SendSpansTo(std::function<void(Span)> sink);

/// Whether anybody wants spans of this trace. Ask before one is put together.
bool WantsSpans(const TraceContext& trace);
/// Does nothing unless somebody wants it.
void Say(Span span);

/// Of requests that come without a sampled `traceparent`, the share that is sampled, 0 to 1, as set by the operator.
void SampleShare(double share);
/// Makes `trace` a sampled one, in that share of cases, if spans go anywhere.
void Sample(TraceContext& trace);

}  // namespace postern::telemetry
