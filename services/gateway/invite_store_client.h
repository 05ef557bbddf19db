// Invites of this server's users to other servers' rooms, as the gateway sees them: the store behind gRPC.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "postern/store/v1/received_invites.pb.h"
#include "rpc/call_context.h"
#include "services/gateway/rpc_counts.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace postern::gateway {

/// Thread-safe; no call outlives `call.deadline`. Each call may be repeated, and may refuse with kInvalidArgument,
/// kStoreDown, kOverloaded or kDeadlineExceeded; proto/postern/store/v1/received_invites.proto has the contracts.
class InviteStoreClient {
 public:
  virtual ~InviteStoreClient() = default;

  virtual absl::StatusOr<store::v1::KeepInviteResponse> KeepInvite(const rpc::CallContext& call,
                                                                   const store::v1::KeepInviteRequest& request) = 0;
  virtual absl::StatusOr<store::v1::ListInvitesResponse> ListInvites(const rpc::CallContext& call,
                                                                     const store::v1::ListInvitesRequest& request) = 0;
  virtual absl::StatusOr<store::v1::RejectInvitesResponse> RejectInvites(
      const rpc::CallContext& call, const store::v1::RejectInvitesRequest& request) = 0;
  virtual absl::StatusOr<store::v1::WithdrawInviteResponse> WithdrawInvite(
      const rpc::CallContext& call, const store::v1::WithdrawInviteRequest& request) = 0;
  virtual absl::StatusOr<store::v1::LeaseInviteLeavesResponse> LeaseInviteLeaves(
      const rpc::CallContext& call, const store::v1::LeaseInviteLeavesRequest& request) = 0;
  virtual absl::StatusOr<store::v1::ReportInviteLeaveResponse> ReportInviteLeave(
      const rpc::CallContext& call, const store::v1::ReportInviteLeaveRequest& request) = 0;
};

/// Over gRPC. Each call is tried again if the store could not be reached and time is left.
std::unique_ptr<InviteStoreClient> MakeGrpcInviteStoreClient(std::shared_ptr<grpc::Channel> channel, RpcCounts counts);

}  // namespace postern::gateway
