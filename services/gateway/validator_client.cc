#include "services/gateway/validator_client.h"

#include <grpcpp/channel.h>

#include <utility>

#include "postern/validator/v1/validator.grpc.pb.h"
#include "postern/validator/v1/validator_together.grpc.pb.h"
#include "services/gateway/rpc_together.h"

namespace postern::gateway {
namespace {

constexpr std::string_view kValidate = "Validate";
constexpr int kAttempts = 3;  // round robin: each goes to another replica

class GrpcValidatorClient : public ValidatorClient {
 public:
  GrpcValidatorClient(std::shared_ptr<grpc::Channel> channel, RpcCounts counts, const RpcPatience& patience)
      : stub_(validator::v1::Validator::NewStub(channel)),
        together_(validator::v1::ValidatorTogether::NewStub(channel)),
        counts_(counts),
        patience_(patience.each),
        budget_(patience.budget),
        judging_([this](auto* context, auto* calls, auto* answers,
                        auto end) { together_->async()->Validate(context, calls, answers, std::move(end)); },
                 CountMessages(counts, kValidate)) {}

  absl::StatusOr<matrix::v1::Verdict> Validate(const rpc::CallContext& call,
                                               const validator::v1::ValidateRequest& request) override {
    // Resolving branches may take long: nobody waits beside it.
    auto response =
        request.context().has_branches()
            ? CallWithAttempts(*stub_->async(), &Stub::Validate, Kind(kValidate), call, counts_, request)
            : CallTogether(judging_, *stub_->async(), &Stub::Validate, QuickKind(kValidate), call, counts_, request);
    if (!response.ok()) return response.status();
    return std::move(*response->mutable_verdict());
  }

  absl::StatusOr<validator::v1::AuthorizeResponse> Authorize(const rpc::CallContext& call,
                                                             const validator::v1::AuthorizeRequest& request) override {
    return CallWithAttempts(*stub_->async(), &Stub::Authorize, QuickKind("Authorize"), call, counts_, request);
  }

 private:
  using Stub = class validator::v1::Validator::Stub::async;

  static RpcKind Kind(std::string_view method) {
    return {"validator", method, matrix::Reason::kValidatorDown, kAttempts, /*try_again_if_full=*/true};
  }

  /// Of what takes milliseconds: who has not answered by then hangs.
  RpcKind QuickKind(std::string_view method) {
    RpcKind kind = Kind(method);
    kind.patience = patience_;
    kind.budget = &budget_;
    return kind;
  }

  const std::unique_ptr<validator::v1::Validator::Stub> stub_;
  const std::unique_ptr<validator::v1::ValidatorTogether::Stub> together_;
  const RpcCounts counts_;
  const absl::Duration patience_;
  AttemptBudget budget_;
  rpc::CallsTogether judging_;
};

}  // namespace

void AddVerifyKeys(const matrix::ServerKeys& keys, validator::v1::ValidateRequest& request) {
  auto* server = request.add_verify_keys();
  server->set_server_name(keys.server_name);
  server->set_valid_until_ms(absl::ToUnixMillis(keys.valid_until));
  for (const matrix::VerifyKey& key : keys.keys) {
    auto* out = server->add_keys();
    out->set_key_id(key.key_id);
    out->set_public_key(key.public_key);
    if (key.expired) out->set_expired_ms(absl::ToUnixMillis(*key.expired));
  }
}

std::unique_ptr<ValidatorClient> MakeGrpcValidatorClient(std::shared_ptr<grpc::Channel> channel, RpcCounts counts,
                                                         RpcPatience patience) {
  return std::make_unique<GrpcValidatorClient>(std::move(channel), counts, patience);
}

}  // namespace postern::gateway
