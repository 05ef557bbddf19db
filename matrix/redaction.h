// The redaction algorithm of each room version ("Redactions").
#pragma once

#include <string>

#include "matrix/json.h"
#include "matrix/room_rules.h"

namespace postern::matrix {

/// The event cut down to what its version protects. Adds nothing, drops `unsigned`; a `content` that
/// is no object becomes an empty one.
JsonObject Redact(const JsonObject& event, const RoomRules& rules);

/// The canonical JSON of that without `signatures` and `unsigned`: what is hashed for an event's id, and what is signed
/// of it. Without the copy, which would cost more than all that is done with it.
std::string CanonicalRedacted(const JsonObject& event, const RoomRules& rules);

}  // namespace postern::matrix
