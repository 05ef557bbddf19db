#include "services/gateway/validator_client.h"

#include <grpcpp/channel.h>

#include <utility>

#include "postern/validator/v1/validator.grpc.pb.h"
#include "services/gateway/rpc_attempts.h"

namespace postern::gateway {
namespace {

constexpr int kAttempts = 3;  // round robin: each goes to another replica

class GrpcValidatorClient : public ValidatorClient {
 public:
  GrpcValidatorClient(std::shared_ptr<grpc::Channel> channel, telemetry::Metrics& metrics)
      : stub_(validator::v1::Validator::NewStub(std::move(channel))), metrics_(metrics) {}

  absl::StatusOr<matrix::v1::Verdict> Validate(const rpc::CallContext& call,
                                               const validator::v1::ValidateRequest& request) override {
    validator::v1::ValidateResponse response;
    const absl::Status status = CallWithAttempts(Kind("Validate"), call, metrics_, [&](grpc::ClientContext& context) {
      return stub_->Validate(&context, request, &response);
    });
    if (!status.ok()) return status;
    return std::move(*response.mutable_verdict());
  }

  absl::StatusOr<validator::v1::AuthorizeResponse> Authorize(const rpc::CallContext& call,
                                                             const validator::v1::AuthorizeRequest& request) override {
    validator::v1::AuthorizeResponse response;
    const absl::Status status = CallWithAttempts(Kind("Authorize"), call, metrics_, [&](grpc::ClientContext& context) {
      return stub_->Authorize(&context, request, &response);
    });
    if (!status.ok()) return status;
    return response;
  }

 private:
  static RpcKind Kind(std::string_view method) {
    return {"validator", method, matrix::Reason::kValidatorDown, kAttempts, /*try_again_if_full=*/true};
  }

  const std::unique_ptr<validator::v1::Validator::Stub> stub_;
  telemetry::Metrics& metrics_;
};

}  // namespace

std::unique_ptr<ValidatorClient> MakeGrpcValidatorClient(std::shared_ptr<grpc::Channel> channel,
                                                         telemetry::Metrics& metrics) {
  return std::make_unique<GrpcValidatorClient>(std::move(channel), metrics);
}

}  // namespace postern::gateway
