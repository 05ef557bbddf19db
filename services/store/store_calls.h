// How each rpc of the store is served, whichever of its services it belongs to: on a worker, counted, and refused where
// its turn comes too late.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "rpc/call_context.h"
#include "rpc/worker_pool.h"
#include "telemetry/metrics.h"

namespace postern::store {

/// What there is against beginning a call whose turn has come: kCancelled, kDeadlineExceeded.
absl::Status WhyNotBegun(bool given_up, const rpc::CallContext& context);
/// kOverloaded.
absl::Status QueueIsFull();

/// Thread-safe.
class StoreCalls {
 public:
  using Call = grpc::CallbackServerContext;
  using Reactor = grpc::ServerUnaryReactor;

  /// All outlive this. `counted` is called with each call that is counted.
  StoreCalls(
      rpc::WorkerPool& workers, telemetry::Metrics& metrics, std::function<void()> counted = [] {})
      : workers_(workers), metrics_(metrics), counted_(std::move(counted)) {}

  /// Runs `work` on a worker and finishes the call with its status.
  Reactor* Run(Call* call, std::string_view method, std::function<absl::Status(const rpc::CallContext&)> work);
  /// The same, where `store` has the answer.
  template <typename Store, typename Request, typename Response>
  Reactor* Ask(Call* call, std::string_view method, const Request* request, Response* response, Store& store,
               absl::StatusOr<Response> (Store::*ask)(const rpc::CallContext&, const Request&)) {
    return Run(call, method, [request, response, &store, ask](const rpc::CallContext& context) {
      absl::StatusOr<Response> answer = (store.*ask)(context, *request);
      if (!answer.ok()) return answer.status();
      *response = *std::move(answer);
      return absl::OkStatus();
    });
  }
  void Count(std::string_view method, const absl::Status& status, absl::Duration duration);

 private:
  void Finish(Reactor* reactor, std::string_view method, const absl::Status& status, absl::Time received);

  rpc::WorkerPool& workers_;
  telemetry::Metrics& metrics_;
  const std::function<void()> counted_;
};

}  // namespace postern::store
