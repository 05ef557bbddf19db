// Received invites in memory, honestly: keeps the same contract as PostgreSQL does.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <tuple>

#include "absl/time/clock.h"
#include "services/store/invite_store.h"

namespace postern::support {

class FakeReceivedInvites : public store::InviteStore {
 public:
  absl::StatusOr<store::v1::KeepInviteResponse> KeepInvite(const rpc::CallContext& call,
                                                           const store::v1::KeepInviteRequest& request) override;
  absl::StatusOr<store::v1::ListInvitesResponse> ListInvites(const rpc::CallContext& call,
                                                             const store::v1::ListInvitesRequest& request) override;
  absl::StatusOr<store::v1::RejectInvitesResponse> RejectInvites(
      const rpc::CallContext& call, const store::v1::RejectInvitesRequest& request) override;
  absl::StatusOr<store::v1::WithdrawInviteResponse> WithdrawInvite(
      const rpc::CallContext& call, const store::v1::WithdrawInviteRequest& request) override;
  absl::StatusOr<store::v1::LeaseInviteLeavesResponse> LeaseInviteLeaves(
      const rpc::CallContext& call, const store::v1::LeaseInviteLeavesRequest& request) override;
  absl::StatusOr<store::v1::ReportInviteLeaveResponse> ReportInviteLeave(
      const rpc::CallContext& call, const store::v1::ReportInviteLeaveRequest& request) override;

 private:
  using Key = std::tuple<std::string, std::string, std::string>;
  struct Row {
    store::v1::ReceivedInvite invite;
    absl::Time held_until = absl::InfinitePast();
    bool IsHeld() const { return !invite.holder().empty() && absl::Now() < held_until; }
  };
  /// Makes room among those that `counts` says yes to; false where that cannot be.
  template <typename Counts>
  bool MakeRoom(int most, Counts counts);
  bool AnotherIsOpen(const store::v1::ReceivedInvite& than) const;

  std::mutex mutex_;
  std::map<Key, Row> rows_;
};

}  // namespace postern::support
