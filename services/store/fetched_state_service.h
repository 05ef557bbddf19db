// The rpcs of FetchedStates: on the same bounded pool as the store's others, counted like them.
#pragma once

#include "postern/store/v1/fetched_state.grpc.pb.h"
#include "rpc/worker_pool.h"
#include "services/store/fetched_state_store.h"
#include "services/store/store_calls.h"
#include "telemetry/metrics.h"

namespace postern::store {

class FetchedStateService final : public v1::FetchedStates::CallbackService {
 public:
  /// All outlive the service. A call that finds the queue of `workers` full is refused: kOverloaded; one whose time is
  /// up before its turn comes is not begun.
  FetchedStateService(FetchedStateStore& store, rpc::WorkerPool& workers, telemetry::Metrics& metrics)
      : store_(store), calls_(workers, metrics) {}

  using Call = grpc::CallbackServerContext;
  using Reactor = grpc::ServerUnaryReactor;
  Reactor* FindUnknownEvents(Call*, const v1::FindUnknownEventsRequest*, v1::FindUnknownEventsResponse*) override;
  Reactor* KeepFetchedState(Call*, const v1::KeepFetchedStateRequest*, v1::KeepFetchedStateResponse*) override;

 private:
  FetchedStateStore& store_;
  StoreCalls calls_;
};

}  // namespace postern::store
