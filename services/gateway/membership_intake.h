// The way in of a user's own leave, join or knock, from row 6 of "Answers of send_leave" on.
#pragma once

#include <functional>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/gateway/event_intake.h"
#include "services/gateway/membership_structure.h"

namespace postern::gateway {

class MissingEvents;

/// What stands between row 11 and the six steps, checked anew on every context. May add this server's signature.
using CheckMembership = std::function<absl::Status(OwnMembership& event, const store::v1::EventContext& context,
                                                   const matrix::RoomRules& rules)>;

struct TakenMembership {
  OwnMembership event;
  /// Accepted or soft-failed.
  matrix::v1::Outcome outcome;
};

/// Thread-safe.
class MembershipIntake {
 public:
  /// `missing_events` fetches prev events that are not known; nullptr: nobody does.
  MembershipIntake(Wanted wanted, IntakeServices services, MissingEvents* missing_events);

  /// The path of `request` names the room and the event. Refuses: what CheckMembershipStructure, `check` and
  /// EventIntake::Take refuse, kFederationForbidden, kEventIdMismatch, kEventIdTaken, kEventTooLarge.
  absl::StatusOr<TakenMembership> Take(AuthenticRequest& request, const CheckMembership& check);

 private:
  /// Rows 8-12. The outcome, if it is stored already.
  absl::StatusOr<std::optional<matrix::v1::Outcome>> CheckAll(OwnMembership& own,
                                                              const store::v1::EventContext& context,
                                                              const matrix::RoomRules& rules,
                                                              const CheckMembership& check);

  const Wanted wanted_;
  const EventSigner& signer_;
  KeyRing& key_ring_;
  MissingEvents* const missing_events_;
  RememberedAccess& access_;
  EventIntake intake_;
};

}  // namespace postern::gateway
