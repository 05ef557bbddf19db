#include "tests/support/fake_received_invites.h"

#include <algorithm>
#include <set>
#include <vector>

#include "services/store/invite_request.h"

namespace postern::support {
namespace {

namespace v1 = store::v1;

std::int64_t Now() { return absl::ToUnixMillis(absl::Now()); }

bool IsSettled(const v1::ReceivedInvite& invite) { return invite.state() > v1::INVITE_STATE_LEAVING; }

bool Meets(const v1::ReceivedInvite& invite, const v1::InviteConditions& of) {
  return (of.room_id().empty() || of.room_id() == invite.name().room_id()) &&
         (of.user_id().empty() || of.user_id() == invite.name().user_id()) &&
         (of.sender().empty() || of.sender() == invite.sender()) &&
         (of.server().empty() || of.server() == invite.origin());
}

void Settle(v1::ReceivedInvite& invite, v1::InviteState state) {
  invite.set_state(state);
  invite.set_changed_at_ms(Now());
  invite.clear_next_try_ms();
  invite.clear_holder();
}

std::tuple<std::string, std::string, std::string> KeyOf(const v1::InviteName& name) {
  return {name.room_id(), name.user_id(), name.event_id()};
}

}  // namespace

template <typename Counts>
bool FakeReceivedInvites::MakeRoom(int most, Counts counts) {
  int count = 0;
  auto oldest = rows_.end();
  for (auto row = rows_.begin(); row != rows_.end(); ++row) {
    if (!counts(row->second.invite)) continue;
    ++count;
    if (!IsSettled(row->second.invite)) continue;
    const bool older =
        oldest == rows_.end() || row->second.invite.changed_at_ms() < oldest->second.invite.changed_at_ms();
    if (older) oldest = row;
  }
  if (count < most) return true;
  if (oldest == rows_.end()) return false;
  rows_.erase(oldest);
  return true;
}

absl::StatusOr<v1::KeepInviteResponse> FakeReceivedInvites::KeepInvite(const rpc::CallContext&,
                                                                       const v1::KeepInviteRequest& request) {
  if (absl::Status status = store::CheckInvite(request); !status.ok()) return status;
  const std::lock_guard lock(mutex_);
  v1::KeepInviteResponse response;
  const v1::ReceivedInvite& given = request.invite();
  if (const auto known = rows_.find(KeyOf(given.name())); known != rows_.end()) {
    response.set_result(v1::KeepInviteResponse::RESULT_KNOWN);
    response.set_pdu(known->second.invite.pdu());
    return response;
  }
  const std::int64_t oldest = absl::ToUnixMillis(absl::Now() - store::kSettledInvitesKept);
  std::erase_if(rows_, [&](const auto& row) {
    return IsSettled(row.second.invite) && row.second.invite.changed_at_ms() < oldest;
  });
  const auto of_user = [&](const v1::ReceivedInvite& invite) {
    return invite.name().user_id() == given.name().user_id();
  };
  const auto of_origin = [&](const v1::ReceivedInvite& invite) { return invite.origin() == given.origin(); };
  if (!MakeRoom(store::kMostInvitesOfUser, of_user)) {
    response.set_result(v1::KeepInviteResponse::RESULT_USER_FULL);
  } else if (!MakeRoom(store::kMostInvitesOfOrigin, of_origin)) {
    response.set_result(v1::KeepInviteResponse::RESULT_ORIGIN_FULL);
  } else if (!MakeRoom(store::kMostInvites, [](const auto&) { return true; })) {
    response.set_result(v1::KeepInviteResponse::RESULT_FULL);
  }
  if (response.result() != v1::KeepInviteResponse::RESULT_UNSPECIFIED) return response;
  for (auto& [key, row] : rows_) {
    const v1::InviteName& name = row.invite.name();
    const bool same = name.room_id() == given.name().room_id() && name.user_id() == given.name().user_id() &&
                      row.invite.sender() == given.sender();
    if (!same || IsSettled(row.invite)) continue;
    Settle(row.invite, v1::INVITE_STATE_WITHDRAWN);
    row.invite.set_last_error("another invite followed");
  }
  Row& row = rows_[KeyOf(given.name())];
  row.invite = given;
  row.invite.set_state(v1::INVITE_STATE_OPEN);
  row.invite.set_received_at_ms(Now());
  row.invite.set_changed_at_ms(Now());
  response.set_result(v1::KeepInviteResponse::RESULT_KEPT);
  response.set_pdu(given.pdu());
  return response;
}

absl::StatusOr<v1::ListInvitesResponse> FakeReceivedInvites::ListInvites(const rpc::CallContext&,
                                                                         const v1::ListInvitesRequest& request) {
  const std::lock_guard lock(mutex_);
  v1::ListInvitesResponse response;
  for (auto row = rows_.upper_bound(KeyOf(request.after()));
       row != rows_.end() && response.invites_size() < store::kInvitesOfPage; ++row) {
    const v1::ReceivedInvite& invite = row->second.invite;
    if (!Meets(invite, request.of()) || (IsSettled(invite) && !request.settled())) continue;
    v1::ReceivedInvite& listed = *response.add_invites() = invite;
    listed.clear_pdu();
    if (!row->second.IsHeld()) listed.clear_holder();
  }
  return response;
}

absl::StatusOr<v1::RejectInvitesResponse> FakeReceivedInvites::RejectInvites(const rpc::CallContext&,
                                                                             const v1::RejectInvitesRequest& request) {
  if (absl::Status status = store::CheckRejection(request); !status.ok()) return status;
  const std::lock_guard lock(mutex_);
  const bool named = !request.of().room_id().empty() && !request.of().user_id().empty();
  v1::RejectInvitesResponse response;
  for (auto& [key, row] : rows_) {
    v1::ReceivedInvite& invite = row.invite;
    const bool again =
        named && (invite.state() == v1::INVITE_STATE_LEAVING || invite.state() == v1::INVITE_STATE_LEFT_HERE);
    if (!(invite.state() == v1::INVITE_STATE_OPEN || again) || !Meets(invite, request.of())) continue;
    if (response.rejected_size() == store::kMostRejected) break;
    if (invite.state() != v1::INVITE_STATE_LEAVING) invite.set_changed_at_ms(Now());
    invite.set_state(v1::INVITE_STATE_LEAVING);
    invite.set_reason(request.reason());
    *invite.mutable_via() = request.via();
    invite.set_next_try_ms(Now());
    invite.set_denials(0);
    *response.add_rejected() = invite.name();
  }
  return response;
}

absl::StatusOr<v1::WithdrawInviteResponse> FakeReceivedInvites::WithdrawInvite(
    const rpc::CallContext&, const v1::WithdrawInviteRequest& request) {
  const std::lock_guard lock(mutex_);
  v1::WithdrawInviteResponse response;
  const auto row = rows_.find(KeyOf(request.name()));
  if (row == rows_.end() || row->second.invite.sender() != request.sender() || IsSettled(row->second.invite)) {
    return response;
  }
  Settle(row->second.invite, v1::INVITE_STATE_WITHDRAWN);
  response.set_withdrawn(true);
  return response;
}

bool FakeReceivedInvites::AnotherIsOpen(const v1::ReceivedInvite& than) const {
  return std::ranges::any_of(rows_, [&than](const auto& row) {
    const v1::ReceivedInvite& invite = row.second.invite;
    return invite.state() == v1::INVITE_STATE_OPEN && invite.name().room_id() == than.name().room_id() &&
           invite.name().user_id() == than.name().user_id();
  });
}

absl::StatusOr<v1::LeaseInviteLeavesResponse> FakeReceivedInvites::LeaseInviteLeaves(
    const rpc::CallContext&, const v1::LeaseInviteLeavesRequest& request) {
  if (absl::Status status = store::CheckLeaveLease(request); !status.ok()) return status;
  const std::lock_guard lock(mutex_);
  const absl::Time until = absl::Now() + absl::Milliseconds(request.milliseconds());
  std::set<Key> busy;
  for (const v1::InviteName& name : request.busy()) busy.insert(KeyOf(name));
  std::multimap<std::int64_t, Row*> due;
  for (auto& [key, row] : rows_) {
    v1::ReceivedInvite& invite = row.invite;
    const bool mine = invite.holder() == request.holder();
    if (request.milliseconds() == 0) {
      if (mine) invite.clear_holder();
    } else if (busy.contains(key)) {
      if (mine) row.held_until = until;
    } else if (invite.has_next_try_ms() && invite.next_try_ms() <= Now() && (mine || !row.IsHeld()) &&
               !AnotherIsOpen(invite)) {
      due.emplace(invite.next_try_ms(), &row);
    }
  }
  v1::LeaseInviteLeavesResponse response;
  for (const auto& [at, row] : due) {
    if (response.invites_size() == static_cast<int>(request.most())) break;
    row->invite.set_holder(request.holder());
    row->held_until = until;
    *response.add_invites() = row->invite;
  }
  return response;
}

absl::StatusOr<v1::ReportInviteLeaveResponse> FakeReceivedInvites::ReportInviteLeave(
    const rpc::CallContext&, const v1::ReportInviteLeaveRequest& request) {
  if (absl::Status status = store::CheckLeaveReport(request); !status.ok()) return status;
  using Report = v1::ReportInviteLeaveRequest;
  const std::lock_guard lock(mutex_);
  v1::ReportInviteLeaveResponse response;
  const auto row = rows_.find(KeyOf(request.name()));
  if (row == rows_.end() || row->second.invite.state() != v1::INVITE_STATE_LEAVING) return response;
  v1::ReceivedInvite& invite = row->second.invite;
  if (request.outcome() != Report::OUTCOME_LEFT && invite.holder() != request.holder()) return response;
  const bool denied = request.outcome() == Report::OUTCOME_DENIED || request.outcome() == Report::OUTCOME_LEFT_HERE;
  invite.set_denials(denied ? invite.denials() + 1 : 0);
  if (request.outcome() != Report::OUTCOME_LEFT) invite.set_attempts(invite.attempts() + 1);
  invite.set_last_error(request.error());
  if (request.outcome() == Report::OUTCOME_LEFT) {
    Settle(invite, v1::INVITE_STATE_LEFT);
  } else if (request.outcome() == Report::OUTCOME_LEFT_HERE) {
    Settle(invite, v1::INVITE_STATE_LEFT_HERE);
  } else {
    invite.set_next_try_ms(request.next_try_ms());
    invite.clear_holder();
  }
  response.set_taken(true);
  return response;
}

}  // namespace postern::support
