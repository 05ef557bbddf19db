#include "services/gateway/invite_store_client.h"

#include <grpcpp/channel.h>

#include <utility>

#include "postern/store/v1/received_invites.grpc.pb.h"
#include "services/gateway/rpc_attempts.h"

namespace postern::gateway {
namespace {

constexpr int kAttempts = 3;

class GrpcInviteStoreClient : public InviteStoreClient {
 public:
  GrpcInviteStoreClient(std::shared_ptr<grpc::Channel> channel, RpcCounts counts)
      : stub_(store::v1::ReceivedInvites::NewStub(std::move(channel))), counts_(counts) {}

  absl::StatusOr<store::v1::KeepInviteResponse> KeepInvite(const rpc::CallContext& call,
                                                           const store::v1::KeepInviteRequest& request) override {
    return Call(&Stub::KeepInvite, "KeepInvite", call, request);
  }
  absl::StatusOr<store::v1::ListInvitesResponse> ListInvites(const rpc::CallContext& call,
                                                             const store::v1::ListInvitesRequest& request) override {
    return Call(&Stub::ListInvites, "ListInvites", call, request);
  }
  absl::StatusOr<store::v1::RejectInvitesResponse> RejectInvites(
      const rpc::CallContext& call, const store::v1::RejectInvitesRequest& request) override {
    return Call(&Stub::RejectInvites, "RejectInvites", call, request);
  }
  absl::StatusOr<store::v1::WithdrawInviteResponse> WithdrawInvite(
      const rpc::CallContext& call, const store::v1::WithdrawInviteRequest& request) override {
    return Call(&Stub::WithdrawInvite, "WithdrawInvite", call, request);
  }
  absl::StatusOr<store::v1::LeaseInviteLeavesResponse> LeaseInviteLeaves(
      const rpc::CallContext& call, const store::v1::LeaseInviteLeavesRequest& request) override {
    return Call(&Stub::LeaseInviteLeaves, "LeaseInviteLeaves", call, request);
  }
  absl::StatusOr<store::v1::ReportInviteLeaveResponse> ReportInviteLeave(
      const rpc::CallContext& call, const store::v1::ReportInviteLeaveRequest& request) override {
    return Call(&Stub::ReportInviteLeave, "ReportInviteLeave", call, request);
  }

 private:
  using Stub = class store::v1::ReceivedInvites::Stub::async;

  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(UnaryMethod<Stub, Request, Response> method, std::string_view name,
                                const rpc::CallContext& call, const Request& request) {
    return CallWithAttempts(*stub_->async(), method, {"store", name, matrix::Reason::kStoreDown, kAttempts}, call,
                            counts_, request);
  }

  const std::unique_ptr<store::v1::ReceivedInvites::Stub> stub_;
  const RpcCounts counts_;
};

}  // namespace

std::unique_ptr<InviteStoreClient> MakeGrpcInviteStoreClient(std::shared_ptr<grpc::Channel> channel, RpcCounts counts) {
  return std::make_unique<GrpcInviteStoreClient>(std::move(channel), counts);
}

}  // namespace postern::gateway
