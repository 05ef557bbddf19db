#include "matrix/third_party_invite.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "matrix/base64.h"
#include "matrix/canonical_json.h"
#include "matrix/signature.h"

namespace postern::matrix {
namespace {

constexpr std::size_t kMostVerifications = 1024;

void AddKey(const JsonObject& holder, std::vector<std::string>& keys) {
  const Json* text = holder.Find("public_key");
  if (!text || !text->AsString()) return;
  std::optional<std::string> key = DecodeBase64(*text->AsString());
  if (!key) key = DecodeUrlSafeBase64(*text->AsString());
  if (key && key->size() == kPublicKeyBytes && !IsKnownBadKey(*key)) keys.push_back(*std::move(key));
}

std::vector<std::string> PublicKeys(const JsonObject& content) {
  std::vector<std::string> keys;
  AddKey(content, keys);
  const Json* listed = content.Find("public_keys");
  if (!listed || !listed->AsArray()) return keys;
  for (const Json& entry : *listed->AsArray()) {
    if (entry.AsObject()) AddKey(*entry.AsObject(), keys);
  }
  return keys;
}

std::vector<std::string> Signatures(const JsonObject& signed_part) {
  std::vector<std::string> found;
  const Json* servers = signed_part.Find("signatures");
  if (!servers || !servers->AsObject()) return found;
  for (const JsonMember& server : *servers->AsObject()) {
    if (!server.value.AsObject()) continue;
    for (const JsonMember& entry : *server.value.AsObject()) {
      if (!entry.key.starts_with("ed25519:") || !entry.value.AsString()) continue;
      auto signature = DecodeBase64(*entry.value.AsString());
      if (signature && signature->size() == kSignatureBytes) found.push_back(*std::move(signature));
    }
  }
  return found;
}

}  // namespace

bool HasThirdPartySignature(const JsonObject& signed_part, const JsonObject& invite_content) {
  JsonObject bare = signed_part;
  bare.Erase("signatures");
  bare.Erase("unsigned");
  const std::string message = CanonicalJson(bare);
  const std::vector<std::string> keys = PublicKeys(invite_content);
  std::size_t verifications = 0;
  for (const std::string& signature : Signatures(signed_part)) {
    for (const std::string& key : keys) {
      if (++verifications > kMostVerifications) return false;
      if (VerifySignature(message, signature, key)) return true;
    }
  }
  return false;
}

}  // namespace postern::matrix
