#include "http/address_policy.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>
#include <span>
#include <string>

#include "http/ip_address.h"
#include "matrix/refusal.h"

namespace postern::http {
namespace {

constexpr int kIpv4Bits = 32;
constexpr int kIpv6Bits = 128;
constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr int kMappedBits = 96;

std::optional<sockaddr_storage> ReadLiteral(std::string_view literal) {
  const std::string text(literal);
  sockaddr_storage address{};
  auto& v4 = reinterpret_cast<sockaddr_in&>(address);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(address);
  if (text.find('\0') != std::string::npos) return std::nullopt;
  if (inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1) {
    address.ss_family = AF_INET;
  } else if (inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr) == 1) {
    address.ss_family = AF_INET6;
  } else {
    return std::nullopt;
  }
  return address;
}

std::optional<int> ReadBits(std::string_view text, int most) {
  int bits = -1;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), bits);
  if (problem != std::errc() || end != text.data() + text.size() || bits < 0 || bits > most) return std::nullopt;
  return bits;
}

/// Whether `a` and `b` agree in their first `bits` bits.
bool BeginAlike(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b, int bits) {
  const auto whole = static_cast<std::size_t>(bits) / 8;
  const int rest = bits % 8;
  if (!std::ranges::equal(a.first(whole), b.first(whole))) return false;
  return rest == 0 || (a[whole] >> (8 - rest)) == (b[whole] >> (8 - rest));
}

bool HasBitsBehind(std::span<const std::uint8_t> bytes, int bits) {
  for (std::size_t bit = static_cast<std::size_t>(bits); bit < bytes.size() * 8; ++bit) {
    if ((bytes[bit / 8] >> (7 - bit % 8) & 1) != 0) return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<IpNetwork> IpNetwork::Parse(std::string_view text) {
  const auto malformed = [text] {
    return matrix::Refuse(matrix::Reason::kInvalidArgument,
                          fmt::format("'{}' is no network: expected an address, or as in 10.0.0.0/8", text));
  };
  const std::size_t slash = text.find('/');
  const auto address = ReadLiteral(text.substr(0, slash));
  if (!address) return malformed();
  const int most = address->ss_family == AF_INET ? kIpv4Bits : kIpv6Bits;
  auto bits = slash == std::string_view::npos ? std::optional(most) : ReadBits(text.substr(slash + 1), most);
  if (!bits) return malformed();
  Address prefix = WithoutMapping(reinterpret_cast<const sockaddr&>(*address));
  if (prefix.family != address->ss_family) {
    // Written as ::ffff:10.0.0.0/104. A shorter prefix would hold other addresses too, and is no mapped network.
    if (*bits < kMappedBits) return malformed();
    *bits -= kMappedBits;
  }
  const std::size_t size = prefix.family == AF_INET ? 4 : 16;
  if (HasBitsBehind(std::span(prefix.bytes).first(size), *bits)) return malformed();
  return IpNetwork(prefix, *bits);
}

bool IpNetwork::Contains(const sockaddr& address) const {
  const Address plain = WithoutMapping(address);
  return plain.family == prefix_.family && BeginAlike(plain.bytes, prefix_.bytes, bits_);
}

IpNetwork::Address IpNetwork::WithoutMapping(const sockaddr& address) {
  Address plain{address.sa_family, {}};
  if (address.sa_family == AF_INET) {
    std::memcpy(plain.bytes.data(), &reinterpret_cast<const sockaddr_in&>(address).sin_addr, 4);
  } else if (address.sa_family == AF_INET6) {
    std::memcpy(plain.bytes.data(), &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr, 16);
    if (std::ranges::equal(std::span(plain.bytes).first(kMapped.size()), kMapped)) {
      plain.family = AF_INET;
      std::copy(plain.bytes.begin() + kMapped.size(), plain.bytes.end(), plain.bytes.begin());
    }
  }
  return plain;
}

bool AddressPolicy::Allows(const sockaddr& address) const {
  return allow_private_networks || IsPublicAddress(address) ||
         std::ranges::any_of(allowed_networks, [&](const IpNetwork& network) { return network.Contains(address); });
}

bool AddressPolicy::Allows(std::string_view literal) const {
  const auto address = ReadLiteral(literal);
  return address && Allows(reinterpret_cast<const sockaddr&>(*address));
}

}  // namespace postern::http
