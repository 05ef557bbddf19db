// Where a server name is served ("Resolving server names", server-server API).
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "matrix/server_name.h"
#include "rpc/recent_names.h"
#include "services/gateway/clock.h"
#include "services/gateway/dns_resolver.h"
#include "services/gateway/peer_addresses.h"
#include "services/gateway/srv_order.h"
#include "services/gateway/well_known.h"
#include "telemetry/metrics.h"

namespace postern::gateway {

struct ServerEndpoint {
  std::uint16_t port;
  std::vector<std::string> addresses;  // IP literals, at least one, all allowed
};

/// Where to connect, and what to call the server there.
struct ServerLocation {
  std::string host_header;
  /// What the certificate must be for, and SNI names unless it is an IP literal; an IPv6 literal has brackets.
  std::string certificate_host;
  std::vector<ServerEndpoint> endpoints;  // in the order to be tried
  /// Which step of the specification it was: "1" to "6", "3.1" to "3.5".
  std::string_view step;
};

struct DiscoveryLimits {
  std::size_t max_names = 10000;  // remembered
  /// Of so many SRV records targets are looked up.
  std::size_t max_targets = 4;
  /// How long a location is used: as long as its first addresses say, within these.
  absl::Duration shortest = absl::Seconds(5);
  absl::Duration longest = absl::Minutes(1);
  /// How long nothing is asked about a name that could not be located.
  absl::Duration failed = absl::Seconds(30);
  std::uint16_t federation_port = 8448;
};

/// Thread-safe. One caller finds out about a name; others that want it meanwhile wait for what it finds.
class ServerDiscovery {
 public:
  ServerDiscovery(const DnsResolver& dns, const PeerAddresses& addresses, WellKnown& well_known, DiscoveryLimits limits,
                  Clock clock, Chance chance, telemetry::Metrics& metrics);

  /// Blocks until `deadline` at most. kUnavailable says why there is nothing to connect to.
  absl::StatusOr<ServerLocation> Locate(const matrix::ServerName& server, absl::Time deadline);

 private:
  struct Entry {
    absl::StatusOr<ServerLocation> answer;
    absl::Time good_until;
  };
  struct Found {
    ServerLocation location;
    absl::Duration ttl;
  };

  /// The steps, in the order of the specification.
  absl::StatusOr<Found> FindOut(const matrix::ServerName& server, absl::Time deadline);
  absl::StatusOr<Found> AtItsHost(const matrix::ServerName& server, std::string_view step, absl::Time deadline);
  absl::StatusOr<Found> AtTargets(const matrix::ServerName& server, std::vector<SrvRecord> records,
                                  std::string_view step, absl::Time deadline);
  void Remember(const std::string& name, const absl::StatusOr<Found>& found, absl::Time deadline);

  const DnsResolver& dns_;
  const PeerAddresses& addresses_;
  WellKnown& well_known_;
  const DiscoveryLimits limits_;
  const Clock clock_;
  const Chance chance_;
  telemetry::Metrics& metrics_;

  std::mutex mutex_;
  std::condition_variable landed_;
  std::set<std::string> in_flight_;  // as many as there are callers at most
  rpc::RecentNames<Entry> known_;
};

}  // namespace postern::gateway
