// Canonical JSON (appendices, "Canonical JSON"): the one spelling that servers hash and sign.
#pragma once

#include <cstddef>
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

/// Writes an object whose members come one by one, in the order of their keys: for whoever leaves some out, or has them
/// elsewhere than in a JsonObject, and would copy them otherwise.
class CanonicalObjectWriter {
 public:
  /// Appends to `out`, which outlives the writer.
  explicit CanonicalObjectWriter(std::string& out) : out_(out) { out_ += '{'; }

  void Add(std::string_view key, const Json& value);
  void Add(std::string_view key, std::string_view text);
  /// The value is what is appended to `out` before the next member, or the end.
  void BeginMember(std::string_view key);
  void End() { out_ += '}'; }

 private:
  std::string& out_;
  bool empty_ = true;
};

/// Whether the canonical JSON of `value` has at most `limit` bytes. Mostly told without writing it.
bool FitsCanonically(const Json& value, std::size_t limit);

/// Whether every number anywhere in `value` is an integer within ±(2^53−1), as room version 6 and later demand.
bool HasOnlyCanonicalNumbers(const Json& value);

}  // namespace postern::matrix
