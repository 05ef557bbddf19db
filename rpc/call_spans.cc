#include "rpc/call_spans.h"

#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "matrix/refusal.h"
#include "telemetry/spans.h"

namespace postern::rpc {
namespace {

constexpr int kFirstServerError = 500;

void SaySpan(telemetry::SpanKind kind, telemetry::TraceContext self, const std::string& parent_id,
             std::string_view name, absl::Time begun, const absl::Status& status) {
  const matrix::Refusal& refusal = matrix::RefusalOf(matrix::ReasonOf(status));
  telemetry::Say({.kind = kind,
                  .name = std::string(name),
                  .self = std::move(self),
                  .parent_id = parent_id,
                  .begun = begun,
                  .ended = absl::Now(),
                  .refused = std::string(status.ok() ? "" : refusal.name),
                  .failed = !status.ok() && refusal.http_status >= kFirstServerError,
                  .attributes = {}});
}

}  // namespace

void SayCalled(const CallContext& caller, const CallContext& call, std::string_view name, absl::Time begun,
               const absl::Status& status) {
  if (!telemetry::WantsSpans(call.trace)) return;
  SaySpan(telemetry::SpanKind::kClient, call.trace, caller.trace.span_id, name, begun, status);
}

void SayServed(const CallContext& call, std::string_view name, absl::Time begun, const absl::Status& status) {
  if (!telemetry::WantsSpans(call.trace)) return;
  SaySpan(telemetry::SpanKind::kServer, telemetry::ChildOf(call.trace), call.trace.span_id, name, begun, status);
}

}  // namespace postern::rpc
