// What a rotation of this server's signing key makes of its files (pitfall K02).
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "matrix/signature.h"

namespace postern::posternctl {

/// The two files, as text: the gateway's signing_key_file and its old_verify_keys_file.
struct KeyFiles {
  std::string keys;
  std::string old_keys;
};

/// Puts `new_line` in the place of the key that signs now, which goes to the old ones, good for events up to `expired`;
/// whatever else stands in either file stays. An old entry of the same id is replaced, so that a rotation that was cut
/// off can be done again. Refuses: kInvalidArgument for keys that do not read, and for a new id that was used before.
absl::StatusOr<KeyFiles> Rotate(const KeyFiles& files, std::string_view new_line, absl::Time expired);

}  // namespace postern::posternctl
