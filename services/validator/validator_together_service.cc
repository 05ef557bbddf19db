#include "services/validator/validator_together_service.h"

#include <utility>

#include "matrix/refusal.h"
#include "services/validator/judgement.h"
#include "services/validator/validator_service.h"

namespace postern::validator {

grpc::ServerUnaryReactor* ValidatorTogetherService::Validate(grpc::CallbackServerContext* call,
                                                             const rpc::v1::Calls* calls, rpc::v1::Answers* answers) {
  return rpc::AnswerTogether<v1::ValidateRequest, v1::ValidateResponse>(
      *call, *calls, *answers, [this](std::vector<Pending> together) { Take(std::move(together)); });
}

void ValidatorTogetherService::Take(std::vector<Pending> together) {
  const absl::Time begun = clock_();
  const auto shared = std::make_shared<const std::vector<Pending>>(std::move(together));
  const bool taken = workers_.Post([this, shared, begun] {
    for (const Pending& pending : *shared) Judge(pending, begun);
  });
  if (taken) return;
  const absl::Status full = matrix::Refuse(matrix::Reason::kOverloaded, "too many calls are waiting");
  for (const Pending& pending : *shared) {
    report_.Validated(pending.call->context(), *pending.request, full, *pending.response, absl::ZeroDuration());
    pending.call->Finish(full);
  }
}

void ValidatorTogetherService::Judge(const Pending& pending, absl::Time begun) {
  const rpc::CallContext& context = pending.call->context();
  absl::Status status = StillWanted(pending.call->given_up(), context.deadline, clock_());
  if (status.ok()) status = validator::Validate(*pending.request, recurring_, *pending.response);
  report_.Validated(context, *pending.request, status, *pending.response, clock_() - begun);
  pending.call->Finish(status);
}

}  // namespace postern::validator
