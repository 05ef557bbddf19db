// Server ACLs (client-server API, "m.room.server_acl"): which servers may take part in a room.
#pragma once

#include <string_view>

#include "matrix/json.h"
#include "matrix/server_name.h"

namespace postern::matrix {

/// Whether `server` passes the content of the room's m.room.server_acl event. The port does not count; deny goes before
/// allow; an absent or odd-typed allow list allows nothing; allow_ip_literals is true unless it is `false`. Globs are
/// matched whole, without case, in time linear in all of them (server_glob.h). Where the room has no such event,
/// everybody passes: do not ask.
bool PassesServerAcl(const JsonObject& content, const ServerName& server);

}  // namespace postern::matrix
