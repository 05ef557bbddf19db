#include "services/gateway/key_document.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "matrix/base64.h"
#include "matrix/canonical_json.h"
#include "matrix/json.h"
#include "matrix/refusal.h"

namespace postern::gateway {
namespace {

using matrix::Json;
using matrix::JsonObject;

constexpr std::size_t kMaxKeyIdBytes = 255;
/// A document of twenty keys is half as long. What is kept of 10,000 servers has to fit into memory.
constexpr std::size_t kMostPassedOn = 8 * 1024;

absl::Status Unbelievable(const matrix::ServerName& server, std::string_view what) {
  return matrix::Refuse(matrix::Reason::kOriginKeyUnavailable,
                        fmt::format("the key document of {} {}", server.text(), what));
}

const JsonObject* ObjectIn(const JsonObject& object, std::string_view key) {
  const Json* member = object.Find(key);
  return member == nullptr ? nullptr : member->AsObject();
}

/// The 32 bytes of one entry of `verify_keys` or `old_verify_keys`; nullopt for what is no ed25519 key to be believed.
std::optional<std::string> PublicKeyOf(const std::string& key_id, const Json& entry) {
  const JsonObject* object = entry.AsObject();
  if (!key_id.starts_with("ed25519:") || key_id.size() > kMaxKeyIdBytes || object == nullptr) return std::nullopt;
  const Json* key = object->Find("key");
  if (key == nullptr || key->AsString() == nullptr) return std::nullopt;
  auto bytes = matrix::DecodeBase64(*key->AsString());
  if (!bytes || bytes->size() != matrix::kPublicKeyBytes || matrix::IsKnownBadKey(*bytes)) return std::nullopt;
  return bytes;
}

absl::Status AddCurrentKeys(const JsonObject& document, const matrix::ServerName& server, matrix::ServerKeys& keys) {
  const JsonObject* current = ObjectIn(document, "verify_keys");
  if (current == nullptr) return Unbelievable(server, "has no verify_keys");
  for (const auto& [key_id, entry] : *current) {
    const auto bytes = PublicKeyOf(key_id, entry);
    if (!bytes) continue;
    if (keys.keys.size() >= kMaxKeysOfAServer) return Unbelievable(server, "has too many keys");
    if (!matrix::VerifyJson(document, server.text(), key_id, *bytes)) {
      return Unbelievable(server, fmt::format("is not signed by its key {}", key_id));
    }
    keys.keys.push_back({key_id, *bytes, std::nullopt});
  }
  if (keys.keys.empty()) return Unbelievable(server, "has no key that could be believed");
  return absl::OkStatus();
}

void AddOldKeys(const JsonObject& document, matrix::ServerKeys& keys) {
  const JsonObject* old = ObjectIn(document, "old_verify_keys");
  if (old == nullptr) return;
  for (const auto& [key_id, entry] : *old) {
    const auto bytes = PublicKeyOf(key_id, entry);
    if (!bytes) continue;
    const Json* expired = entry.AsObject()->Find("expired_ts");
    if (expired == nullptr || expired->AsInteger() == nullptr || keys.keys.size() >= kMaxKeysOfAServer) continue;
    keys.keys.push_back({key_id, *bytes, absl::FromUnixMillis(*expired->AsInteger())});
  }
}

/// `document` without the signatures of others, as it is kept.
JsonObject WithOwnSignatures(JsonObject document, const std::string& server) {
  JsonObject signatures;
  signatures.Set(server, *ObjectIn(document, "signatures")->Find(server));
  document.Set("signatures", std::move(signatures));
  document.Erase("unsigned");
  return document;
}

}  // namespace

absl::StatusOr<FetchedKeys> ReadKeyDocument(const JsonObject& document, const matrix::ServerName& server) {
  const Json* name = document.Find("server_name");
  if (name == nullptr || name->AsString() == nullptr || *name->AsString() != server.text()) {
    return Unbelievable(server, "names another server");
  }
  const Json* valid_until = document.Find("valid_until_ts");
  if (valid_until == nullptr || valid_until->AsInteger() == nullptr) {
    return Unbelievable(server, "has no valid_until_ts");
  }
  FetchedKeys fetched{{server.text(), absl::FromUnixMillis(*valid_until->AsInteger()), {}}, std::nullopt, "direct"};
  if (absl::Status status = AddCurrentKeys(document, server, fetched.keys); !status.ok()) return status;
  AddOldKeys(document, fetched.keys);
  std::string text = matrix::CanonicalJson(WithOwnSignatures(document, server.text()));
  if (text.size() <= kMostPassedOn) fetched.document = KeyDocument(std::move(text));
  return fetched;
}

absl::StatusOr<FetchedKeys> ReadKeyDocument(std::string_view text, const matrix::ServerName& server) {
  if (text.size() > kMaxKeyDocumentBytes) return Unbelievable(server, "is too large");
  const auto json = matrix::ParseJson(text);
  if (!json.ok() || json->AsObject() == nullptr) return Unbelievable(server, "is no JSON object");
  return ReadKeyDocument(*json->AsObject(), server);
}

}  // namespace postern::gateway
