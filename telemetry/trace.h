// W3C trace context: the id under which one request's log lines are found in every service.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace postern::telemetry {

struct TraceContext {
  std::string trace_id;  // 32 lower-case hex digits
  std::string span_id;   // 16 lower-case hex digits
  bool sampled = false;
};

/// A trace of its own, ids from the system's random source.
TraceContext NewTrace();
/// The same trace, a new span.
TraceContext ChildOf(const TraceContext& parent);
/// Reads a `traceparent` header; nullopt if it is not one of version 00 or later.
std::optional<TraceContext> ParseTraceparent(std::string_view header);
std::string FormatTraceparent(const TraceContext& trace);

}  // namespace postern::telemetry
