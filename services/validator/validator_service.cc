#include "services/validator/validator_service.h"

#include <utility>

#include "matrix/refusal.h"
#include "rpc/call_context.h"
#include "rpc/status_codec.h"
#include "services/validator/judgement.h"

namespace postern::validator {
namespace {

using matrix::Reason;
using matrix::Refuse;

}  // namespace

absl::Status StillWanted(bool given_up, absl::Time deadline, absl::Time now) {
  if (given_up) return Refuse(Reason::kCancelled, "the caller gave up");
  if (now >= deadline) return Refuse(Reason::kDeadlineExceeded, "the deadline passed while the call was waiting");
  return absl::OkStatus();
}

grpc::ServerUnaryReactor* ValidatorService::Validate(grpc::CallbackServerContext* call,
                                                     const v1::ValidateRequest* request,
                                                     v1::ValidateResponse* response) {
  return Serve(
      call, [request, response] { return validator::Validate(*request, *response); },
      [this, request, response](const rpc::CallContext& context, const absl::Status& status, absl::Duration taken) {
        report_.Validated(context, *request, status, *response, taken);
      });
}

grpc::ServerUnaryReactor* ValidatorService::Explain(grpc::CallbackServerContext* call,
                                                    const v1::ValidateRequest* request, v1::ExplainResponse* response) {
  return Serve(
      call, [request, response] { return validator::Explain(*request, *response); },
      [this, request, response](const rpc::CallContext& context, const absl::Status& status, absl::Duration taken) {
        report_.Explained(context, *request, status, *response, taken);
      });
}

grpc::ServerUnaryReactor* ValidatorService::Authorize(grpc::CallbackServerContext* call,
                                                      const v1::AuthorizeRequest* request,
                                                      v1::AuthorizeResponse* response) {
  return Serve(
      call, [request, response] { return validator::Authorize(*request, *response); },
      [this, request, response](const rpc::CallContext& context, const absl::Status& status, absl::Duration taken) {
        report_.Authorized(context, *request, status, *response, taken);
      });
}

grpc::ServerUnaryReactor* ValidatorService::Serve(
    grpc::CallbackServerContext* call, std::function<absl::Status()> judge,
    std::function<void(const rpc::CallContext&, const absl::Status&, absl::Duration)> report) {
  grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
  const absl::Time begun = clock_();
  const bool taken = workers_.Post([this, call, reactor, begun, judge = std::move(judge), report] {
    const rpc::CallContext context = rpc::FromServerContext(*call);
    absl::Status status = StillWanted(call->IsCancelled(), context.deadline, clock_());
    if (status.ok()) status = judge();
    report(context, status, clock_() - begun);
    reactor->Finish(rpc::ToGrpc(status));
  });
  if (!taken) {
    const absl::Status status = Refuse(Reason::kOverloaded, "too many calls are waiting");
    report(rpc::FromServerContext(*call), status, absl::ZeroDuration());
    reactor->Finish(rpc::ToGrpc(status));
  }
  return reactor;
}

}  // namespace postern::validator
