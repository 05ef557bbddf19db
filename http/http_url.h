// URLs as libcurl reads them: what is looked up and checked is then what is connected to.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace postern::http {

struct Url {
  std::string text;    // the whole, without a fragment
  std::string scheme;  // "https"
  std::string host;    // an IPv6 literal without its brackets
  std::uint16_t port;  // the scheme's own where none is written
};

/// Refuses: kInvalidArgument for what is no absolute URL, and for one with a user name.
absl::StatusOr<Url> ParseUrl(std::string_view text);

/// What `reference`, from a Location header, means on a page at `base`. Refuses: kInvalidArgument.
absl::StatusOr<Url> FollowReference(const Url& base, std::string_view reference);

}  // namespace postern::http
