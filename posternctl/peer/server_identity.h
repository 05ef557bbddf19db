// Who a played homeserver is: its name, its ed25519 keys, and the document it publishes about them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "matrix/json.h"
#include "matrix/server_name.h"
#include "matrix/signature.h"

namespace postern::peer {

/// A new key from the system's random source, under a random id ("ed25519:a_AbCd"), or under `key_id` if that is not
/// empty. Refuses: kInvalidArgument for an id that is none, kInternal without random bytes.
absl::StatusOr<matrix::SigningKey> GenerateKey(std::string_view key_id, std::string* seed_base64);

/// A line of a key file as homeservers have it: "ed25519 a_AbCd <unpadded base64 of the seed>", without the end of
/// line.
std::string KeyFileLine(std::string_view key_id, std::string_view seed_base64);

/// Reads the text of such a file: a key a line, the first one signs; empty lines and lines that begin with '#' are
/// skipped. Refuses: kInvalidArgument, naming the line.
absl::StatusOr<std::vector<matrix::SigningKey>> ReadKeyText(std::string_view text);
/// The same from a file. Refuses: kInvalidArgument, naming the file.
absl::StatusOr<std::vector<matrix::SigningKey>> ReadKeyFile(const std::string& path);

/// Immutable, so that any thread may use it. Signing with it is up to whoever holds it: a player has nobody to protect.
class ServerIdentity {
 public:
  /// `keys` is not empty; the first signs, all are published. `validity` of the document: for played mistakes also a
  /// negative one. `old_keys`: published as such, each with the time from which on it is none.
  ServerIdentity(matrix::ServerName name, std::vector<matrix::SigningKey> keys,
                 absl::Duration validity = absl::Hours(24), std::vector<matrix::VerifyKey> old_keys = {})
      : name_(std::move(name)), keys_(std::move(keys)), validity_(validity), old_keys_(std::move(old_keys)) {}

  const std::string& name() const { return name_.text(); }
  const matrix::ServerName& server_name() const { return name_; }
  const matrix::SigningKey& key() const { return keys_.front(); }

  /// What GET /_matrix/key/v2/server answers (server-server API, "Publishing Keys"), signed by every key.
  matrix::JsonObject KeyDocument(absl::Time now) const;

 private:
  matrix::ServerName name_;
  std::vector<matrix::SigningKey> keys_;
  absl::Duration validity_;
  std::vector<matrix::VerifyKey> old_keys_;
};

}  // namespace postern::peer
