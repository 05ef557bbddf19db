#include "services/store/context_token.h"

#include "matrix/refusal.h"

namespace postern::store {
namespace {

constexpr char kFormat = 1;
// What the second byte says.
constexpr unsigned kBeforeIsKnown = 1, kBranchingIsKnown = 2, kExtendsAll = 4, kDiverges = 8, kMerged = 16,
                   kFixedIsKnown = 32, kHasExtremities = 64, kNoSoftFailedPrev = 128;
constexpr std::size_t kFixedBytes = 2 + 4 * 8;

void Append(std::string& bytes, std::int64_t number) {
  for (int shift = 56; shift >= 0; shift -= 8)
    bytes.push_back(static_cast<char>(static_cast<std::uint64_t>(number) >> shift));
}

std::int64_t ReadNumber(std::string_view bytes) {
  std::uint64_t number = 0;
  for (const char byte : bytes.substr(0, 8)) number = number << 8 | static_cast<unsigned char>(byte);
  return static_cast<std::int64_t>(number);
}

unsigned FlagsOf(const ContextToken& token) {
  unsigned flags = (token.before ? kBeforeIsKnown : 0) | (token.merged ? kMerged : 0) |
                   (token.fixed ? kFixedIsKnown : 0) | (token.extremities.empty() ? 0 : kHasExtremities) |
                   (token.no_soft_failed_prev ? kNoSoftFailedPrev : 0);
  if (!token.branching) return flags;
  flags |= kBranchingIsKnown;
  if (token.branching->extends_all_extremities) flags |= kExtendsAll;
  if (token.branching->states_diverge) flags |= kDiverges;
  return flags;
}

}  // namespace

std::string EncodeToken(const ContextToken& token) {
  std::string bytes;
  bytes.reserve(kFixedBytes + token.room_id.size());
  bytes.push_back(kFormat);
  bytes.push_back(static_cast<char>(FlagsOf(token)));
  Append(bytes, token.ordering);
  Append(bytes, token.before.value_or(0));
  Append(bytes, token.now);
  Append(bytes, token.fixed.value_or(0));
  bytes += token.room_id;
  for (const std::string& id : token.extremities) {
    bytes.push_back(static_cast<char>(id.size()));  // an id has at most 255 bytes
    bytes += id;
  }
  return bytes;
}

absl::StatusOr<ContextToken> DecodeToken(std::string_view bytes, std::string_view room_id) {
  if (bytes.size() < kFixedBytes || bytes[0] != kFormat) {
    return matrix::Refuse(matrix::Reason::kInvalidArgument, "the context token is none of this store");
  }
  const unsigned flags = static_cast<unsigned char>(bytes[1]);
  std::string_view rest = bytes.substr(kFixedBytes);
  if (!rest.starts_with(room_id) || (rest.size() != room_id.size() && (flags & kHasExtremities) == 0)) {
    return matrix::Refuse(matrix::Reason::kInvalidArgument, "the context token is of another room");
  }
  ContextToken token;
  token.room_id = std::string(room_id);
  token.ordering = ReadNumber(bytes.substr(2));
  if ((flags & kBeforeIsKnown) != 0) token.before = ReadNumber(bytes.substr(10));
  token.merged = (flags & kMerged) != 0;
  token.no_soft_failed_prev = (flags & kNoSoftFailedPrev) != 0;
  if ((flags & kBranchingIsKnown) != 0) {
    token.branching = {.extends_all_extremities = (flags & kExtendsAll) != 0,
                       .states_diverge = (flags & kDiverges) != 0};
  }
  token.now = ReadNumber(bytes.substr(18));
  if ((flags & kFixedIsKnown) != 0) token.fixed = ReadNumber(bytes.substr(26));
  for (rest.remove_prefix(room_id.size()); !rest.empty();) {
    const std::size_t size = static_cast<unsigned char>(rest.front());
    if (rest.size() <= size) {
      return matrix::Refuse(matrix::Reason::kInvalidArgument, "the context token is none of this store");
    }
    token.extremities.emplace_back(rest.substr(1, size));
    rest.remove_prefix(1 + size);
  }
  return token;
}

}  // namespace postern::store
