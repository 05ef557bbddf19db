#include "services/gateway/leave_route.h"

#include <utility>

#include "matrix/auth_events.h"
#include "matrix/event_id.h"
#include "matrix/refusal.h"
#include "services/gateway/missing_events.h"
#include "services/gateway/room_access.h"

namespace postern::gateway {
namespace {

using matrix::JsonObject;
using matrix::Reason;
using matrix::Refuse;
using matrix::RoomRules;
using matrix::v1::Outcome;
using store::v1::EventContext;

IncomingEvent IncomingOf(const Leave& leave, const AuthenticRequest& request) {
  const Exchange& exchange = request.exchange();
  return {.json = leave.json(),
          .pdu = leave.pdu(),
          .room_id = leave.room_id(),
          .event_id = leave.claimed_event_id(),
          .sender = leave.sender().text(),
          .prev_events = leave.prev_events(),
          .auth_events = leave.auth_events(),
          .state_keys = matrix::KeysForLeave(leave.sender().text()),
          .own_key = matrix::StateKey{"m.room.member", leave.sender().text()},
          .origin = leave.origin(),
          .origin_keys = request.origin_keys(),
          .client_address = exchange.request().remote_address,
          .received_at = exchange.received_at(),
          .keys_until = exchange.call().deadline,
          .countersign = true,
          .check = {}};
}

/// Rows 7 (what of it needs the version), 8 and 9.
absl::Status CheckRoom(const Leave& leave, const EventContext& context, const RoomRules& rules) {
  if (absl::Status status = CheckEventIdServer(leave, rules); !status.ok()) return status;
  if (absl::Status status = CheckRoomAccess(context.judging(), leave.origin()); !status.ok()) return status;
  if (matrix::ComputeEventId(leave.json(), rules) != leave.claimed_event_id()) {
    return Refuse(Reason::kEventIdMismatch, "the event's id is not the one in the path");
  }
  return absl::OkStatus();
}

/// Row 10: what is stored of this very event, or nullopt if it has to be judged. Refuses: kEventIdTaken.
absl::StatusOr<std::optional<Outcome>> AlreadyStored(const Leave& leave, const EventContext& context,
                                                     const RoomRules& rules) {
  const auto existing = StoredAlready(leave.json(), context, rules);
  if (!existing.ok()) return existing.status();
  if (*existing == nullptr) return std::nullopt;
  const auto stored = matrix::ParseJson((*existing)->pdu());  // has been read before: it is an object
  if (!SameSignatures(leave.json(), *stored->AsObject(), leave.sender().server().text())) return std::nullopt;
  return (*existing)->outcome();
}

/// Row 12.
absl::Status CheckMembership(const EventContext& context) {
  const std::string& now = context.sender_membership();
  if (now == "join" || now == "invite" || now == "knock") return absl::OkStatus();
  if (now == "leave") return Refuse(Reason::kAlreadyLeft, "the sender has left the room");
  return Refuse(Reason::kNotAMember,
                now == "ban" ? "the sender is banned from the room" : "the sender is not in the room");
}

}  // namespace

LeaveRoute::LeaveRoute(LeaveApi api, LeaveServices services, MissingEvents* missing_events)
    : api_(api),
      signer_(services.signer),
      key_ring_(services.key_ring),
      missing_events_(missing_events),
      intake_(std::move(services)) {}

absl::StatusOr<http::Response> LeaveRoute::Handle(AuthenticRequest request) {
  const auto outcome = Submit(request);
  if (!outcome.ok()) return outcome.status();
  return http::Response{.status = 200, .headers = {}, .body = api_ == LeaveApi::kV1 ? "[200,{}]" : "{}"};
}

absl::StatusOr<Outcome> LeaveRoute::Submit(AuthenticRequest& request) {
  Exchange& exchange = request.exchange();
  const auto& path = exchange.path_arguments();
  const auto leave = CheckLeaveStructure(request, path[0], path[1]);  // rows 6, 7
  if (!leave.ok()) return leave.status();
  IncomingEvent event = IncomingOf(*leave, request);
  event.check = [&](const EventContext& context, const RoomRules& rules) { return Check(*leave, context, rules); };
  if (missing_events_ != nullptr) {
    event.fetch_missing = [&](const EventContext& context, const RoomRules& rules) {
      return missing_events_->Fetch(exchange.call(), event, context, rules);
    };
  }
  return intake_.Take(exchange.call(), event, exchange.notes().verdict);  // rows 13-16
}

absl::StatusOr<std::optional<Outcome>> LeaveRoute::Check(const Leave& leave, const EventContext& context,
                                                         const RoomRules& rules) {
  if (absl::Status status = CheckRoom(leave, context, rules); !status.ok()) return status;  // rows 8, 9
  key_ring_.Keep(leave.origin());
  const auto stored_before = AlreadyStored(leave, context, rules);  // row 10
  if (!stored_before.ok() || *stored_before) return stored_before;
  if (signer_.CountersignedBytes(leave.json(), leave.submitted_bytes()) > matrix::kMaxEventBytes) {  // row 11
    return Refuse(Reason::kEventTooLarge, "with this server's signature the event is over 65,536 bytes");
  }
  if (absl::Status status = CheckMembership(context); !status.ok()) return status;  // row 12
  return std::nullopt;
}

}  // namespace postern::gateway
