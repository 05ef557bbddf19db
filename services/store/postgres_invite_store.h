// Invites of users of this server to other servers' rooms, on PostgreSQL.
#pragma once

#include "services/store/connection_pool.h"
#include "services/store/database_watch.h"
#include "services/store/invite_store.h"
#include "telemetry/metrics.h"

namespace postern::store {

/// Shares its pool with the rest of the store.
class PostgresInviteStore : public InviteStore {
 public:
  PostgresInviteStore(ConnectionPool& pool, DatabaseWatch& watch, telemetry::Metrics& metrics)
      : pool_(pool), watch_(watch), metrics_(metrics) {}

  absl::StatusOr<v1::KeepInviteResponse> KeepInvite(const rpc::CallContext& call,
                                                    const v1::KeepInviteRequest& request) override;
  absl::StatusOr<v1::ListInvitesResponse> ListInvites(const rpc::CallContext& call,
                                                      const v1::ListInvitesRequest& request) override;
  absl::StatusOr<v1::RejectInvitesResponse> RejectInvites(const rpc::CallContext& call,
                                                          const v1::RejectInvitesRequest& request) override;
  absl::StatusOr<v1::WithdrawInviteResponse> WithdrawInvite(const rpc::CallContext& call,
                                                            const v1::WithdrawInviteRequest& request) override;
  absl::StatusOr<v1::LeaseInviteLeavesResponse> LeaseInviteLeaves(const rpc::CallContext& call,
                                                                  const v1::LeaseInviteLeavesRequest& request) override;
  absl::StatusOr<v1::ReportInviteLeaveResponse> ReportInviteLeave(const rpc::CallContext& call,
                                                                  const v1::ReportInviteLeaveRequest& request) override;

 private:
  /// One statement that may be repeated; once more on a new connection where an idle one had broken. What PostgreSQL
  /// warned of at its commit is not done (kStoreDown).
  absl::StatusOr<Rows> Ask(const rpc::CallContext& call, const Statement& statement, const Parameters& parameters);

  ConnectionPool& pool_;
  DatabaseWatch& watch_;
  telemetry::Metrics& metrics_;
};

}  // namespace postern::store
