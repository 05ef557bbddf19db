// This server's ed25519 keys, read from the files that homeservers already use, and what it tells others of them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "matrix/signature.h"

namespace postern::gateway {

/// A key that signs no more, published so that old events stay checkable (pitfall K02).
struct RetiredKey {
  std::string key_id;      // "ed25519:a_old"
  std::string public_key;  // 32 bytes
  absl::Time expired;
};

/// Holds the secrets; only EventSigner may use them.
class SigningKeys {
 public:
  /// Reads `file`: a line a key, `ed25519 a_AbCd <unpadded base64 of the seed>`; empty lines and lines with '#' are
  /// skipped. The first key signs, all of them are published. `retired` holds `ed25519:a_old <base64 public key>
  /// <expired, ms since 1970>` each. Refuses: kInvalidArgument, naming the line, also for keys that are known to the
  /// world (pitfall K07).
  static absl::StatusOr<SigningKeys> Read(const std::string& file, const std::vector<std::string>& retired);
  /// The entries of a file of retired keys, one a line; empty lines and lines with '#' are skipped. An empty name:
  /// none. Refuses: kInvalidArgument.
  static absl::StatusOr<std::vector<std::string>> ReadRetired(const std::string& file);
  /// Read, with what a gateway's settings name: the keys of `old_verify_keys`, and of `old_verify_keys_file` after
  /// them.
  static absl::StatusOr<SigningKeys> ReadAll(const std::string& signing_key_file,
                                             const std::vector<std::string>& old_verify_keys,
                                             const std::string& old_verify_keys_file);
  /// The same as Read from the text of such a file.
  static absl::StatusOr<SigningKeys> Parse(const std::string& text, const std::vector<std::string>& retired);

  const std::string& key_id() const { return keys_.front().key_id(); }
  /// Other users of this machine may read the file.
  bool file_is_exposed() const { return file_is_exposed_; }

 private:
  friend class EventSigner;
  SigningKeys() = default;
  bool IsCurrent(const RetiredKey& retired) const;

  std::vector<matrix::SigningKey> keys_;
  std::vector<RetiredKey> retired_;
  bool file_is_exposed_ = false;
};

}  // namespace postern::gateway
