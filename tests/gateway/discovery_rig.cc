#include "tests/gateway/discovery_rig.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <utility>

#include "absl/time/clock.h"
#include "services/gateway/key_source.h"

namespace postern::gateway {
namespace {

/// What chance does is tested with what is pure; here times are to be exact.
Chance NoChance() {
  return [](std::uint32_t) { return 0U; };
}

std::vector<http::IpNetwork> AllowedNetworks() {
  return {*http::IpNetwork::Parse(kAllowed), *http::IpNetwork::Parse("::1")};
}

}  // namespace

DiscoveryRig::Parts::Parts(const DiscoveryRig& rig, const http::ClientOptions& options, const Clock& clock,
                           telemetry::Metrics& metrics)
    : dns(rig.dns_options),
      addresses(dns, {.allowed_networks = options.allowed_networks}),
      well_known(addresses, options, rig.well_known_limits, clock, NoChance(), metrics),
      discovery(dns, addresses, well_known, rig.limits, clock, NoChance(), metrics),
      client(discovery, options) {}

DiscoveryRig::DiscoveryRig()
    : ca_file_(testing::TempDir() + "/postern_discovery_" + std::to_string(getpid()) + ".crt") {
  std::ofstream(ca_file_, std::ios::trunc).flush();
  dns_options.servers = {dns_.address()};
  dns_options.first_wait = absl::Seconds(5);  // a test that is slow must not ask twice
  dns_options.longest = absl::Seconds(15);
  well_known_limits.longest = absl::Seconds(9);
}

DiscoveryRig::~DiscoveryRig() { std::remove(ca_file_.c_str()); }

void DiscoveryRig::Trust(const std::string& certificate_pem) {
  EXPECT_EQ(parts_, nullptr);
  std::ofstream(ca_file_, std::ios::app) << certificate_pem;
}

DiscoveryRig::Parts& DiscoveryRig::parts() {
  if (parts_ == nullptr) {
    const http::ClientOptions options{.allowed_networks = AllowedNetworks(), .ca_file = ca_file_};
    const Clock clock = [this] { return absl::UnixEpoch() + absl::Seconds(passed_seconds_.load()); };
    parts_ = std::make_unique<Parts>(*this, options, clock, metrics_);
  }
  return *parts_;
}

ServerDiscovery& DiscoveryRig::discovery() { return parts().discovery; }
FederationClient& DiscoveryRig::client() { return parts().client; }

absl::StatusOr<FetchedKeys> DiscoveryRig::FetchKeys(const matrix::ServerName& server) {
  return DirectKeys(client(), absl::Now).FetchKeys(server, absl::Seconds(20));
}

absl::StatusOr<ServerLocation> DiscoveryRig::Locate(const std::string& server, absl::Duration timeout) {
  return discovery().Locate(*matrix::ServerName::Parse(server), absl::Now() + timeout);
}

std::string DiscoveryRig::StepOf(const std::string& server) {
  const auto location = Locate(server);
  return location.ok() ? std::string(location->step) : "";
}

}  // namespace postern::gateway
