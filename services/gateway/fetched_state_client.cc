#include "services/gateway/fetched_state_client.h"

#include <grpcpp/channel.h>

#include <string_view>
#include <utility>

#include "postern/store/v1/fetched_state.grpc.pb.h"
#include "services/gateway/rpc_attempts.h"

namespace postern::gateway {
namespace {

constexpr int kAttempts = 3;

class GrpcFetchedStateClient : public FetchedStateClient {
 public:
  GrpcFetchedStateClient(std::shared_ptr<grpc::Channel> channel, RpcCounts counts)
      : stub_(store::v1::FetchedStates::NewStub(std::move(channel))), counts_(counts) {}

  absl::StatusOr<store::v1::FindUnknownEventsResponse> FindUnknownEvents(
      const rpc::CallContext& call, const store::v1::FindUnknownEventsRequest& request) override {
    return Call(&Stub::FindUnknownEvents, "FindUnknownEvents", call, request);
  }
  absl::StatusOr<store::v1::KeepFetchedStateResponse> KeepFetchedState(
      const rpc::CallContext& call, const store::v1::KeepFetchedStateRequest& request) override {
    return Call(&Stub::KeepFetchedState, "KeepFetchedState", call, request);
  }

 private:
  using Stub = class store::v1::FetchedStates::Stub::async;

  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(UnaryMethod<Stub, Request, Response> method, std::string_view name,
                                const rpc::CallContext& call, const Request& request) {
    return CallWithAttempts(*stub_->async(), method, {"store", name, matrix::Reason::kStoreDown, kAttempts}, call,
                            counts_, request);
  }

  const std::unique_ptr<store::v1::FetchedStates::Stub> stub_;
  const RpcCounts counts_;
};

}  // namespace

std::unique_ptr<FetchedStateClient> MakeGrpcFetchedStateClient(std::shared_ptr<grpc::Channel> channel,
                                                               RpcCounts counts) {
  return std::make_unique<GrpcFetchedStateClient>(std::move(channel), counts);
}

}  // namespace postern::gateway
