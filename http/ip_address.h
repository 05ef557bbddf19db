// IP addresses as text, and which of them are not for the public: what outbound connections must not reach unless it is
// allowed (pitfall S01).
#pragma once

#include <string>
#include <string_view>

struct sockaddr;

namespace postern::http {

/// Loopback, private, link-local, carrier-grade NAT, multicast, documentation, unspecified, unique-local; also where
/// such an IPv4 address is mapped, NAT64-, 6to4- or Teredo-embedded in an IPv6 one. Anything that is no IP address is
/// not public.
bool IsPublicAddress(const sockaddr& address);
bool IsPublicAddress(std::string_view literal);

/// Whether it is an IPv4 or an IPv6 address, without brackets.
bool IsIpLiteral(const std::string& host);

}  // namespace postern::http
