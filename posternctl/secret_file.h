// Files that hold secrets: readable by their owner only, and never half written.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace postern::posternctl {

/// Never over a file that is there: it may be the only copy of a key. Refuses: kInvalidArgument, naming the file.
absl::Status WriteNewSecret(const std::string& path, const std::string& text);

/// Puts `text` in the place of the file, if there is one: whoever reads sees the old or the new. Refuses:
/// kInvalidArgument, naming the file; then the old one stands.
absl::Status ReplaceSecret(const std::string& path, const std::string& text);

}  // namespace postern::posternctl
