#include "rpc/bearer_token.h"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <array>
#include <fstream>

#include "matrix/refusal.h"

namespace postern::rpc {
namespace {

constexpr std::size_t kShortestToken = 16;

using Digest = std::array<unsigned char, crypto_hash_sha256_BYTES>;

Digest DigestOf(std::string_view text) {
  Digest digest;
  crypto_hash_sha256(digest.data(), reinterpret_cast<const unsigned char*>(text.data()), text.size());
  return digest;
}

}  // namespace

absl::StatusOr<std::string> ReadToken(const std::string& file) {
  std::ifstream text(file);
  std::string token;
  std::getline(text, token);
  while (!token.empty() && (token.back() == '\r' || token.back() == ' ')) token.pop_back();
  if (!token.empty()) return token;
  return matrix::Refuse(matrix::Reason::kInvalidArgument,
                        fmt::format("{} cannot be read, or its first line is empty", file));
}

absl::Status CheckTokenFile(const std::string& file) {
  const auto token = ReadToken(file);
  if (!token.ok()) return token.status();
  const bool is_plain = std::ranges::all_of(*token, [](char c) { return c > 0x20 && c < 0x7f; });
  if (token->size() >= kShortestToken && is_plain) return absl::OkStatus();
  return matrix::Refuse(matrix::Reason::kInvalidArgument,
                        fmt::format("{} holds no token: expected {} printable characters or more in its first line",
                                    file, kShortestToken));
}

std::string BearerOf(std::string_view token) { return fmt::format("Bearer {}", token); }

bool AreEqual(std::string_view given, std::string_view expected) {
  const Digest of_a = DigestOf(given), of_b = DigestOf(expected);
  return sodium_memcmp(of_a.data(), of_b.data(), of_a.size()) == 0;
}

}  // namespace postern::rpc
