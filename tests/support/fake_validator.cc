#include "tests/support/fake_validator.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/time/clock.h"
#include "fmt/format.h"
#include "matrix/refusal.h"
#include "rpc/status_codec.h"
#include "services/validator/judgement.h"

namespace postern::support {
namespace {

namespace wire = postern::matrix::v1;

/// The step at which an event of that outcome and reason fails.
int StepThatFails(matrix::Outcome outcome, matrix::Reason reason) {
  if (reason == matrix::Reason::kBadFormat) return 1;
  if (reason == matrix::Reason::kBadSignature) return 3;
  if (reason == matrix::Reason::kUnknownEvents || reason == matrix::Reason::kBadAuthEvents) return 4;
  return outcome == matrix::Outcome::kSoftFailed ? 6 : 5;
}

void Force(matrix::Outcome outcome, matrix::Reason reason, wire::Verdict& verdict) {
  verdict.set_outcome(static_cast<wire::Outcome>(outcome));
  verdict.set_reason(static_cast<wire::Reason>(reason));
  verdict.set_detail("as the test wants it");
  verdict.clear_state_after_change();
  verdict.clear_current_state_change();
  verdict.clear_read_set();
  verdict.set_commutes(false);
  const int failing = StepThatFails(outcome, reason);
  for (wire::StepResult& step : *verdict.mutable_steps()) {
    const int number = static_cast<int>(step.step());
    if (number < failing || number > 6) continue;
    step.clear_rule();
    step.set_text(number == failing ? "as the test wants it" : "");
    step.set_outcome(number == failing ? wire::STEP_OUTCOME_FAILED : wire::STEP_OUTCOME_SKIPPED);
  }
}

}  // namespace

FakeValidator::FakeValidator() {
  auto host = rpc::ServerHost::Start({.listen = "127.0.0.1:0", .security = {.plaintext = true}}, {this});
  if (!host.ok()) {
    std::fprintf(stderr, "the fake validator does not start: %s\n", host.status().ToString().c_str());
    std::abort();
  }
  host_ = *std::move(host);
  host_->SetServing(true);
}

FakeValidator::~FakeValidator() { host_->Shutdown(absl::Now()); }

std::string FakeValidator::address() const { return fmt::format("127.0.0.1:{}", host_->port()); }

void FakeValidator::ForceOutcome(matrix::Outcome outcome, matrix::Reason reason) {
  const std::lock_guard lock(mutex_);
  script_.forced.emplace(outcome, reason);
}

void FakeValidator::FailCalls(absl::Status status) {
  const std::lock_guard lock(mutex_);
  script_.failure = std::move(status);
}

void FakeValidator::BeforeEach(std::function<void(const validator::v1::ValidateRequest&)> hook) {
  const std::lock_guard lock(mutex_);
  script_.hook = std::move(hook);
}

void FakeValidator::Reset() {
  const std::lock_guard lock(mutex_);
  script_ = {};
}

FakeValidator::Script FakeValidator::script() const {
  const std::lock_guard lock(mutex_);
  return script_;
}

grpc::Status FakeValidator::Validate(grpc::ServerContext*, const validator::v1::ValidateRequest* request,
                                     validator::v1::ValidateResponse* response) {
  ++validated_;
  const Script script = this->script();
  if (script.hook) script.hook(*request);
  if (!script.failure.ok()) return rpc::ToGrpc(script.failure);
  const absl::Status status = validator::Validate(*request, *response);
  if (status.ok() && script.forced && response->verdict().outcome() == wire::OUTCOME_ACCEPTED) {
    Force(script.forced->first, script.forced->second, *response->mutable_verdict());
  }
  return rpc::ToGrpc(status);
}

grpc::Status FakeValidator::Explain(grpc::ServerContext*, const validator::v1::ValidateRequest* request,
                                    validator::v1::ExplainResponse* response) {
  const Script script = this->script();
  if (!script.failure.ok()) return rpc::ToGrpc(script.failure);
  const absl::Status status = validator::Explain(*request, *response);
  if (status.ok() && script.forced && response->verdict().outcome() == wire::OUTCOME_ACCEPTED) {
    Force(script.forced->first, script.forced->second, *response->mutable_verdict());
  }
  return rpc::ToGrpc(status);
}

grpc::Status FakeValidator::Authorize(grpc::ServerContext*, const validator::v1::AuthorizeRequest* request,
                                      validator::v1::AuthorizeResponse* response) {
  const Script script = this->script();
  if (!script.failure.ok()) return rpc::ToGrpc(script.failure);
  return rpc::ToGrpc(validator::Authorize(*request, *response));
}

}  // namespace postern::support
