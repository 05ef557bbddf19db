// PUT /_matrix/federation/v1|v2/send_leave/{roomId}/{eventId}: the way of a leave, from row 6 of the table on.
#pragma once

#include "services/gateway/membership_intake.h"
#include "services/gateway/route.h"

namespace postern::gateway {

enum class LeaveApi { kV1, kV2 };

/// What both versions of the route share.
using LeaveServices = IntakeServices;

class LeaveRoute : public PeerRoute {
 public:
  /// `missing_events` fetches prev events that are not known; nullptr: nobody does.
  LeaveRoute(LeaveApi api, LeaveServices services, MissingEvents* missing_events = nullptr);

  absl::StatusOr<http::Response> Handle(AuthenticRequest request) override;

 private:
  const LeaveApi api_;
  MembershipIntake intake_;
};

}  // namespace postern::gateway
