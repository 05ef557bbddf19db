// What tells a user which room it is who is invited to it or knocks on it (client-server API, "Stripped state"): the
// events themselves, as the server-server API wants them.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "matrix/json.h"
#include "postern/store/v1/store.pb.h"

namespace postern::gateway {

/// Adds the keys of that state, and that of m.room.server_acl, which decides whether it may be told. `inviter`: whose
/// membership is shown too; "" for nobody's.
void AskForShownState(store::v1::GetTemplateContextRequest& request, std::string_view inviter);

/// Of the current state, m.room.create first: it must be there. Refuses: kInternal where an event cannot be read.
absl::StatusOr<matrix::JsonArray> ShownState(const matrix::v1::JudgingContext& room, std::string_view inviter);

}  // namespace postern::gateway
