// Canonical JSON (appendices, "Canonical JSON"): the one spelling that servers hash and sign.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "matrix/json.h"

namespace postern::matrix {

/// The shortest spelling: no white space, keys sorted by code point, the fewest escapes. Odd numbers keep their text.
std::string CanonicalJson(const Json& value);
std::string CanonicalJson(const JsonObject& object);

/// The same of `object` without the members of those names: what is hashed or signed of it.
std::string CanonicalJsonWithout(const JsonObject& object, std::initializer_list<std::string_view> left_out);

/// Whether every number anywhere in `value` is an integer within ±(2^53−1), as room version 6 and later demand.
bool HasOnlyCanonicalNumbers(const Json& value);

}  // namespace postern::matrix
