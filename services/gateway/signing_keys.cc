#include "services/gateway/signing_keys.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>
#include <utility>

#include "absl/strings/numbers.h"
#include "matrix/base64.h"
#include "matrix/refusal.h"

namespace postern::gateway {
namespace {

using matrix::Reason;
using matrix::Refuse;

absl::Status LineError(std::size_t line, std::string_view what) {
  return Refuse(Reason::kInvalidArgument, fmt::format("signing key file, line {}: {}", line, what));
}

bool IsBlankOrComment(const std::string& line) {
  const auto first = line.find_first_not_of(" \t\r");
  return first == std::string::npos || line[first] == '#';
}

absl::StatusOr<matrix::SigningKey> ParseLine(const std::string& line, std::size_t number) {
  std::istringstream words(line);
  std::string algorithm, version, seed_text, rest;
  words >> algorithm >> version >> seed_text;
  if (seed_text.empty() || (words >> rest)) return LineError(number, "expected `ed25519 <key version> <seed>`");
  if (algorithm != "ed25519") return LineError(number, "the only algorithm is ed25519");
  if (version.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") !=
      std::string::npos) {
    return LineError(number, "a key version holds letters, digits and '_' only");
  }
  const auto seed = matrix::DecodeBase64(seed_text);
  if (!seed || seed->size() != matrix::kSeedBytes) return LineError(number, "the seed is not base64 of 32 bytes");
  auto key = matrix::SigningKey::FromSeed("ed25519:" + version, *seed);
  if (!key.ok()) return LineError(number, matrix::DetailOf(key.status()));
  return key;
}

absl::StatusOr<RetiredKey> ParseRetired(const std::string& entry) {
  std::istringstream words(entry);
  std::string key_id, public_key, expired, rest;
  words >> key_id >> public_key >> expired;
  const auto bytes = matrix::DecodeBase64(public_key);
  std::int64_t expired_ms = 0;
  if (!key_id.starts_with("ed25519:") || !bytes || bytes->size() != matrix::kPublicKeyBytes ||
      !absl::SimpleAtoi(expired, &expired_ms) || expired_ms <= 0 || (words >> rest)) {
    return Refuse(
        Reason::kInvalidArgument,
        fmt::format("old_verify_keys: expected `ed25519:a_old <base64 public key> <expired_ts>`, not '{}'", entry));
  }
  return RetiredKey{key_id, *bytes, absl::FromUnixMillis(expired_ms)};
}

}  // namespace

absl::StatusOr<std::vector<std::string>> SigningKeys::ReadRetired(const std::string& file) {
  std::vector<std::string> retired;
  if (file.empty()) return retired;
  std::ifstream in(file, std::ios::binary);
  if (!in) return Refuse(Reason::kInvalidArgument, fmt::format("old_verify_keys_file '{}' cannot be read", file));
  for (std::string line; std::getline(in, line);) {
    if (!IsBlankOrComment(line)) retired.push_back(std::move(line));
  }
  return retired;
}

absl::StatusOr<SigningKeys> SigningKeys::Read(const std::string& file, const std::vector<std::string>& retired) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  if (!in || !(text << in.rdbuf())) {
    return Refuse(Reason::kInvalidArgument, fmt::format("signing key file '{}' cannot be read", file));
  }
  auto keys = Parse(text.str(), retired);
  struct stat info {};
  if (keys.ok() && stat(file.c_str(), &info) == 0) keys->file_is_exposed_ = (info.st_mode & (S_IRWXG | S_IRWXO)) != 0;
  return keys;
}

absl::StatusOr<SigningKeys> SigningKeys::ReadAll(const std::string& signing_key_file,
                                                 const std::vector<std::string>& old_verify_keys,
                                                 const std::string& old_verify_keys_file) {
  auto retired = ReadRetired(old_verify_keys_file);
  if (!retired.ok()) return retired.status();
  retired->insert(retired->begin(), old_verify_keys.begin(), old_verify_keys.end());
  return Read(signing_key_file, *retired);
}

bool SigningKeys::IsCurrent(const RetiredKey& retired) const {
  return std::any_of(keys_.begin(), keys_.end(), [&](const matrix::SigningKey& key) {
    return key.key_id() == retired.key_id && key.public_key() == retired.public_key;
  });
}

absl::StatusOr<SigningKeys> SigningKeys::Parse(const std::string& text, const std::vector<std::string>& retired) {
  SigningKeys keys;
  std::set<std::string> seen;
  std::istringstream lines(text);
  std::string line;
  for (std::size_t number = 1; std::getline(lines, line); ++number) {
    if (IsBlankOrComment(line)) continue;
    auto key = ParseLine(line, number);
    if (!key.ok()) return key.status();
    if (!seen.insert(key->key_id()).second) return LineError(number, "this key id stands there twice");
    keys.keys_.push_back(std::move(*key));
  }
  if (keys.keys_.empty()) return Refuse(Reason::kInvalidArgument, "the signing key file holds no key");
  for (const std::string& entry : retired) {
    auto key = ParseRetired(entry);
    if (!key.ok()) return key.status();
    if (keys.IsCurrent(*key)) continue;  // of a rotation that was cut off before it took the key out of use
    if (!seen.insert(key->key_id).second) {
      return Refuse(Reason::kInvalidArgument, fmt::format("old_verify_keys: key id {} is in use twice", key->key_id));
    }
    keys.retired_.push_back(std::move(*key));
  }
  return keys;
}

}  // namespace postern::gateway
