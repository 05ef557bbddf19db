// Requests about invites, checked, and their bounds: the same for PostgreSQL and for the fake of the tests.
#pragma once

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "postern/store/v1/received_invites.pb.h"

namespace postern::store {

/// Invites that are kept, settled ones among them: of one user, of one origin, in all.
inline constexpr int kMostInvitesOfUser = 1'000;
inline constexpr int kMostInvitesOfOrigin = 2'000;
inline constexpr int kMostInvites = 20'000;
/// How long those that are settled are kept.
inline constexpr absl::Duration kSettledInvitesKept = absl::Hours(7 * 24);
/// How many are told, and how many rejected, at a time.
inline constexpr int kInvitesOfPage = 200;
inline constexpr int kMostRejected = 500;

/// Refuse: kInvalidArgument.
absl::Status CheckInvite(const v1::KeepInviteRequest& request);
absl::Status CheckRejection(const v1::RejectInvitesRequest& request);
absl::Status CheckLeaveLease(const v1::LeaseInviteLeavesRequest& request);
absl::Status CheckLeaveReport(const v1::ReportInviteLeaveRequest& request);

}  // namespace postern::store
