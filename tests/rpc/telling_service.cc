#include "tests/rpc/telling_service.h"

#include <grpcpp/grpcpp.h>

#include "absl/time/clock.h"
#include "rpc/status_codec.h"

namespace postern::rpc {

grpc::ServerUnaryReactor* TellingService::Authorize(grpc::CallbackServerContext* context,
                                                    const validator::v1::AuthorizeRequest*,
                                                    validator::v1::AuthorizeResponse* response) {
  auto* reactor = context->DefaultReactor();
  const CallContext call = FromServerContext(*context);
  const bool posted = workers_.Post([this, reactor, response, call] {
    response->set_allowed(true);
    reactor->Finish(ToGrpc(answer_(call)));
  });
  if (!posted) reactor->Finish(ToGrpc(matrix::Refuse(matrix::Reason::kOverloaded, "the queue is full")));
  return reactor;
}

absl::Status Call(const std::shared_ptr<grpc::Channel>& channel, const CallContext& call) {
  grpc::ClientContext context;
  Prepare(call, context);
  validator::v1::AuthorizeResponse response;
  const auto stub = validator::v1::Validator::NewStub(channel);
  return FromGrpc(stub->Authorize(&context, {}, &response), matrix::Reason::kValidatorDown);
}

absl::Status Call(const std::shared_ptr<grpc::Channel>& channel, absl::Duration patience) {
  return Call(channel, CallContext{absl::Now() + patience, telemetry::NewTrace()});
}

}  // namespace postern::rpc
