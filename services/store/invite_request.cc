#include "services/store/invite_request.h"

#include <algorithm>

#include "matrix/identifiers.h"
#include "matrix/refusal.h"

namespace postern::store {
namespace {

using matrix::Reason;
using matrix::Refuse;

constexpr std::size_t kLongestPart = 65536;
constexpr std::size_t kLongestReason = 2048;
constexpr std::size_t kLongestError = 1024;
constexpr int kMostVia = 10;
constexpr std::uint32_t kLongestLease = 60'000;
constexpr int kMostLeased = 100;

absl::Status Invalid(std::string_view what) { return Refuse(Reason::kInvalidArgument, what); }

bool IsShort(std::string_view text) { return !text.empty() && text.size() <= matrix::kMaxIdentifierBytes; }

}  // namespace

absl::Status CheckInvite(const v1::KeepInviteRequest& request) {
  const v1::ReceivedInvite& invite = request.invite();
  const v1::InviteName& name = invite.name();
  if (!IsShort(name.room_id()) || !IsShort(name.user_id()) || !IsShort(name.event_id())) {
    return Invalid("an invite has a room, a user and an event id of at most 255 bytes");
  }
  if (!IsShort(invite.room_version()) || !IsShort(invite.sender()) || !IsShort(invite.origin())) {
    return Invalid("an invite has a room version, a sender and an origin of at most 255 bytes");
  }
  if (invite.pdu().empty() || invite.pdu().size() > kLongestPart || invite.shown_state().size() > kLongestPart) {
    return Invalid("an invite has a PDU, and a shown state, of at most 64 KiB");
  }
  return absl::OkStatus();
}

absl::Status CheckRejection(const v1::RejectInvitesRequest& request) {
  const v1::InviteConditions& of = request.of();
  const bool any = !of.room_id().empty() || !of.user_id().empty() || !of.sender().empty() || !of.server().empty();
  if (any == request.all()) return Invalid("either conditions, or all");
  if (request.reason().size() > kLongestReason) return Invalid("a reason has at most 2 KiB");
  const bool all_short = std::ranges::all_of(request.via(), [](const std::string& server) { return IsShort(server); });
  if (request.via_size() > kMostVia || !all_short) return Invalid("at most 10 servers to ask first");
  return absl::OkStatus();
}

absl::Status CheckLeaveLease(const v1::LeaseInviteLeavesRequest& request) {
  if (request.holder().empty()) return Invalid("a lease has a holder");
  if (request.milliseconds() > kLongestLease) return Invalid("a lease is for a minute at most");
  if (request.busy_size() > kMostLeased || request.most() > static_cast<std::uint32_t>(kMostLeased)) {
    return Invalid("at most 100 leaves");
  }
  return absl::OkStatus();
}

absl::Status CheckLeaveReport(const v1::ReportInviteLeaveRequest& request) {
  const auto outcome = request.outcome();
  if (outcome < v1::ReportInviteLeaveRequest::OUTCOME_LEFT ||
      outcome > v1::ReportInviteLeaveRequest::OUTCOME_LEFT_HERE) {
    return Invalid("a report has an outcome");
  }
  const bool goes_on = outcome == v1::ReportInviteLeaveRequest::OUTCOME_DENIED ||
                       outcome == v1::ReportInviteLeaveRequest::OUTCOME_FAILED;
  if (goes_on && request.next_try_ms() <= 0) return Invalid("what goes on has a next try");
  if (request.error().size() > kLongestError) return Invalid("an error has at most 1 KiB");
  return absl::OkStatus();
}

}  // namespace postern::store
