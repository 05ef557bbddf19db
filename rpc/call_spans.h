// The spans of calls between services, at both ends.
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "rpc/call_context.h"

namespace postern::rpc {

/// At the calling end: `call`, whose span is its own, was made within `caller` and has just ended.
void SayCalled(const CallContext& caller, const CallContext& call, std::string_view name, absl::Time begun,
               const absl::Status& status);

/// At the serving end: `call`, as it came, has just been answered.
void SayServed(const CallContext& call, std::string_view name, absl::Time begun, const absl::Status& status);

}  // namespace postern::rpc
