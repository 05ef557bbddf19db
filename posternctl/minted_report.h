// What is shown of an event that the gateway has just minted.
#pragma once

#include "absl/status/statusor.h"
#include "matrix/json.h"
#include "postern/gateway/v1/admin.pb.h"
#include "posternctl/commands.h"

namespace postern::posternctl {

matrix::JsonObject MintedJson(const gateway::v1::Minted& minted);

/// Its id, or all of it as JSON; or why there is none. Returns the exit status.
int PrintMinted(const GlobalOptions& global, const absl::StatusOr<gateway::v1::Minted>& minted);

}  // namespace postern::posternctl
