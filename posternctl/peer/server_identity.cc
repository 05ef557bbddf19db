#include "posternctl/peer/server_identity.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <array>
#include <fstream>
#include <iterator>
#include <sstream>

#include "matrix/base64.h"
#include "matrix/refusal.h"

namespace postern::peer {
namespace {

using matrix::Reason;
using matrix::Refuse;

constexpr std::string_view kAlgorithm = "ed25519";

absl::StatusOr<std::string> RandomBytes(std::size_t count) {
  std::string bytes(count, '\0');
  if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(count)) {
    return Refuse(Reason::kInternal, "the system gives no random bytes");
  }
  return bytes;
}

absl::StatusOr<std::string> RandomKeyId() {
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef";
  const auto random = RandomBytes(4);
  if (!random.ok()) return random.status();
  std::string id = fmt::format("{}:a_", kAlgorithm);
  for (const char byte : *random) id += kLetters[static_cast<unsigned char>(byte) % kLetters.size()];
  return id;
}

absl::StatusOr<matrix::SigningKey> ReadKeyLine(std::string_view line) {
  std::istringstream words{std::string(line)};
  const std::vector<std::string> parts{std::istream_iterator<std::string>(words), {}};
  if (parts.size() != 3 || parts[0] != kAlgorithm) {
    return Refuse(Reason::kInvalidArgument, "expected `ed25519 <version> <base64 of the 32-byte seed>`");
  }
  const auto seed = matrix::DecodeBase64(parts[2]);
  if (!seed) return Refuse(Reason::kInvalidArgument, "the seed is not base64");
  return matrix::SigningKey::FromSeed(fmt::format("{}:{}", kAlgorithm, parts[1]), *seed);
}

}  // namespace

absl::StatusOr<matrix::SigningKey> GenerateKey(std::string_view key_id, std::string* seed_base64) {
  const auto id = key_id.empty() ? RandomKeyId() : absl::StatusOr<std::string>(std::string(key_id));
  if (!id.ok()) return id.status();
  const auto seed = RandomBytes(matrix::kSeedBytes);
  if (!seed.ok()) return seed.status();
  *seed_base64 = matrix::EncodeBase64(*seed);
  return matrix::SigningKey::FromSeed(*id, *seed);
}

std::string KeyFileLine(std::string_view key_id, std::string_view seed_base64) {
  return fmt::format("{} {} {}", kAlgorithm, key_id.substr(key_id.find(':') + 1), seed_base64);
}

absl::StatusOr<std::vector<matrix::SigningKey>> ReadKeyText(std::string_view text) {
  std::vector<matrix::SigningKey> keys;
  std::istringstream lines{std::string(text)};
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    const auto first = line.find_first_not_of(" \t\r");
    if (first == std::string::npos || line[first] == '#') continue;
    auto key = ReadKeyLine(line);
    if (!key.ok()) {
      return Refuse(Reason::kInvalidArgument, fmt::format("line {}: {}", number, matrix::DetailOf(key.status())));
    }
    keys.push_back(*std::move(key));
  }
  if (keys.empty()) return Refuse(Reason::kInvalidArgument, "there is no key in it");
  return keys;
}

absl::StatusOr<std::vector<matrix::SigningKey>> ReadKeyFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file) return Refuse(Reason::kInvalidArgument, fmt::format("{}: cannot be read", path));
  auto keys = ReadKeyText(text);
  if (!keys.ok()) return Refuse(Reason::kInvalidArgument, fmt::format("{}: {}", path, matrix::DetailOf(keys.status())));
  return keys;
}

matrix::JsonObject ServerIdentity::KeyDocument(absl::Time now) const {
  matrix::JsonObject verify_keys;
  for (const auto& key : keys_) {
    matrix::JsonObject entry;
    entry.Set("key", matrix::EncodeBase64(key.public_key()));
    verify_keys.Set(key.key_id(), std::move(entry));
  }
  matrix::JsonObject old_verify_keys;
  for (const auto& key : old_keys_) {
    matrix::JsonObject entry;
    entry.Set("key", matrix::EncodeBase64(key.public_key));
    entry.Set("expired_ts", absl::ToUnixMillis(key.expired.value_or(absl::UnixEpoch())));
    old_verify_keys.Set(key.key_id, std::move(entry));
  }
  matrix::JsonObject document;
  document.Set("server_name", name());
  document.Set("valid_until_ts", absl::ToUnixMillis(now + validity_));
  document.Set("verify_keys", std::move(verify_keys));
  document.Set("old_verify_keys", std::move(old_verify_keys));
  for (const auto& key : keys_) matrix::SignJson(document, name(), key);
  return document;
}

}  // namespace postern::peer
