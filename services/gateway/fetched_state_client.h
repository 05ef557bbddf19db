// States that other servers told, as the gateway has them kept: the store behind gRPC.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "postern/store/v1/fetched_state.pb.h"
#include "rpc/call_context.h"
#include "services/gateway/rpc_counts.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace postern::gateway {

/// Thread-safe; proto/postern/store/v1/fetched_state.proto has the contracts. Each may be repeated, and may refuse with
/// kUnknownRoom, kStoreDown, kOverloaded or kDeadlineExceeded.
class FetchedStateClient {
 public:
  virtual ~FetchedStateClient() = default;
  virtual absl::StatusOr<store::v1::FindUnknownEventsResponse> FindUnknownEvents(
      const rpc::CallContext& call, const store::v1::FindUnknownEventsRequest& request) = 0;
  virtual absl::StatusOr<store::v1::KeepFetchedStateResponse> KeepFetchedState(
      const rpc::CallContext& call, const store::v1::KeepFetchedStateRequest& request) = 0;
};

std::unique_ptr<FetchedStateClient> MakeGrpcFetchedStateClient(std::shared_ptr<grpc::Channel> channel,
                                                               RpcCounts counts);

}  // namespace postern::gateway
