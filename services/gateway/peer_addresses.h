// Which addresses of another server's host may be connected to (pitfall S01).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "http/address_policy.h"
#include "services/gateway/dns_resolver.h"

namespace postern::gateway {

/// Whether DNS may be asked for `host`. A last label that is a number makes it no name: "127.1" and "0x7f.1" are
/// addresses to who reads them loosely, libcurl among them.
bool IsHostName(std::string_view host);

struct PeerHost {
  std::vector<std::string> literals;  // at least one, at most eight, in the order to be tried
  absl::Duration ttl;                 // infinite for an IP literal
};

/// Thread-safe.
class PeerAddresses {
 public:
  PeerAddresses(const DnsResolver& dns, http::AddressPolicy policy);

  /// `host` is a name or an IP literal without brackets. Addresses that the policy forbids are left out. kNotFound: no
  /// such name, or no address. kPermissionDenied: none that is allowed. kUnavailable: DNS could not be asked.
  absl::StatusOr<PeerHost> Find(std::string_view host, absl::Time deadline) const;

 private:
  const DnsResolver& dns_;
  const http::AddressPolicy policy_;
};

}  // namespace postern::gateway
