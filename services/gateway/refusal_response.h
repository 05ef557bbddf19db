// What a refusal looks like to a peer: the one place that writes error JSON.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "http/http_message.h"
#include "matrix/refusal.h"

namespace postern::gateway {

/// A refusal that says when to come back.
absl::Status RefuseUntil(matrix::Reason reason, std::string_view detail, absl::Duration retry_after);

/// kIncompatibleVersion, with the version that the room has.
absl::Status RefuseVersion(std::string_view room_version);

/// Status, errcode and plain words for `why`. A 401 says only that authentication failed, a 503 only what kind of
/// trouble this is: the log has the rest. A 429 and a 503 carry `Retry-After`
/// and `retry_after_ms`: what RefuseUntil said, else a second. What
/// RefuseVersion made has `room_version`.
http::Response RefusalResponse(const absl::Status& why);

/// The words alone, for an answer that holds several: at most 256 bytes of printable ASCII.
std::string RefusalText(const absl::Status& why);

}  // namespace postern::gateway
