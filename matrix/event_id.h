// The name a room gives an event (room version documents, "Event IDs").
#pragma once

#include <string>

#include "matrix/json.h"
#include "matrix/room_rules.h"

namespace postern::matrix {

/// SHA-256 (32 bytes) of the redacted event without `signatures` and `unsigned` ("Calculating the reference hash for an
/// event").
std::string ReferenceHash(const JsonObject& event, const RoomRules& rules);

/// The id of `event` under `rules`. From room version 3 it is `$` and the unpadded base64 of the reference hash (44
/// bytes; URL-safe alphabet from version 4). In versions 1 and 2 the event carries its id; "" if it does not.
std::string ComputeEventId(const JsonObject& event, const RoomRules& rules);

}  // namespace postern::matrix
