// Step 3: ed25519 signatures over events and other JSON objects ("Signing JSON", "Signing events").
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "matrix/json.h"
#include "matrix/room_rules.h"

namespace postern::matrix {

inline constexpr std::size_t kPublicKeyBytes = 32;
inline constexpr std::size_t kSeedBytes = 32;
inline constexpr std::size_t kSignatureBytes = 64;

/// An ed25519 key pair with its id ("ed25519:a_AbCd"). The secret is wiped when the object goes.
class SigningKey {
 public:
  /// `key_id` with its algorithm; `seed` 32 bytes. Refuses: kInvalidArgument, also for key pairs that are known to be
  /// public (pitfall K07).
  static absl::StatusOr<SigningKey> FromSeed(std::string_view key_id, std::string_view seed);
  /// The same for the seeds of published test vectors, whose pairs FromSeed refuses. No server may sign with one.
  static absl::StatusOr<SigningKey> FromTestVectorSeed(std::string_view key_id, std::string_view seed);

  const std::string& key_id() const { return key_id_; }
  /// 32 bytes.
  const std::string& public_key() const { return public_key_; }
  /// 64 bytes over `message`.
  std::string Sign(std::string_view message) const;

  SigningKey(SigningKey&&) noexcept;
  SigningKey& operator=(SigningKey&&) noexcept;
  SigningKey(const SigningKey&) = delete;
  SigningKey& operator=(const SigningKey&) = delete;
  ~SigningKey();

 private:
  SigningKey(std::string key_id, std::string public_key, std::string secret)
      : key_id_(std::move(key_id)), public_key_(std::move(public_key)), secret_(std::move(secret)) {}
  std::string key_id_;
  std::string public_key_;
  std::string secret_;
};

/// Whether `signature` (64 bytes) over `message` is by `public_key` (32 bytes). Wrong lengths are not.
bool VerifySignature(std::string_view message, std::string_view signature, std::string_view public_key);

/// Whether this public key's secret is known to the world; such a key is never used and never believed.
bool IsKnownBadKey(std::string_view public_key);

/// Adds signatures[server][key id] over the canonical JSON without `signatures` and `unsigned`. Signatures that are
/// there stay.
void SignJson(JsonObject& object, std::string_view server_name, const SigningKey& key);

/// Whether signatures[server][key_id] of `object` holds under `public_key`.
bool VerifyJson(const JsonObject& object, std::string_view server_name, std::string_view key_id,
                std::string_view public_key);

/// Adds this server's signature over the redacted event. Never touches `hashes`, keeps every signature that is there.
void SignEvent(JsonObject& event, std::string_view server_name, const SigningKey& key, const RoomRules& rules);

/// Sets hashes.sha256 to the content hash (other entries stay), then signs: for events that are minted here.
void HashAndSignEvent(JsonObject& event, std::string_view server_name, const SigningKey& key, const RoomRules& rules);

/// One key of a server.
struct VerifyKey {
  std::string key_id;
  std::string public_key;             // 32 bytes
  std::optional<absl::Time> expired;  // set for `old_verify_keys`
};

/// What is known of one server's keys.
struct ServerKeys {
  std::string server_name;
  absl::Time valid_until;
  std::vector<VerifyKey> keys;
};

/// Server name → keys. A server that is not here is unknown.
using KeyDirectory = std::map<std::string, ServerKeys, std::less<>>;

/// A key that a check relied on.
struct UsedKey {
  std::string server_name;
  std::string key_id;
  std::string public_key;
  absl::Time valid_until;  // of an old key: when it expired
  bool old = false;
};

/// The servers that must have signed `event` (room versions' "Signing"): the sender's, in versions 1-2 that of the
/// event id, with restricted joins that of join_authorised_via_users_server; not the sender's for an invite with
/// third_party_invite.
std::vector<std::string> RequiredSigners(const JsonObject& event, const RoomRules& rules);

/// OK if every required server has signed the redacted event: at least one of its ed25519 signatures is by a usable
/// key, and all those by usable keys hold. Signatures of policy servers do not count, nor those by known-bad keys.
/// Usable: valid at origin_server_ts (5+), capped at `now` + 7 days; or an old key that had not expired then. Appends
/// the keys relied on to `used` if it is given. Refuses: kBadSignature, naming the server.
absl::Status CheckEventSignatures(const JsonObject& event, const RoomRules& rules, const KeyDirectory& keys,
                                  absl::Time now, std::vector<UsedKey>* used = nullptr);

}  // namespace postern::matrix
