// The files that this server's signing keys are read from, and read again from when they change.
#pragma once

#include <array>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "http/file_stamp.h"
#include "services/gateway/signing_keys.h"

namespace postern::gateway {

/// Thread-safe.
class SigningKeyFiles {
 public:
  /// As the settings name them; `old_verify_keys` are entries that stand in the settings themselves.
  SigningKeyFiles(std::string signing_key_file, std::vector<std::string> old_verify_keys,
                  std::string old_verify_keys_file);

  /// What they hold now. Refuses: kInvalidArgument.
  absl::StatusOr<SigningKeys> Read();
  /// Whether they are others than those last read, good or bad.
  bool HaveChanged() const;

 private:
  using Stamps = std::array<http::FileStamp, 2>;
  Stamps StampsNow() const;

  const std::string signing_key_file_;
  const std::vector<std::string> old_verify_keys_;
  const std::string old_verify_keys_file_;
  mutable std::mutex mutex_;
  Stamps last_read_;
};

}  // namespace postern::gateway
