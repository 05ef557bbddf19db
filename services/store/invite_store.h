// Invites of users of this server to other servers' rooms, as the rpc handlers see them: what PostgreSQL answers, and
// what the in-memory fake of the tests does.
#pragma once

#include "absl/status/statusor.h"
#include "postern/store/v1/received_invites.pb.h"
#include "rpc/call_context.h"

namespace postern::store {

/// Thread-safe. No call outlives `call.deadline`. Each method answers the rpc of its name, whose contract stands in
/// proto/postern/store/v1/received_invites.proto; each may refuse with kInvalidArgument, kStoreDown, kOverloaded or
/// kDeadlineExceeded.
class InviteStore {
 public:
  virtual ~InviteStore() = default;

  virtual absl::StatusOr<v1::KeepInviteResponse> KeepInvite(const rpc::CallContext& call,
                                                            const v1::KeepInviteRequest& request) = 0;
  virtual absl::StatusOr<v1::ListInvitesResponse> ListInvites(const rpc::CallContext& call,
                                                              const v1::ListInvitesRequest& request) = 0;
  virtual absl::StatusOr<v1::RejectInvitesResponse> RejectInvites(const rpc::CallContext& call,
                                                                  const v1::RejectInvitesRequest& request) = 0;
  virtual absl::StatusOr<v1::WithdrawInviteResponse> WithdrawInvite(const rpc::CallContext& call,
                                                                    const v1::WithdrawInviteRequest& request) = 0;
  virtual absl::StatusOr<v1::LeaseInviteLeavesResponse> LeaseInviteLeaves(
      const rpc::CallContext& call, const v1::LeaseInviteLeavesRequest& request) = 0;
  virtual absl::StatusOr<v1::ReportInviteLeaveResponse> ReportInviteLeave(
      const rpc::CallContext& call, const v1::ReportInviteLeaveRequest& request) = 0;
};

}  // namespace postern::store
