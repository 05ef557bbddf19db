// The validator's answers, as pure functions of the request: nothing here knows of threads, calls or time.
#pragma once

#include "absl/status/status.h"
#include "postern/validator/v1/validator.pb.h"
#include "services/validator/recurring_events.h"

namespace postern::validator {

/// The six steps. OK whatever the verdict says. Refuses: kUnsupportedVersion, kInvalidArgument, kStateUnresolved.
absl::Status Validate(const v1::ValidateRequest& request, v1::ValidateResponse& response);
/// The same, where many are judged: what their contexts have in common is read once.
absl::Status Validate(const v1::ValidateRequest& request, RecurringEvents& recurring, v1::ValidateResponse& response);

/// The verdict of Validate on the same request, and the state that it turned on. Refuses what Validate refuses.
absl::Status Explain(const v1::ValidateRequest& request, v1::ExplainResponse& response);

/// The auth rules alone, against the events cited and against `state_now`. Refuses: kUnsupportedVersion,
/// kInvalidArgument, kBadFormat.
absl::Status Authorize(const v1::AuthorizeRequest& request, v1::AuthorizeResponse& response);

}  // namespace postern::validator
