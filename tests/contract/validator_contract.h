// What any implementation of postern.validator.v1.Validator has to keep to, checked over gRPC. Instantiate it with a
// way to bring one up:
//
//   INSTANTIATE_TEST_SUITE_P(Real, ValidatorContract, testing::Values(ValidatorMaker{"Real", &StartRealValidator}));
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "postern/validator/v1/validator.grpc.pb.h"
#include "postern/validator/v1/validator_together.grpc.pb.h"

namespace postern::contract {

/// A validator that serves until this goes.
class ServedValidator {
 public:
  virtual ~ServedValidator() = default;
  virtual std::string address() const = 0;
};

struct ValidatorMaker {
  std::string name;
  std::unique_ptr<ServedValidator> (*start)();
  /// Events are judged in messages with other calls.
  bool in_company = false;
};

class ValidatorContract : public testing::TestWithParam<ValidatorMaker> {
 protected:
  void SetUp() override;

  /// The call's status; the answer in `response_`.
  grpc::Status Validate(const validator::v1::ValidateRequest& request);
  grpc::Status Explain(const validator::v1::ValidateRequest& request);
  grpc::Status Authorize(const validator::v1::AuthorizeRequest& request);
  const matrix::v1::Verdict& verdict() const { return response_.verdict(); }

  std::unique_ptr<ServedValidator> served_;
  std::unique_ptr<validator::v1::Validator::Stub> stub_;
  std::unique_ptr<validator::v1::ValidatorTogether::Stub> together_;
  validator::v1::ValidateResponse response_;
  validator::v1::ExplainResponse explained_;
  validator::v1::AuthorizeResponse authorized_;
};

}  // namespace postern::contract
