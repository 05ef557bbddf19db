// Any bytes: refused for a reason of the reader's, or a tree whose canonical form reads back as the same tree.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "matrix/canonical_json.h"
#include "matrix/json.h"
#include "matrix/refusal.h"
#include "tests/fuzz/require.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern::matrix;
  using postern::fuzz::Require;
  const auto value = ParseJson(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!value.ok()) {
    const Reason reason = ReasonOf(value.status());
    Require(reason == Reason::kNotJson || reason == Reason::kBadJson, "refused as no JSON or as bad JSON");
    return 0;
  }
  const std::string canonical = CanonicalJson(*value);
  const auto again = ParseJson(canonical);
  Require(again.ok(), "canonical JSON is JSON");
  Require(*again == *value, "canonical JSON says the same");
  Require(CanonicalJson(*again) == canonical, "canonical JSON has one spelling");
  Require(HasOnlyCanonicalNumbers(*again) == HasOnlyCanonicalNumbers(*value), "numbers stay what they are");
  const Json copy = *value;
  Require(copy == *value, "a copy is equal");
  return 0;
}
