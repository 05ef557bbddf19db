#include "matrix/signature.h"

#include <sodium.h>

#include <algorithm>
#include <array>

#include "fmt/format.h"
#include "matrix/base64.h"
#include "matrix/canonical_json.h"
#include "matrix/content_hash.h"
#include "matrix/identifiers.h"
#include "matrix/redaction.h"
#include "matrix/refusal.h"

namespace postern::matrix {
namespace {

constexpr std::string_view kEd25519 = "ed25519:";
constexpr absl::Duration kFurthestBelief = absl::Hours(24 * 7);

// The key id under which policy servers sign; it is no key of a homeserver.
constexpr std::string_view kPolicyServerKey = "ed25519:policy_server";

// Public keys (unpadded base64) whose secret the world knows.
constexpr std::array<std::string_view, 3> kKnownBadKeys{
    "l/O9hxMVKB6Lg+3Hqf0FQQZhVESQcMzbPN1Cz2nM3og",  // CVE-2026-24044: one key in every installation of a Helm chart
    "XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI",  // appendices, "Cryptographic Test Vectors"
    "O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik",  // 32 zero bytes
};

const unsigned char* Bytes(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

std::string SignedText(const JsonObject& object) { return CanonicalJsonWithout(object, {"signatures", "unsigned"}); }

/// The object that is `object`'s member of that name; an empty one is put there where there is none.
JsonObject& ObjectAt(JsonObject& object, std::string_view name) {
  const Json* present = object.Find(name);
  if (!present || !present->AsObject()) object.Set(name, JsonObject());
  return *object.Find(name)->AsObject();
}

void AddSignature(JsonObject& object, std::string_view server_name, const SigningKey& key, std::string_view text) {
  JsonObject& of_server = ObjectAt(ObjectAt(object, "signatures"), server_name);
  of_server.Set(key.key_id(), EncodeBase64(key.Sign(text)));
}

const JsonObject* SignaturesBy(const JsonObject& object, std::string_view server_name) {
  const Json* signatures = object.Find("signatures");
  const JsonObject* by_server = signatures ? signatures->AsObject() : nullptr;
  const Json* of_server = by_server ? by_server->Find(server_name) : nullptr;
  return of_server ? of_server->AsObject() : nullptr;
}

bool SignatureHolds(const Json& signature, std::string_view text, std::string_view public_key) {
  const std::string* encoded = signature.AsString();
  const auto bytes = encoded ? DecodeBase64(*encoded) : std::nullopt;
  return bytes && VerifySignature(text, *bytes, public_key);
}

/// The key of that id that counts for an event of `at`, or nullptr.
const VerifyKey* UsableKey(const ServerKeys& keys, std::string_view key_id, absl::Time at, absl::Time now,
                           bool enforce) {
  for (const VerifyKey& key : keys.keys) {
    if (key.key_id != key_id || IsKnownBadKey(key.public_key)) continue;
    if (key.expired) {
      if (*key.expired >= at) return &key;
    } else if (!enforce || std::min(keys.valid_until, now + kFurthestBelief) >= at) {
      return &key;
    }
  }
  return nullptr;
}

std::string_view TextOf(const JsonObject& object, std::string_view key) {
  const Json* value = object.Find(key);
  return value && value->AsString() ? std::string_view(*value->AsString()) : std::string_view();
}

struct SignatureCheck {
  const JsonObject& event;
  std::string text;  // what was signed
  absl::Time at;
  absl::Time now;
  bool enforce_validity;
};

absl::Status CheckServerSigned(const SignatureCheck& check, std::string_view server, const ServerKeys* keys,
                               std::vector<UsedKey>* used) {
  const JsonObject* signatures = SignaturesBy(check.event, server);
  bool signed_once = false;
  if (signatures && keys) {
    for (const auto& [key_id, signature] : *signatures) {
      if (!key_id.starts_with(kEd25519) || key_id == kPolicyServerKey) continue;
      const VerifyKey* key = UsableKey(*keys, key_id, check.at, check.now, check.enforce_validity);
      if (!key) continue;
      if (!SignatureHolds(signature, check.text, key->public_key)) {
        return Refuse(Reason::kBadSignature, fmt::format("the signature of {} with {} does not hold", server, key_id));
      }
      signed_once = true;
      if (used) {
        used->push_back({std::string(server), key_id, key->public_key, key->expired.value_or(keys->valid_until),
                         key->expired.has_value()});
      }
    }
  }
  if (signed_once) return absl::OkStatus();
  return Refuse(Reason::kBadSignature, fmt::format("{} has not signed the event with a key that counts", server));
}

}  // namespace

absl::StatusOr<SigningKey> SigningKey::FromSeed(std::string_view key_id, std::string_view seed) {
  auto key = FromTestVectorSeed(key_id, seed);
  if (key.ok() && IsKnownBadKey(key->public_key())) {
    return Refuse(Reason::kInvalidArgument, "the secret of this signing key is known to the world; generate a new one");
  }
  return key;
}

absl::StatusOr<SigningKey> SigningKey::FromTestVectorSeed(std::string_view key_id, std::string_view seed) {
  if (!key_id.starts_with(kEd25519) || key_id.size() == kEd25519.size()) {
    return Refuse(Reason::kInvalidArgument, "a signing key's id is 'ed25519:' and a name");
  }
  if (seed.size() != kSeedBytes) return Refuse(Reason::kInvalidArgument, "an ed25519 seed has 32 bytes");
  std::string public_key(crypto_sign_PUBLICKEYBYTES, '\0');
  std::string secret(crypto_sign_SECRETKEYBYTES, '\0');
  crypto_sign_seed_keypair(reinterpret_cast<unsigned char*>(public_key.data()),
                           reinterpret_cast<unsigned char*>(secret.data()), Bytes(seed));
  return SigningKey(std::string(key_id), std::move(public_key), std::move(secret));
}

std::string SigningKey::Sign(std::string_view message) const {
  std::string signature(kSignatureBytes, '\0');
  crypto_sign_detached(reinterpret_cast<unsigned char*>(signature.data()), nullptr, Bytes(message), message.size(),
                       Bytes(secret_));
  return signature;
}

SigningKey::SigningKey(SigningKey&& other) noexcept
    : key_id_(std::move(other.key_id_)), public_key_(std::move(other.public_key_)), secret_(std::move(other.secret_)) {}

SigningKey& SigningKey::operator=(SigningKey&& other) noexcept {
  std::swap(key_id_, other.key_id_);
  std::swap(public_key_, other.public_key_);
  std::swap(secret_, other.secret_);
  return *this;
}

SigningKey::~SigningKey() { sodium_memzero(secret_.data(), secret_.size()); }

bool VerifySignature(std::string_view message, std::string_view signature, std::string_view public_key) {
  if (signature.size() != kSignatureBytes || public_key.size() != kPublicKeyBytes) return false;
  return crypto_sign_verify_detached(Bytes(signature), Bytes(message), message.size(), Bytes(public_key)) == 0;
}

bool IsKnownBadKey(std::string_view public_key) {
  static const auto kKeys = [] {
    std::array<std::string, kKnownBadKeys.size()> keys;
    std::ranges::transform(kKnownBadKeys, keys.begin(), [](std::string_view text) { return *DecodeBase64(text); });
    return keys;
  }();
  return std::ranges::find(kKeys, public_key) != kKeys.end();
}

void SignJson(JsonObject& object, std::string_view server_name, const SigningKey& key) {
  AddSignature(object, server_name, key, SignedText(object));
}

bool VerifyJson(const JsonObject& object, std::string_view server_name, std::string_view key_id,
                std::string_view public_key) {
  const JsonObject* signatures = SignaturesBy(object, server_name);
  const Json* signature = signatures ? signatures->Find(key_id) : nullptr;
  return signature && SignatureHolds(*signature, SignedText(object), public_key);
}

void SignEvent(JsonObject& event, std::string_view server_name, const SigningKey& key, const RoomRules& rules) {
  AddSignature(event, server_name, key, CanonicalRedacted(event, rules));
}

void HashAndSignEvent(JsonObject& event, std::string_view server_name, const SigningKey& key, const RoomRules& rules) {
  const Json* present = event.Find("hashes");
  JsonObject hashes = present && present->AsObject() ? *present->AsObject() : JsonObject();
  hashes.Set("sha256", EncodeBase64(ContentHash(event)));
  event.Set("hashes", std::move(hashes));
  SignEvent(event, server_name, key, rules);
}

std::vector<std::string> RequiredSigners(const JsonObject& event, const RoomRules& rules) {
  std::vector<std::string> signers;
  const auto require = [&](std::string_view id) {
    std::string server(DomainOf(id));
    if (std::ranges::find(signers, server) == signers.end()) signers.push_back(std::move(server));
  };
  static const JsonObject kNothing;
  const Json* content_value = event.Find("content");
  const JsonObject& content = content_value && content_value->AsObject() ? *content_value->AsObject() : kNothing;
  const bool is_member = TextOf(event, "type") == "m.room.member";
  const std::string_view membership = TextOf(content, "membership");
  if (!(is_member && membership == "invite" && content.Contains("third_party_invite")))
    require(TextOf(event, "sender"));
  if (rules.event_id_domain_signs) require(TextOf(event, "event_id"));
  if (rules.restricted_joins && is_member && membership == "join" &&
      content.Contains("join_authorised_via_users_server")) {
    require(TextOf(content, "join_authorised_via_users_server"));
  }
  return signers;
}

absl::Status CheckEventSignatures(const JsonObject& event, const RoomRules& rules, const KeyDirectory& keys,
                                  absl::Time now, std::vector<UsedKey>* used) {
  const Json* ts = event.Find("origin_server_ts");
  const std::int64_t at_ms = ts && ts->AsInteger() ? *ts->AsInteger() : 0;
  const SignatureCheck check{event, CanonicalRedacted(event, rules), absl::FromUnixMillis(at_ms), now,
                             rules.enforce_key_validity};
  for (const std::string& server : RequiredSigners(event, rules)) {
    const auto known = keys.find(server);
    const ServerKeys* server_keys = known == keys.end() ? nullptr : &known->second;
    if (auto status = CheckServerSigned(check, server, server_keys, used); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace postern::matrix
