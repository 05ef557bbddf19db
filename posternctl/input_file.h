// Files that commands read.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace postern::posternctl {

/// The whole of a file; of standard input where `path` is "-". Refuses: kInvalidArgument.
absl::StatusOr<std::string> ReadWhole(const std::string& path);

}  // namespace postern::posternctl
