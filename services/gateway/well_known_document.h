// What a host says at /.well-known/matrix/server, and for how long it is believed ("Resolving server names", step 3).
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "http/http_message.h"
#include "matrix/server_name.h"
#include "services/gateway/srv_order.h"

namespace postern::gateway {

inline constexpr std::size_t kMaxWellKnownBytes = 50 * 1024;

inline constexpr absl::Duration kShortestBelief = absl::Minutes(5);
inline constexpr absl::Duration kLongestBelief = absl::Hours(48);

/// The delegated server name: `m.server` of a JSON object. Refuses: kInvalidArgument for anything else.
absl::StatusOr<matrix::ServerName> ReadWellKnown(std::string_view body);

/// How long an answer with these headers is believed from `now` on: Cache-Control's max-age before Expires, less the
/// Age that it had already, 24 hours where neither is given; then at most a tenth less, by chance, so that what was
/// learned at one time is not asked for at one time; within the two bounds above.
absl::Duration WellKnownLifetime(const http::Headers& headers, absl::Time now, const Chance& chance);

/// How long a host is not asked again after `failures` (1 or more) without a success: 5 minutes, doubled each time up
/// to an hour, and the same tenth.
absl::Duration WellKnownBackoff(int failures, const Chance& chance);

}  // namespace postern::gateway
