// DNS, by c-ares: what other servers' names have for addresses and services.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "services/gateway/srv_order.h"

namespace postern::gateway {

struct DnsOptions {
  /// "192.0.2.53", "192.0.2.53:5353", "[2001:db8::53]:53"; empty: those of the system.
  std::vector<std::string> servers{};
  /// How long the first try waits for a server; each further one waits twice as long.
  absl::Duration first_wait = absl::Seconds(1);
  /// How long one lookup may take, whatever the caller's deadline.
  absl::Duration longest = absl::Seconds(3);
};

struct AddressRecords {
  std::vector<std::string> literals;  // IPv6 and IPv4, the ones that are more likely to be reached first
  absl::Duration ttl;                 // of the one that goes first
};

/// Thread-safe: each lookup has a c-ares channel of its own, which lives, is driven and ends on the calling thread.
///
/// Names are asked for as they are: search domains and aliases of this machine do not apply, for strangers choose the
/// names, and "postern-store" must not find a neighbour in the cluster.
class DnsResolver {
 public:
  explicit DnsResolver(DnsOptions options);

  /// AAAA and A records of `host`, behind whatever CNAMEs; /etc/hosts counts as the system says. Empty: there is no
  /// such name, or it has none. kUnavailable: that could not be found out in time.
  absl::StatusOr<AddressRecords> FindAddresses(const std::string& host, absl::Time deadline) const;

  /// SRV records of `name`, in no order. Empty and kUnavailable as above.
  absl::StatusOr<std::vector<SrvRecord>> FindServices(const std::string& name, absl::Time deadline) const;

 private:
  const DnsOptions options_;
};

}  // namespace postern::gateway
