// The honest fake of received invites, as the gateway sees it.
#pragma once

#include "services/gateway/invite_store_client.h"
#include "tests/support/fake_received_invites.h"

namespace postern::gateway {

class FakeInviteStore : public InviteStoreClient {
 public:
  absl::StatusOr<store::v1::KeepInviteResponse> KeepInvite(const rpc::CallContext& call,
                                                           const store::v1::KeepInviteRequest& request) override {
    return down_.ok() ? fake_.KeepInvite(call, request) : down_;
  }
  absl::StatusOr<store::v1::ListInvitesResponse> ListInvites(const rpc::CallContext& call,
                                                             const store::v1::ListInvitesRequest& request) override {
    return down_.ok() ? fake_.ListInvites(call, request) : down_;
  }
  absl::StatusOr<store::v1::RejectInvitesResponse> RejectInvites(
      const rpc::CallContext& call, const store::v1::RejectInvitesRequest& request) override {
    return fake_.RejectInvites(call, request);
  }
  absl::StatusOr<store::v1::WithdrawInviteResponse> WithdrawInvite(
      const rpc::CallContext& call, const store::v1::WithdrawInviteRequest& request) override {
    return fake_.WithdrawInvite(call, request);
  }
  absl::StatusOr<store::v1::LeaseInviteLeavesResponse> LeaseInviteLeaves(
      const rpc::CallContext& call, const store::v1::LeaseInviteLeavesRequest& request) override {
    return fake_.LeaseInviteLeaves(call, request);
  }
  absl::StatusOr<store::v1::ReportInviteLeaveResponse> ReportInviteLeave(
      const rpc::CallContext& call, const store::v1::ReportInviteLeaveRequest& request) override {
    return fake_.ReportInviteLeave(call, request);
  }

  support::FakeReceivedInvites fake_;
  absl::Status down_;
};

}  // namespace postern::gateway
