// The redaction algorithm of each room version ("Redactions").
#pragma once

#include "matrix/json.h"
#include "matrix/room_rules.h"

namespace postern::matrix {

/// The event cut down to what its version protects. Adds nothing, drops `unsigned`; a `content` that
/// is no object becomes an empty one.
JsonObject Redact(const JsonObject& event, const RoomRules& rules);

}  // namespace postern::matrix
