// Row 8 of "Answers of send_leave": whether a server may take part in a room.
#pragma once

#include "absl/status/statusor.h"
#include "matrix/json.h"
#include "matrix/room_rules.h"
#include "matrix/server_name.h"
#include "postern/matrix/v1/judging.pb.h"

namespace postern::gateway {

/// The rules of the room's version. Refuses: kUnsupportedVersion.
absl::StatusOr<const matrix::RoomRules*> RulesOfRoom(const matrix::v1::JudgingContext& room);

/// `m.federate` is not false, and `server` passes the room's m.room.server_acl, as the current state has them. Refuses:
/// kFederationForbidden; kInternal if the context holds no create event, or not the ACL that the state names.
absl::Status CheckRoomAccess(const matrix::v1::JudgingContext& room, const matrix::ServerName& server);

/// The event that holds (type, state_key) in the room's current state as the context has it; nullptr if there is none.
const matrix::v1::StoredEvent* CurrentStateEvent(const matrix::v1::JudgingContext& room, std::string_view type,
                                                 std::string_view state_key);

/// No step of judging an event reads the server ACL, which in large rooms is the largest event that a context holds:
/// takes it out of what is sent to be judged, unless judging goes through all events of the context: where there are
/// branches, and in versions 1 and 2. If the context cites it, too, it stays among the events. Not for an event that is
/// an ACL.
void LeaveOutServerAcl(matrix::v1::JudgingContext& context);

}  // namespace postern::gateway
