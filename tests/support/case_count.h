// How many random cases a property test tries.
#pragma once

namespace postern::support {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr int kShare = 5;
#else
inline constexpr int kShare = 1;
#endif

/// `full`, or a fifth of it under a sanitizer, where each case takes several times as long: that build looks for what
/// any case shows, the release build for the one that few show.
constexpr int CaseCount(int full) { return full / kShare; }

}  // namespace postern::support
