// The token that an operator's calls carry, and the file that holds it.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace postern::rpc {

/// The first line of `file`, without blanks at its end. Refuses: kInvalidArgument, naming the file.
absl::StatusOr<std::string> ReadToken(const std::string& file);

/// Whether the file holds a token that can be asked for: 16 printable ASCII characters or more. Refuses:
/// kInvalidArgument, naming the file.
absl::Status CheckTokenFile(const std::string& file);

/// What stands in `authorization`.
std::string BearerOf(std::string_view token);

/// In a time that tells nothing of either, their lengths included.
bool AreEqual(std::string_view given, std::string_view expected);

}  // namespace postern::rpc
