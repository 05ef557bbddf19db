// What state resolution promises on any graph: for property tests, and for the fuzzer.
#pragma once

#include <string>
#include <vector>

#include "matrix/state_resolution.h"

namespace postern::support {

/// The first promise that does not hold on these states, in words; "" if all do. They are:
///   the order of the states does not matter, nor does a state that is given twice;
///   resolving what came out changes nothing;
///   a key on which all states agree keeps its value (in version 1: with at most one value);
///   each value is an event of that very key;
///   with any smaller budget the answer is the same, or there is none.
/// An answer may be refused where an auth chain leads to an event that is not `known`.
std::string BrokenPromise(const std::vector<matrix::StateMap>& states, const matrix::ResolutionEvents& known,
                          const matrix::RoomRules& rules, std::size_t smaller_budget);

}  // namespace postern::support
