#include "services/gateway/back_off.h"

#include <algorithm>

namespace postern::gateway {

absl::Duration BackOff::After(unsigned failures, double chance) const {
  constexpr double kLeast = 0.8;
  constexpr double kSpread = 0.6;
  absl::Duration pause = failures <= 1 ? quick : first;
  for (unsigned failure = 2; failure < failures && pause < longest; ++failure) pause *= 2;
  return std::min(std::min(pause, longest) * (kLeast + kSpread * chance), longest);
}

}  // namespace postern::gateway
