// Step 2: the content hash ("Calculating the content hash for an event").
#pragma once

#include <string>
#include <string_view>

#include "matrix/json.h"

namespace postern::matrix {

/// 32 bytes.
std::string Sha256(std::string_view bytes);

/// SHA-256 (32 bytes) of the canonical JSON of the event without `unsigned`, `signatures` and `hashes`.
std::string ContentHash(const JsonObject& event);

/// Whether hashes.sha256 is there, decodes, and is the content hash.
bool ContentHashMatches(const JsonObject& event);

}  // namespace postern::matrix
