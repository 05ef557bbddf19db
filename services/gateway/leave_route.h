// PUT /_matrix/federation/v1|v2/send_leave/{roomId}/{eventId}: the way of a leave, from row 6 of the table on.
#pragma once

#include "services/gateway/event_intake.h"
#include "services/gateway/leave_structure.h"
#include "services/gateway/route.h"

namespace postern::gateway {

class MissingEvents;

enum class LeaveApi { kV1, kV2 };

/// What both versions of the route share.
using LeaveServices = IntakeServices;

class LeaveRoute : public PeerRoute {
 public:
  /// `missing_events` fetches prev events that are not known; nullptr: nobody does.
  LeaveRoute(LeaveApi api, LeaveServices services, MissingEvents* missing_events = nullptr);

  absl::StatusOr<http::Response> Handle(AuthenticRequest request) override;

 private:
  absl::StatusOr<matrix::v1::Outcome> Submit(AuthenticRequest& request);
  /// Rows 8-12. The outcome, if it is stored already.
  absl::StatusOr<std::optional<matrix::v1::Outcome>> Check(const Leave& leave, const store::v1::EventContext& context,
                                                           const matrix::RoomRules& rules);

  const LeaveApi api_;
  const EventSigner& signer_;
  KeyRing& key_ring_;
  MissingEvents* const missing_events_;
  EventIntake intake_;
};

}  // namespace postern::gateway
