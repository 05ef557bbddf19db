// The contract of the validator, kept by the real server and by the fake that other tests use.
#include <memory>

#include "absl/time/clock.h"
#include "fmt/format.h"
#include "services/validator/validator.h"
#include "tests/contract/validator_contract.h"
#include "tests/support/fake_validator.h"

namespace postern::contract {
namespace {

class RealValidator : public ServedValidator {
 public:
  explicit RealValidator(std::unique_ptr<validator::Validator> running) : running_(std::move(running)) {}
  std::string address() const override { return fmt::format("127.0.0.1:{}", running_->grpc_port()); }

 private:
  std::unique_ptr<validator::Validator> running_;
};

std::unique_ptr<ServedValidator> StartReal() {
  validator::ValidatorConfig config;
  config.listen = "127.0.0.1:0";
  config.admin_listen = "127.0.0.1:0";
  config.between_services.plaintext = true;
  config.shutdown_grace = absl::Seconds(1);
  auto running = validator::Validator::Start(config);
  if (!running.ok()) return nullptr;
  return std::make_unique<RealValidator>(*std::move(running));
}

class Fake : public ServedValidator {
 public:
  std::string address() const override { return fake_.address(); }

 private:
  support::FakeValidator fake_;
};

std::unique_ptr<ServedValidator> StartFake() { return std::make_unique<Fake>(); }

INSTANTIATE_TEST_SUITE_P(Validators, ValidatorContract,
                         testing::Values(ValidatorMaker{"Real", &StartReal}, ValidatorMaker{"Fake", &StartFake},
                                         ValidatorMaker{"RealInCompany", &StartReal, true}),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace postern::contract
