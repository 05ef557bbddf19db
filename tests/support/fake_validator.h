// A validator for tests, in this process: judges with the real rules unless a test scripts it otherwise. It passes the
// same contract suite as the real server (tests/contract/validator_contract.h).
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "matrix/verdict.h"
#include "postern/validator/v1/validator.grpc.pb.h"
#include "rpc/server_host.h"

namespace postern::support {

/// Thread-safe. Serves on a free port of 127.0.0.1 from construction to destruction.
class FakeValidator : private validator::v1::Validator::Service {
 public:
  FakeValidator();
  ~FakeValidator() override;

  /// "127.0.0.1:12345"
  std::string address() const;

  /// From now on every verdict that would be an acceptance says this instead: what is said with it (steps, changes)
  /// fits.
  void ForceOutcome(matrix::Outcome outcome, matrix::Reason reason);
  /// From now on calls fail with this status; OK ends that.
  void FailCalls(absl::Status status);
  /// Runs before each Validate is answered, on the call's thread; it may block.
  void BeforeEach(std::function<void(const validator::v1::ValidateRequest&)> hook);
  /// Back to the rules.
  void Reset();

  /// How many Validate calls have come.
  int validated() const { return validated_; }

 private:
  struct Script {
    std::optional<std::pair<matrix::Outcome, matrix::Reason>> forced;
    absl::Status failure;
    std::function<void(const validator::v1::ValidateRequest&)> hook;
  };
  grpc::Status Validate(grpc::ServerContext*, const validator::v1::ValidateRequest* request,
                        validator::v1::ValidateResponse* response) override;
  grpc::Status Explain(grpc::ServerContext*, const validator::v1::ValidateRequest* request,
                       validator::v1::ExplainResponse* response) override;
  grpc::Status Authorize(grpc::ServerContext*, const validator::v1::AuthorizeRequest* request,
                         validator::v1::AuthorizeResponse* response) override;
  Script script() const;

  mutable std::mutex mutex_;
  Script script_;
  std::atomic<int> validated_ = 0;
  std::unique_ptr<rpc::ServerHost> host_;
};

}  // namespace postern::support
