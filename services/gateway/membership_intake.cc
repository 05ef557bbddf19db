#include "services/gateway/membership_intake.h"

#include <utility>

#include "matrix/auth_events.h"
#include "matrix/event_id.h"
#include "matrix/refusal.h"
#include "services/gateway/missing_events.h"
#include "services/gateway/room_access.h"

namespace postern::gateway {
namespace {

using matrix::Reason;
using matrix::Refuse;
using matrix::RoomRules;
using matrix::v1::Outcome;
using store::v1::EventContext;

IncomingEvent IncomingOf(const OwnMembership& event, const AuthenticRequest& request) {
  const Exchange& exchange = request.exchange();
  const std::string& sender = event.sender().text();
  return {.json = event.json(),
          .pdu = event.pdu(),
          .room_id = event.room_id(),
          .event_id = event.claimed_event_id(),
          .sender = sender,
          .prev_events = event.prev_events(),
          .auth_events = event.auth_events(),
          .state_keys = event.wanted() == Wanted::kLeave ? matrix::KeysForLeave(sender)
                                                         : matrix::KeysForJoin(sender, event.voucher()),
          .own_key = matrix::StateKey{"m.room.member", sender},
          .origin = event.origin(),
          .origin_keys = request.origin_keys(),
          .client_address = exchange.request().remote_address,
          .received_at = exchange.received_at(),
          .keys_until = exchange.call().deadline,
          .countersign = true,
          .by_turns = event.wanted() != Wanted::kLeave,
          .check = {}};
}

/// Rows 7 (what of it needs the version), 8 and 9.
absl::Status CheckRoom(const OwnMembership& event, const EventContext& context, const RoomRules& rules,
                       RememberedAccess& access) {
  if (absl::Status status = CheckEventIdServer(event, rules); !status.ok()) return status;
  if (absl::Status status = access.Check(context.judging(), event.origin()); !status.ok()) return status;
  if (matrix::ComputeEventId(event.json(), rules) != event.claimed_event_id()) {
    return Refuse(Reason::kEventIdMismatch, "the event's id is not the one in the path");
  }
  return absl::OkStatus();
}

/// Row 10: what is stored of this very event, or nullopt if it has to be judged. Refuses: kEventIdTaken.
absl::StatusOr<std::optional<Outcome>> AlreadyStored(const OwnMembership& event, const EventContext& context,
                                                     const RoomRules& rules) {
  const auto existing = StoredAlready(event.json(), context, rules);
  if (!existing.ok()) return existing.status();
  if (*existing == nullptr) return std::nullopt;
  const auto stored = matrix::ParseJson((*existing)->pdu());  // has been read before: it is an object
  if (!SameSignatures(event.json(), *stored->AsObject(), event.sender().server().text())) return std::nullopt;
  return (*existing)->outcome();
}

}  // namespace

MembershipIntake::MembershipIntake(Wanted wanted, IntakeServices services, MissingEvents* missing_events)
    : wanted_(wanted),
      signer_(services.signer),
      key_ring_(services.key_ring),
      missing_events_(missing_events),
      access_(services.access),
      intake_(std::move(services)) {}

absl::StatusOr<TakenMembership> MembershipIntake::Take(AuthenticRequest& request, const CheckMembership& check) {
  Exchange& exchange = request.exchange();
  const auto& path = exchange.path_arguments();
  auto own = CheckMembershipStructure(request, wanted_, path[0], path[1]);  // rows 6, 7
  if (!own.ok()) return own.status();
  IncomingEvent event = IncomingOf(*own, request);
  event.check = [&](const EventContext& context, const RoomRules& rules) {
    return CheckAll(*own, context, rules, check);
  };
  if (missing_events_ != nullptr) {
    event.fetch_missing = [&](const EventContext& context, const RoomRules& rules) {
      return missing_events_->Fetch(exchange.call(), event, context, rules);
    };
  }
  const auto outcome = intake_.Take(exchange.call(), event, exchange.notes().verdict);  // rows 13-16
  if (!outcome.ok()) return outcome.status();
  return TakenMembership{*std::move(own), *outcome};
}

absl::StatusOr<std::optional<Outcome>> MembershipIntake::CheckAll(OwnMembership& own, const EventContext& context,
                                                                  const RoomRules& rules,
                                                                  const CheckMembership& check) {
  if (absl::Status status = CheckRoom(own, context, rules, access_); !status.ok()) return status;  // rows 8, 9
  key_ring_.Keep(own.origin());
  const auto stored_before = AlreadyStored(own, context, rules);  // row 10
  if (!stored_before.ok() || *stored_before) return stored_before;
  if (signer_.CountersignedBytes(own.json(), own.submitted_bytes()) > matrix::kMaxEventBytes) {  // row 11
    return Refuse(Reason::kEventTooLarge, "with this server's signature the event is over 65,536 bytes");
  }
  if (absl::Status status = check(own, context, rules); !status.ok()) return status;  // row 12
  return std::nullopt;
}

}  // namespace postern::gateway
