#include "services/validator/verdict_report.h"

#include "absl/time/clock.h"
#include "matrix/refusal.h"
#include "matrix/verdict.h"
#include "rpc/call_spans.h"
#include "telemetry/log.h"

namespace postern::validator {
namespace {

using telemetry::Level;

std::string_view ReasonName(int reason) { return matrix::RefusalOf(matrix::ReasonFromNumber(reason)).name; }

/// The step that decided: the one that failed.
const postern::matrix::v1::StepResult* Decisive(const postern::matrix::v1::Verdict& verdict) {
  for (const auto& step : verdict.steps()) {
    if (step.outcome() == postern::matrix::v1::STEP_OUTCOME_FAILED) return &step;
  }
  return nullptr;
}

}  // namespace

void VerdictReport::Validated(const rpc::CallContext& call, const v1::ValidateRequest& request,
                              const absl::Status& status, const v1::ValidateResponse& response,
                              absl::Duration taken) const {
  CountCall(call, "Validate", status, taken);
  if (!status.ok()) {
    telemetry::Log(Level::kWarning, "not judged",
                   {{"trace_id", call.trace.trace_id},
                    {"room_id", request.context().room_id()},
                    {"reason", matrix::RefusalOf(matrix::ReasonOf(status)).name},
                    {"detail", matrix::DetailOf(status)},
                    {"duration_ms", taken}});
    return;
  }
  const auto& verdict = response.verdict();
  const std::string_view outcome = matrix::OutcomeName(static_cast<matrix::Outcome>(verdict.outcome()));
  metrics_.Count("postern_validator_verdicts_total", {{"outcome", outcome}});
  for (const auto& step : verdict.steps()) {
    metrics_.Count("postern_validator_steps_total",
                   {{"step", matrix::StepName(static_cast<matrix::Step>(step.step()))},
                    {"outcome", matrix::StepOutcomeName(static_cast<matrix::StepOutcome>(step.outcome()))}});
  }
  const auto* decisive = Decisive(verdict);
  telemetry::Log(Level::kInfo, "judged",
                 {{"trace_id", call.trace.trace_id},
                  {"room_id", request.context().room_id()},
                  {"event_id", verdict.event_id()},
                  {"verdict", outcome},
                  {"reason", ReasonName(verdict.reason())},
                  {"step", decisive ? matrix::StepName(static_cast<matrix::Step>(decisive->step())) : ""},
                  {"rule", decisive ? std::string_view(decisive->rule()) : ""},
                  {"commutes", verdict.commutes()},
                  {"duration_ms", taken}});
}

void VerdictReport::Explained(const rpc::CallContext& call, const v1::ValidateRequest& request,
                              const absl::Status& status, const v1::ExplainResponse& response,
                              absl::Duration taken) const {
  CountCall(call, "Explain", status, taken);
  const auto& verdict = response.verdict();
  const std::string_view outcome =
      status.ok() ? matrix::OutcomeName(static_cast<matrix::Outcome>(verdict.outcome())) : "none";
  telemetry::Log(status.ok() ? Level::kInfo : Level::kWarning, "explained",
                 {{"trace_id", call.trace.trace_id},
                  {"room_id", request.context().room_id()},
                  {"event_id", verdict.event_id()},
                  {"verdict", outcome},
                  {"reason", ReasonName(status.ok() ? static_cast<int>(verdict.reason())
                                                    : static_cast<int>(matrix::ReasonOf(status)))},
                  {"detail", matrix::DetailOf(status)},
                  {"duration_ms", taken}});
}

void VerdictReport::Authorized(const rpc::CallContext& call, const v1::AuthorizeRequest& request,
                               const absl::Status& status, const v1::AuthorizeResponse& response,
                               absl::Duration taken) const {
  CountCall(call, "Authorize", status, taken);
  const int reason = status.ok() ? response.refusal().reason() : static_cast<int>(matrix::ReasonOf(status));
  telemetry::Log(status.ok() ? Level::kInfo : Level::kWarning, status.ok() ? "authorized" : "not judged",
                 {{"trace_id", call.trace.trace_id},
                  {"room_id", request.context().room_id()},
                  {"verdict", response.allowed() ? "allowed" : "refused"},
                  {"reason", ReasonName(reason)},
                  {"rule", response.rule()},
                  {"duration_ms", taken}});
}

void VerdictReport::CountCall(const rpc::CallContext& call, std::string_view method, const absl::Status& status,
                              absl::Duration taken) const {
  rpc::SayServed(call, method, absl::Now() - taken, status);
  metrics_.Count("postern_validator_rpcs_total",
                 {{"method", method}, {"answer", matrix::RefusalOf(matrix::ReasonOf(status)).name}});
  metrics_.Observe("postern_validator_rpc_seconds", taken, {{"method", method}});
}

}  // namespace postern::validator
