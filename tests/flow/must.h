// What a test cannot go on without: the value, or the end of the test. GoogleTest reports the exception and takes down
// what runs.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "matrix/refusal.h"

namespace postern::flow {

/// The value of `result`; throws, naming `what` was wanted, where there is none.
template <typename Value>
Value Must(std::string_view what, absl::StatusOr<Value> result) {
  if (!result.ok()) throw std::runtime_error(fmt::format("{}: {}", what, matrix::DetailOf(result.status())));
  return *std::move(result);
}

inline void Must(std::string_view what, bool fine) {
  if (!fine) throw std::runtime_error(fmt::format("{}: no", what));
}

}  // namespace postern::flow
