#include "services/gateway/server_discovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/time/clock.h"
#include "matrix/refusal.h"

namespace postern::gateway {
namespace {

absl::Status NotLocated(const matrix::ServerName& server, std::string_view why) {
  return absl::UnavailableError(fmt::format("{} could not be located: {}", server.text(), why));
}

ServerLocation Called(const matrix::ServerName& server, std::string_view step) {
  return {server.text(), std::string(server.host_as_written()), {}, step};
}

/// RFC 2782: a single record whose target is the root says that there is no such service.
bool SaysNotHere(const std::vector<SrvRecord>& records) {
  return records.size() == 1 && (records.front().target.empty() || records.front().target == ".");
}

}  // namespace

ServerDiscovery::ServerDiscovery(const DnsResolver& dns, const PeerAddresses& addresses, WellKnown& well_known,
                                 DiscoveryLimits limits, Clock clock, Chance chance, telemetry::Metrics& metrics)
    : dns_(dns),
      addresses_(addresses),
      well_known_(well_known),
      limits_(limits),
      clock_(std::move(clock)),
      chance_(std::move(chance)),
      metrics_(metrics),
      known_(limits.max_names) {}

absl::StatusOr<ServerLocation> ServerDiscovery::Locate(const matrix::ServerName& server, absl::Time deadline) {
  // DNS, TLS and HTTP know no case. Were names told apart by it, one host could be asked about in many spellings.
  const auto lower = matrix::ServerName::Parse(absl::AsciiStrToLower(server.text()));
  if (!lower.ok()) return lower.status();
  const std::string& name = lower->text();
  {
    std::unique_lock lock(mutex_);
    for (;;) {
      const Entry* known = known_.Find(name);
      if (known != nullptr && clock_() < known->good_until) return known->answer;
      if (in_flight_.insert(name).second) break;
      const auto has_landed = [&] { return !in_flight_.contains(name); };
      if (!landed_.wait_until(lock, absl::ToChronoTime(deadline), has_landed)) {
        return NotLocated(server, "another request is still looking for it");
      }
    }
  }
  const absl::StatusOr<Found> found = FindOut(*lower, deadline);
  metrics_.Count("postern_gateway_server_discoveries_total", {{"step", found.ok() ? found->location.step : "failed"}});
  Remember(name, found, deadline);
  if (!found.ok()) return found.status();
  return found->location;
}

void ServerDiscovery::Remember(const std::string& name, const absl::StatusOr<Found>& found, absl::Time deadline) {
  const std::lock_guard lock(mutex_);
  in_flight_.erase(name);
  landed_.notify_all();
  if (found.ok()) {
    known_.Put(name, {found->location, clock_() + std::clamp(found->ttl, limits_.shortest, limits_.longest)});
  } else if (absl::Now() < deadline) {  // else it says more about the caller than about the server
    known_.Put(name, {found.status(), clock_() + limits_.failed});
  }
}

absl::StatusOr<ServerDiscovery::Found> ServerDiscovery::FindOut(const matrix::ServerName& server, absl::Time deadline) {
  if (server.IsIpLiteral()) return AtItsHost(server, "1", deadline);
  if (!IsHostName(server.host())) return NotLocated(server, "its host is no host name");
  if (server.port()) return AtItsHost(server, "2", deadline);

  const auto delegated = well_known_.Find(std::string(server.host()), deadline);
  if (delegated && delegated->IsIpLiteral()) return AtItsHost(*delegated, "3.1", deadline);
  if (delegated && delegated->port()) return AtItsHost(*delegated, "3.2", deadline);

  // What follows is the same for the name itself and for the one that it delegates to.
  const matrix::ServerName& name = delegated ? *delegated : server;
  const struct {
    std::string_view service;
    std::string_view step;
  } services[] = {{"_matrix-fed._tcp", delegated ? "3.3" : "4"}, {"_matrix._tcp", delegated ? "3.4" : "5"}};
  for (const auto& [service, step] : services) {
    auto records = dns_.FindServices(fmt::format("{}.{}", service, name.host()), deadline);
    // A lookup that fails does not say that there is no record: the next step could lead to another service.
    if (!records.ok()) return NotLocated(server, matrix::DetailOf(records.status()));
    if (!records->empty()) return AtTargets(name, std::move(*records), step, deadline);
  }
  return AtItsHost(name, delegated ? "3.5" : "6", deadline);
}

absl::StatusOr<ServerDiscovery::Found> ServerDiscovery::AtItsHost(const matrix::ServerName& server,
                                                                  std::string_view step, absl::Time deadline) {
  const std::uint16_t port = server.port().value_or(limits_.federation_port);
  if (port == 0) return NotLocated(server, "nothing is served on port 0");
  auto peer = addresses_.Find(server.host(), deadline);
  if (!peer.ok()) return NotLocated(server, fmt::format("step {}: {}", step, matrix::DetailOf(peer.status())));
  Found found{Called(server, step), peer->ttl};
  found.location.endpoints.push_back({port, std::move(peer->literals)});
  return found;
}

absl::StatusOr<ServerDiscovery::Found> ServerDiscovery::AtTargets(const matrix::ServerName& server,
                                                                  std::vector<SrvRecord> records, std::string_view step,
                                                                  absl::Time deadline) {
  if (SaysNotHere(records)) return NotLocated(server, fmt::format("step {}: it says that it is not served", step));
  records = InOrderOfTrial(std::move(records), chance_);
  if (records.size() > limits_.max_targets) records.resize(limits_.max_targets);
  Found found{Called(server, step), absl::InfiniteDuration()};
  std::string why = "no target is a host name with a port";
  for (const SrvRecord& record : records) {
    if (record.port == 0 || !IsHostName(record.target)) continue;
    auto peer = addresses_.Find(record.target, deadline);
    if (!peer.ok()) {
      why = matrix::DetailOf(peer.status());
      continue;
    }
    found.ttl = std::min(found.ttl, peer->ttl);
    found.location.endpoints.push_back({record.port, std::move(peer->literals)});
  }
  if (found.location.endpoints.empty()) return NotLocated(server, fmt::format("step {}: {}", step, why));
  return found;
}

}  // namespace postern::gateway
