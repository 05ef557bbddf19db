// The six steps as the gateway sees them: a tier of validators behind gRPC.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "matrix/signature.h"
#include "postern/validator/v1/validator.pb.h"
#include "rpc/call_context.h"
#include "services/gateway/rpc_counts.h"
#include "services/gateway/rpc_patience.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace postern::gateway {

/// Thread-safe; no call outlives `call.deadline`. Refuses: kValidatorDown, kOverloaded, kDeadlineExceeded,
/// kInvalidArgument, kUnsupportedVersion.
class ValidatorClient {
 public:
  virtual ~ValidatorClient() = default;

  /// A verdict is an answer, whatever it says. Refuses also: kStateUnresolved.
  virtual absl::StatusOr<matrix::v1::Verdict> Validate(const rpc::CallContext& call,
                                                       const validator::v1::ValidateRequest& request) = 0;
  /// The auth rules alone; a refusal by them is an answer.
  virtual absl::StatusOr<validator::v1::AuthorizeResponse> Authorize(
      const rpc::CallContext& call, const validator::v1::AuthorizeRequest& request) = 0;
};

/// Gives the keys of one more server to the question.
void AddVerifyKeys(const matrix::ServerKeys& keys, validator::v1::ValidateRequest& request);

/// Over gRPC. Judging is pure, so a call that reached no replica, or a full one, goes to another at once, and one that
/// is not answered goes to another too; not so where branches are resolved, which may take long.
std::unique_ptr<ValidatorClient> MakeGrpcValidatorClient(std::shared_ptr<grpc::Channel> channel, RpcCounts counts,
                                                         RpcPatience patience = {});

}  // namespace postern::gateway
