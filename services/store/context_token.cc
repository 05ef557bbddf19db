#include "services/store/context_token.h"

#include "matrix/refusal.h"

namespace postern::store {
namespace {

constexpr char kFormat = 2;
constexpr std::size_t kFixedBytes = 4 + 4 * 8;

void Append(std::string& bytes, std::int64_t number) {
  for (int shift = 56; shift >= 0; shift -= 8)
    bytes.push_back(static_cast<char>(static_cast<std::uint64_t>(number) >> shift));
}

std::int64_t ReadNumber(std::string_view bytes) {
  std::uint64_t number = 0;
  for (const char byte : bytes.substr(0, 8)) number = number << 8 | static_cast<unsigned char>(byte);
  return static_cast<std::int64_t>(number);
}

}  // namespace

std::string EncodeToken(const ContextToken& token) {
  std::string bytes;
  bytes.reserve(kFixedBytes + token.room_id.size());
  bytes.push_back(kFormat);
  bytes.push_back(token.before ? 1 : 0);
  bytes.push_back(token.merged ? 1 : 0);
  bytes.push_back(token.fixed ? 1 : 0);
  Append(bytes, token.ordering);
  Append(bytes, token.before.value_or(0));
  Append(bytes, token.now);
  Append(bytes, token.fixed.value_or(0));
  bytes += token.room_id;
  return bytes;
}

absl::StatusOr<ContextToken> DecodeToken(std::string_view bytes, std::string_view room_id) {
  if (bytes.size() < kFixedBytes || bytes[0] != kFormat) {
    return matrix::Refuse(matrix::Reason::kInvalidArgument, "the context token is none of this store");
  }
  if (bytes.substr(kFixedBytes) != room_id) {
    return matrix::Refuse(matrix::Reason::kInvalidArgument, "the context token is of another room");
  }
  ContextToken token;
  token.room_id = std::string(room_id);
  token.ordering = ReadNumber(bytes.substr(4));
  if (bytes[1] == 1) token.before = ReadNumber(bytes.substr(12));
  token.merged = bytes[2] == 1;
  token.now = ReadNumber(bytes.substr(20));
  if (bytes[3] == 1) token.fixed = ReadNumber(bytes.substr(28));
  return token;
}

}  // namespace postern::store
