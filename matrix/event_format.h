// Step 1: structure and limits of a PDU as received. No hashes, signatures or auth rules.
#pragma once

#include "absl/status/status.h"
#include "matrix/json.h"
#include "matrix/room_rules.h"

namespace postern::matrix {

/// OK, or kBadFormat naming the member and what was expected. Limits: 65,536 bytes of canonical JSON, signatures and
/// unsigned included; ids and type 255 bytes of UTF-8; 10 auth events, 20 prev events; depth as the version has it.
absl::Status CheckEventFormat(const Json& event, const RoomRules& rules);

}  // namespace postern::matrix
