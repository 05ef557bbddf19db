#include "services/store/postgres_invite_store.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "matrix/refusal.h"
#include "services/store/invite_request.h"
#include "services/store/statements.h"
#include "services/store/store_request.h"

namespace postern::store {
namespace {

using matrix::Reason;
using matrix::Refuse;

std::int64_t Now() { return absl::ToUnixMillis(absl::Now()); }

Parameters& AppendName(Parameters& parameters, const v1::InviteName& name) {
  return parameters.Bytes(name.room_id()).Bytes(name.user_id()).Bytes(name.event_id());
}

v1::InviteName NameIn(const Rows& rows, std::size_t row) {
  v1::InviteName name;
  name.set_room_id(rows.Bytes(row, 0));
  name.set_user_id(rows.Bytes(row, 1));
  name.set_event_id(rows.Bytes(row, 2));
  return name;
}

v1::ReceivedInvite InviteIn(const Rows& rows, std::size_t row) {
  v1::ReceivedInvite invite;
  *invite.mutable_name() = NameIn(rows, row);
  invite.set_room_version(rows.Bytes(row, 3));
  invite.set_sender(rows.Bytes(row, 4));
  invite.set_origin(rows.Bytes(row, 5));
  invite.set_shown_state(rows.Bytes(row, 6));
  invite.set_state(static_cast<v1::InviteState>(rows.Integer(row, 7)));
  invite.set_reason(rows.Bytes(row, 8));
  for (std::string& server : rows.BytesArray(row, 9)) invite.add_via(std::move(server));
  invite.set_received_at_ms(rows.Integer(row, 10));
  invite.set_changed_at_ms(rows.Integer(row, 11));
  invite.set_attempts(static_cast<std::uint32_t>(rows.Integer(row, 12)));
  invite.set_denials(static_cast<std::uint32_t>(rows.Integer(row, 13)));
  if (!rows.IsNull(row, 14)) invite.set_next_try_ms(rows.Integer(row, 14));
  invite.set_last_error(rows.Bytes(row, 15));
  invite.set_holder(rows.Bytes(row, 16));
  return invite;
}

}  // namespace

absl::StatusOr<Rows> PostgresInviteStore::Ask(const rpc::CallContext& call, const Statement& statement,
                                              const Parameters& parameters) {
  if (!watch_.ready()) return Refuse(Reason::kStoreDown, "PostgreSQL is not there, or its schema not up to date");
  for (const bool fresh : {false, true}) {
    absl::StatusOr<ConnectionPool::Lease> lease = pool_.Take(call.deadline, statement, fresh);
    if (!lease.ok()) {
      if (matrix::ReasonOf(lease.status()) == Reason::kStoreDown) watch_.Suspect();
      return lease.status();
    }
    const absl::Time begun = absl::Now();
    absl::StatusOr<Rows> rows = (*lease)->Call(statement, parameters);
    metrics_.Observe("postern_store_transaction_seconds", absl::Now() - begun, {{"statement", statement.name}});
    if (rows.ok() && (*lease)->warned()) return Refuse(Reason::kStoreDown, "whether it was committed is not known");
    if (rows.ok() || !(*lease)->broken()) return rows;
    watch_.Suspect();
  }
  return Refuse(Reason::kStoreDown, "PostgreSQL does not answer");
}

absl::StatusOr<v1::KeepInviteResponse> PostgresInviteStore::KeepInvite(const rpc::CallContext& call,
                                                                       const v1::KeepInviteRequest& request) {
  if (absl::Status status = CheckInvite(request); !status.ok()) return status;
  const v1::ReceivedInvite& invite = request.invite();
  Parameters parameters;
  AppendName(parameters, invite.name())
      .Bytes(invite.room_version())
      .Bytes(invite.sender())
      .Bytes(invite.origin())
      .Bytes(invite.pdu())
      .Bytes(invite.shown_state())
      .Integer(Now())
      .Integer(absl::ToUnixMillis(absl::Now() - kSettledInvitesKept))
      .Integer(kMostInvitesOfUser)
      .Integer(kMostInvitesOfOrigin)
      .Integer(kMostInvites);
  const auto rows = Ask(call, kKeepReceivedInvite, parameters);
  if (!rows.ok()) return rows.status();
  v1::KeepInviteResponse response;
  response.set_result(static_cast<v1::KeepInviteResponse::Result>(rows->Integer(0, 0)));
  response.set_pdu(rows->Bytes(0, 1));
  return response;
}

absl::StatusOr<v1::ListInvitesResponse> PostgresInviteStore::ListInvites(const rpc::CallContext& call,
                                                                         const v1::ListInvitesRequest& request) {
  Parameters parameters;
  parameters.Bytes(request.of().room_id())
      .Bytes(request.of().user_id())
      .Bytes(request.of().sender())
      .Bytes(request.of().server())
      .Boolean(request.settled());
  const auto rows = Ask(call, kReceivedInvites, AppendName(parameters, request.after()));
  if (!rows.ok()) return rows.status();
  v1::ListInvitesResponse response;
  for (std::size_t row = 0; row < rows->size(); ++row) *response.add_invites() = InviteIn(*rows, row);
  return response;
}

absl::StatusOr<v1::RejectInvitesResponse> PostgresInviteStore::RejectInvites(const rpc::CallContext& call,
                                                                             const v1::RejectInvitesRequest& request) {
  if (absl::Status status = CheckRejection(request); !status.ok()) return status;
  Parameters parameters;
  parameters.Bytes(request.of().room_id())
      .Bytes(request.of().user_id())
      .Bytes(request.of().sender())
      .Bytes(request.of().server())
      .Bytes(request.reason())
      .BytesArray(Strings(request.via()))
      .Integer(Now())
      .Integer(kMostRejected);
  const auto rows = Ask(call, kRejectReceivedInvites, parameters);
  if (!rows.ok()) return rows.status();
  v1::RejectInvitesResponse response;
  for (std::size_t row = 0; row < rows->size(); ++row) *response.add_rejected() = NameIn(*rows, row);
  return response;
}

absl::StatusOr<v1::WithdrawInviteResponse> PostgresInviteStore::WithdrawInvite(
    const rpc::CallContext& call, const v1::WithdrawInviteRequest& request) {
  Parameters parameters;
  AppendName(parameters, request.name()).Bytes(request.sender()).Integer(Now());
  const auto rows = Ask(call, kWithdrawReceivedInvite, parameters);
  if (!rows.ok()) return rows.status();
  v1::WithdrawInviteResponse response;
  response.set_withdrawn(rows->Boolean(0, 0));
  return response;
}

absl::StatusOr<v1::LeaseInviteLeavesResponse> PostgresInviteStore::LeaseInviteLeaves(
    const rpc::CallContext& call, const v1::LeaseInviteLeavesRequest& request) {
  if (absl::Status status = CheckLeaveLease(request); !status.ok()) return status;
  std::vector<std::string> rooms, users, events;
  for (const v1::InviteName& name : request.busy()) {
    rooms.push_back(name.room_id());
    users.push_back(name.user_id());
    events.push_back(name.event_id());
  }
  Parameters parameters;
  parameters.Bytes(request.holder())
      .Integer(request.milliseconds())
      .Integer(Now())
      .BytesArray(rooms)
      .BytesArray(users)
      .BytesArray(events)
      .Integer(request.most());
  const auto rows = Ask(call, kLeaseInviteLeaves, parameters);
  if (!rows.ok()) return rows.status();
  v1::LeaseInviteLeavesResponse response;
  for (std::size_t row = 0; row < rows->size(); ++row) {
    v1::ReceivedInvite& invite = *response.add_invites() = InviteIn(*rows, row);
    invite.set_pdu(rows->Bytes(row, kInvitePduColumn));
  }
  return response;
}

absl::StatusOr<v1::ReportInviteLeaveResponse> PostgresInviteStore::ReportInviteLeave(
    const rpc::CallContext& call, const v1::ReportInviteLeaveRequest& request) {
  if (absl::Status status = CheckLeaveReport(request); !status.ok()) return status;
  Parameters parameters;
  AppendName(parameters, request.name())
      .Bytes(request.holder())
      .Integer(request.outcome())
      .Bytes(request.error())
      .Integer(request.next_try_ms())
      .Integer(Now());
  const auto rows = Ask(call, kReportInviteLeave, parameters);
  if (!rows.ok()) return rows.status();
  v1::ReportInviteLeaveResponse response;
  response.set_taken(rows->Boolean(0, 0));
  return response;
}

}  // namespace postern::store
