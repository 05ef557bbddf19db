// The Validator of proto/postern/validator/v1: moves each call to a worker and answers it there.
#pragma once

#include <functional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "postern/validator/v1/validator.grpc.pb.h"
#include "rpc/worker_pool.h"
#include "services/validator/verdict_report.h"

namespace postern::validator {

/// Whether anybody still waits for the answer to a call whose turn has come.
absl::Status StillWanted(bool given_up, absl::Time deadline, absl::Time now);

/// Thread-safe. A call for which no worker is free in time is refused (kOverloaded) when the queue is full, and not
/// judged when its caller has given up meanwhile.
class ValidatorService : public v1::Validator::CallbackService {
 public:
  /// All outlive the service and the server that it is registered with.
  ValidatorService(rpc::WorkerPool& workers, telemetry::Metrics& metrics, std::function<absl::Time()> clock)
      : workers_(workers), report_(metrics), clock_(std::move(clock)) {}

  grpc::ServerUnaryReactor* Validate(grpc::CallbackServerContext* call, const v1::ValidateRequest* request,
                                     v1::ValidateResponse* response) override;
  grpc::ServerUnaryReactor* Explain(grpc::CallbackServerContext* call, const v1::ValidateRequest* request,
                                    v1::ExplainResponse* response) override;
  grpc::ServerUnaryReactor* Authorize(grpc::CallbackServerContext* call, const v1::AuthorizeRequest* request,
                                      v1::AuthorizeResponse* response) override;

 private:
  /// Runs `judge` on a worker, tells `report` of it, and finishes the call with its status.
  grpc::ServerUnaryReactor* Serve(
      grpc::CallbackServerContext* call, std::function<absl::Status()> judge,
      std::function<void(const rpc::CallContext&, const absl::Status&, absl::Duration)> report);

  rpc::WorkerPool& workers_;
  const VerdictReport report_;
  const std::function<absl::Time()> clock_;
};

}  // namespace postern::validator
