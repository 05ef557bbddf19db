// Server discovery with a DNS server and authorities of the test's own, and a clock that it sets.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "http/http_client.h"
#include "services/gateway/dns_resolver.h"
#include "services/gateway/federation_client.h"
#include "services/gateway/key_document.h"
#include "services/gateway/peer_addresses.h"
#include "services/gateway/server_discovery.h"
#include "services/gateway/well_known.h"
#include "telemetry/metrics.h"
#include "tests/gateway/played_dns.h"

namespace postern::gateway {

/// 127.0.0.2 and ::1 may be reached; 127.0.0.3 is there too, and may not.
inline constexpr const char* kAllowed = "127.0.0.2";
inline constexpr const char* kForbidden = "127.0.0.3";

class DiscoveryRig {
 public:
  DiscoveryRig();
  ~DiscoveryRig();

  PlayedDns& dns() { return dns_; }
  /// Believes an authority from now on; before the first question.
  void Trust(const std::string& certificate_pem);

  // To be set before the first question.
  DnsOptions dns_options;
  WellKnownLimits well_known_limits;
  DiscoveryLimits limits;

  /// Made by the first call.
  ServerDiscovery& discovery();
  FederationClient& client();
  /// What the server says of its keys, asked directly.
  absl::StatusOr<FetchedKeys> FetchKeys(const matrix::ServerName& server);

  absl::StatusOr<ServerLocation> Locate(const std::string& server, absl::Duration timeout = absl::Seconds(20));
  /// The step by which it is located; "" if it is not.
  std::string StepOf(const std::string& server);
  /// Sets the clock forward.
  void Pass(absl::Duration time) { passed_seconds_ += absl::ToInt64Seconds(time); }

 private:
  struct Parts {
    DnsResolver dns;
    PeerAddresses addresses;
    WellKnown well_known;
    ServerDiscovery discovery;
    FederationClient client;

    Parts(const DiscoveryRig& rig, const http::ClientOptions& options, const Clock& clock, telemetry::Metrics& metrics);
  };
  Parts& parts();

  PlayedDns& dns_ = PlayedDns::Emptied();
  const std::string ca_file_;
  std::atomic<std::int64_t> passed_seconds_ = 0;
  telemetry::Metrics metrics_;
  std::unique_ptr<Parts> parts_;
};

}  // namespace postern::gateway
