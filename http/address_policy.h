// Where outbound connections may go: to public addresses, and to what an operator lists (pitfall S01).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

struct sockaddr;

namespace postern::http {

/// Addresses that begin alike, as "10.0.0.0/8", "fd00::/8" or a single "192.0.2.7".
class IpNetwork {
 public:
  /// Refuses: kInvalidArgument, also where bits behind the prefix are set.
  static absl::StatusOr<IpNetwork> Parse(std::string_view text);

  /// An IPv4 address that is mapped into IPv6 is that IPv4 address: a connection to it goes there.
  bool Contains(const sockaddr& address) const;

 private:
  struct Address {
    int family;
    std::array<std::uint8_t, 16> bytes;  // an IPv4 address: the first four
  };

  IpNetwork(const Address& prefix, int bits) : prefix_(prefix), bits_(bits) {}
  static Address WithoutMapping(const sockaddr& address);

  Address prefix_;
  int bits_;
};

struct AddressPolicy {
  /// Everything may be reached; for tests.
  bool allow_private_networks = false;
  /// What may be reached although it is not public.
  std::vector<IpNetwork> allowed_networks{};

  bool Allows(const sockaddr& address) const;
  /// False for what is no IP literal.
  bool Allows(std::string_view literal) const;
};

}  // namespace postern::http
