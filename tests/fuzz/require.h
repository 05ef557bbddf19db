// What must hold whatever the input: a fuzzer stops where it does not.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace postern::fuzz {

inline void Require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

}  // namespace postern::fuzz
