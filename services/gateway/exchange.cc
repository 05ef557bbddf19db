#include "services/gateway/exchange.h"

#include <string_view>
#include <utility>

#include "absl/time/clock.h"
#include "matrix/refusal.h"
#include "services/gateway/refusal_response.h"
#include "telemetry/log.h"
#include "telemetry/spans.h"
#include "telemetry/trace.h"

namespace postern::gateway {
namespace {

/// The span of who sent the request, if it said so.
std::optional<telemetry::TraceContext> ParentOf(const http::Request& request) {
  const auto header = http::FindHeader(request.headers, "traceparent");
  return header ? telemetry::ParseTraceparent(*header) : std::nullopt;
}

telemetry::TraceContext TraceOf(const http::Request& request) {
  const auto parent = ParentOf(request);
  telemetry::TraceContext trace = parent ? telemetry::ChildOf(*parent) : telemetry::NewTrace();
  telemetry::Sample(trace);
  return trace;
}

constexpr int kFirstServerError = 500;

}  // namespace

Exchange::Exchange(http::Request request, std::string_view route, std::vector<std::string> path_arguments,
                   absl::Duration time_allowed, http::Respond respond, telemetry::Metrics& metrics)
    : request_(std::move(request)),
      route_(route),
      path_arguments_(std::move(path_arguments)),
      received_at_(absl::Now()),
      call_{received_at_ + time_allowed, TraceOf(request_)},
      respond_(std::move(respond)),
      metrics_(metrics) {}

Exchange::~Exchange() {
  if (respond_) Refuse(matrix::Refuse(matrix::Reason::kInternal, "the request was lost"));
}

void Exchange::Answer(http::Response response) { Finish(std::move(response), absl::OkStatus()); }

void Exchange::Refuse(const absl::Status& why) { Finish(RefusalResponse(why), why); }

void Exchange::Finish(http::Response response, const absl::Status& why) {
  if (!respond_) return;
  const int status = response.status;
  std::exchange(respond_, nullptr)(std::move(response));

  const absl::Duration taken = absl::Now() - received_at_;
  const std::string_view reason = matrix::RefusalOf(matrix::ReasonOf(why)).name;
  metrics_.Count("postern_gateway_requests_total", {{"route", route_}, {"status", std::to_string(status)}});
  metrics_.Observe("postern_gateway_request_seconds", taken, {{"route", route_}});
  if (!why.ok()) metrics_.Count("postern_gateway_refusals_total", {{"route", route_}, {"reason", reason}});
  const std::string_view detail = notes_.diagnosis.empty() ? matrix::DetailOf(why) : notes_.diagnosis;
  telemetry::Log(status >= kFirstServerError ? telemetry::Level::kWarning : telemetry::Level::kInfo, "request",
                 {{"trace_id", call_.trace.trace_id},
                  {"route", route_},
                  {"origin", notes_.origin},
                  {"room_id", notes_.room_id},
                  {"event_id", notes_.event_id},
                  {"verdict", notes_.verdict},
                  {"reason", reason},
                  {"detail", detail},
                  {"client", request_.remote_address},
                  {"status", status},
                  {"duration_ms", taken}});
  if (!telemetry::WantsSpans(call_.trace)) return;
  const auto parent = ParentOf(request_);
  telemetry::Say({.name = route_,
                  .self = call_.trace,
                  .parent_id = parent ? parent->span_id : std::string(),
                  .begun = received_at_,
                  .ended = received_at_ + taken,
                  .refused = std::string(why.ok() ? "" : reason),
                  .failed = status >= kFirstServerError,
                  .attributes = {{"http.response.status_code", std::to_string(status)},
                                 {"postern.origin", notes_.origin},
                                 {"postern.room_id", notes_.room_id},
                                 {"postern.event_id", notes_.event_id},
                                 {"postern.verdict", notes_.verdict}}});
}

}  // namespace postern::gateway
