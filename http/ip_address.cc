#include "http/ip_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

namespace postern::http {
namespace {

using V4 = std::array<std::uint8_t, 4>;
using V6 = std::array<std::uint8_t, 16>;

struct V4Range {
  V4 prefix;
  int bits;
};

struct V6Range {
  V6 prefix;
  int bits;
};

// The IANA special-purpose registries (RFC 6890 and its updates), and multicast.
constexpr std::array kPrivateV4{
    V4Range{{0, 0, 0, 0}, 8},      V4Range{{10, 0, 0, 0}, 8},     V4Range{{100, 64, 0, 0}, 10},
    V4Range{{127, 0, 0, 0}, 8},    V4Range{{169, 254, 0, 0}, 16}, V4Range{{172, 16, 0, 0}, 12},
    V4Range{{192, 0, 0, 0}, 24},   V4Range{{192, 0, 2, 0}, 24},   V4Range{{192, 88, 99, 0}, 24},
    V4Range{{192, 168, 0, 0}, 16}, V4Range{{198, 18, 0, 0}, 15},  V4Range{{198, 51, 100, 0}, 24},
    V4Range{{203, 0, 113, 0}, 24}, V4Range{{224, 0, 0, 0}, 4},    V4Range{{240, 0, 0, 0}, 4},
};

constexpr V6Range kGlobalUnicast{{0x20}, 3};
constexpr V6Range kMapped{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96};
constexpr V6Range kNat64{{0x00, 0x64, 0xff, 0x9b}, 96};
constexpr V6Range k6to4{{0x20, 0x02}, 16};
constexpr V6Range kTeredo{{0x20, 0x01, 0x00, 0x00}, 32};
// Inside 2000::/3, which alone is for the public, but not for the public: protocol assignments, documentation, segment
// routing.
constexpr std::array kPrivateV6{
    V6Range{{0x20, 0x01}, 23},
    V6Range{{0x20, 0x01, 0x0d, 0xb8}, 32},
    V6Range{{0x3f, 0xff}, 20},
};

bool HasPrefix(std::span<const std::uint8_t> address, std::span<const std::uint8_t> prefix, int bits) {
  const auto whole = static_cast<std::size_t>(bits) / 8;
  if (!std::ranges::equal(address.first(whole), prefix.first(whole))) return false;
  const int rest = bits % 8;
  return rest == 0 || (address[whole] >> (8 - rest)) == (prefix[whole] >> (8 - rest));
}

bool IsIn(const V6& address, const V6Range& range) { return HasPrefix(address, range.prefix, range.bits); }

bool IsPublic(const V4& address) {
  return std::ranges::none_of(kPrivateV4,
                              [&](const V4Range& range) { return HasPrefix(address, range.prefix, range.bits); });
}

V4 EmbeddedAt(const V6& address, std::size_t offset) {
  V4 embedded;
  std::memcpy(embedded.data(), address.data() + offset, embedded.size());
  return embedded;
}

bool IsPublic(const V6& address) {
  if (IsIn(address, kMapped) || IsIn(address, kNat64)) return IsPublic(EmbeddedAt(address, 12));
  if (IsIn(address, k6to4)) return IsPublic(EmbeddedAt(address, 2));
  if (IsIn(address, kTeredo)) {
    V4 client = EmbeddedAt(address, 12);
    for (std::uint8_t& byte : client) byte = static_cast<std::uint8_t>(~byte);
    return IsPublic(client) && IsPublic(EmbeddedAt(address, 4));
  }
  if (!IsIn(address, kGlobalUnicast)) return false;
  return std::ranges::none_of(kPrivateV6, [&](const V6Range& range) { return IsIn(address, range); });
}

}  // namespace

bool IsPublicAddress(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    V4 bytes;
    std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in&>(address).sin_addr, bytes.size());
    return IsPublic(bytes);
  }
  if (address.sa_family == AF_INET6) {
    V6 bytes;
    std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr, bytes.size());
    return IsPublic(bytes);
  }
  return false;
}

bool IsPublicAddress(std::string_view literal) {
  const std::string text(literal);
  V4 v4;
  if (inet_pton(AF_INET, text.c_str(), v4.data()) == 1) return IsPublic(v4);
  V6 v6;
  return inet_pton(AF_INET6, text.c_str(), v6.data()) == 1 && IsPublic(v6);
}

bool IsIpLiteral(const std::string& host) {
  V6 bytes;
  return inet_pton(AF_INET, host.c_str(), bytes.data()) == 1 || inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1;
}

}  // namespace postern::http
