#include "services/gateway/signing_key_files.h"

#include <utility>

#include "telemetry/log.h"

namespace postern::gateway {

SigningKeyFiles::SigningKeyFiles(std::string signing_key_file, std::vector<std::string> old_verify_keys,
                                 std::string old_verify_keys_file)
    : signing_key_file_(std::move(signing_key_file)),
      old_verify_keys_(std::move(old_verify_keys)),
      old_verify_keys_file_(std::move(old_verify_keys_file)) {}

SigningKeyFiles::Stamps SigningKeyFiles::StampsNow() const {
  return {http::StampOf(signing_key_file_), http::StampOf(old_verify_keys_file_)};
}

absl::StatusOr<SigningKeys> SigningKeyFiles::Read() {
  const std::lock_guard lock(mutex_);
  last_read_ = StampsNow();  // before reading: what changes meanwhile is seen next time
  auto keys = SigningKeys::ReadAll(signing_key_file_, old_verify_keys_, old_verify_keys_file_);
  if (keys.ok() && keys->file_is_exposed()) {
    telemetry::Log(telemetry::Level::kWarning, "the signing key file can be read by other users of this machine");
  }
  return keys;
}

bool SigningKeyFiles::HaveChanged() const {
  const std::lock_guard lock(mutex_);
  return StampsNow() != last_read_;
}

}  // namespace postern::gateway
