// What another server publishes about its keys (server-server API, "Publishing Keys"), believed only as far as it
// proves itself.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "matrix/server_name.h"
#include "matrix/signature.h"

namespace postern::gateway {

inline constexpr std::size_t kMaxKeyDocumentBytes = 64 * 1024;
inline constexpr std::size_t kMaxKeysOfAServer = 64;

/// The keys in `document`, which `server` was asked for at `now`. Every ed25519 key of `verify_keys` must have signed
/// it; keys of other algorithms are skipped, keys that are known to the world too (pitfall K07). Refuses:
/// kOriginKeyUnavailable for a document that is broken, of another server, unsigned, without a key, or over its time.
absl::StatusOr<matrix::ServerKeys> ReadKeyDocument(std::string_view document, const matrix::ServerName& server,
                                                   absl::Time now);

}  // namespace postern::gateway
