// The whole way of a request to another server, to those on loopback that a test plays.
#pragma once

#include <utility>

#include "absl/time/clock.h"
#include "services/gateway/federation_client.h"
#include "services/gateway/server_discovery.h"
#include "telemetry/metrics.h"

namespace postern::gateway {

/// Nobody's DNS is asked: the names of the played servers are IP literals.
class LoopbackFederation {
 public:
  explicit LoopbackFederation(http::ClientOptions options)
      : addresses_(dns_, {.allow_private_networks = options.allow_private_networks, .allowed_networks = {}}),
        well_known_(addresses_, options, {}, absl::Now, FairChance(), metrics_),
        discovery_(dns_, addresses_, well_known_, {}, absl::Now, FairChance(), metrics_),
        client_(discovery_, std::move(options)) {}

  FederationClient& client() { return client_; }

 private:
  telemetry::Metrics metrics_;
  const DnsResolver dns_{DnsOptions{}};
  const PeerAddresses addresses_;
  WellKnown well_known_;
  ServerDiscovery discovery_;
  FederationClient client_;
};

}  // namespace postern::gateway
