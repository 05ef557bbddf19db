// Validate for calls that share a message: one worker judges them, one after the other.
#pragma once

#include <functional>
#include <vector>

#include "absl/time/time.h"
#include "postern/validator/v1/validator_together.grpc.pb.h"
#include "rpc/answers_together.h"
#include "rpc/worker_pool.h"
#include "services/validator/recurring_events.h"
#include "services/validator/verdict_report.h"

namespace postern::validator {

/// Thread-safe. Refuses what ValidatorService refuses.
class ValidatorTogetherService final : public v1::ValidatorTogether::CallbackService {
 public:
  /// All outlive the service and the server that it is registered with.
  ValidatorTogetherService(rpc::WorkerPool& workers, telemetry::Metrics& metrics, std::function<absl::Time()> clock)
      : workers_(workers), report_(metrics), clock_(std::move(clock)) {}

  grpc::ServerUnaryReactor* Validate(grpc::CallbackServerContext*, const rpc::v1::Calls*, rpc::v1::Answers*) override;

 private:
  using Pending = rpc::TypedCall<v1::ValidateRequest, v1::ValidateResponse>;
  void Take(std::vector<Pending> together);
  void Judge(const Pending& pending, absl::Time begun);

  rpc::WorkerPool& workers_;
  RecurringEvents recurring_;
  const VerdictReport report_;
  const std::function<absl::Time()> clock_;
};

}  // namespace postern::validator
