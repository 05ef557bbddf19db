// How many cases a test tries that tries many. Under a sanitizer each takes several times as long: that build looks for
// what any case shows, the release build for what few show.
#pragma once

namespace postern::support {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

/// `full`, or a fifth of it under a sanitizer.
constexpr int CaseCount(int full) { return kSanitized ? full / 5 : full; }

}  // namespace postern::support
