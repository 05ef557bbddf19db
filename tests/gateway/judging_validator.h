// The validator's real judgement, without its process.
#pragma once

#include "services/gateway/validator_client.h"
#include "services/validator/judgement.h"

namespace postern::gateway {

class JudgingValidator : public ValidatorClient {
 public:
  absl::StatusOr<matrix::v1::Verdict> Validate(const rpc::CallContext&,
                                               const validator::v1::ValidateRequest& request) override {
    validator::v1::ValidateResponse response;
    const absl::Status status = validator::Validate(request, response);
    if (!status.ok()) return status;
    return response.verdict();
  }
  absl::StatusOr<validator::v1::AuthorizeResponse> Authorize(const rpc::CallContext&,
                                                             const validator::v1::AuthorizeRequest& request) override {
    validator::v1::AuthorizeResponse response;
    const absl::Status status = validator::Authorize(request, response);
    if (!status.ok()) return status;
    return response;
  }
};

}  // namespace postern::gateway
