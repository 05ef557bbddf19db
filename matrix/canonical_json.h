// Canonical JSON (appendices, "Canonical JSON"): the one spelling that servers hash and sign.
#pragma once

#include <string>

#include "matrix/json.h"

namespace postern::matrix {

/// The shortest spelling: no white space, keys sorted by code point, the fewest escapes. Odd numbers keep their text.
std::string CanonicalJson(const Json& value);
std::string CanonicalJson(const JsonObject& object);

/// Whether every number anywhere in `value` is an integer within ±(2^53−1), as room version 6 and later demand.
bool HasOnlyCanonicalNumbers(const Json& value);

}  // namespace postern::matrix
