// Step 3 of server discovery: which server a host delegates to, asked over HTTPS and remembered.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "http/http_client.h"
#include "matrix/server_name.h"
#include "rpc/recent_names.h"
#include "services/gateway/clock.h"
#include "services/gateway/peer_addresses.h"
#include "services/gateway/srv_order.h"
#include "telemetry/metrics.h"

namespace postern::gateway {

struct WellKnownLimits {
  std::size_t max_hosts = 10000;  // remembered
  int max_redirects = 5;
  /// For everything that finding one document takes; half of what the caller has left if that is less.
  absl::Duration longest = absl::Seconds(4);
  /// How long a host is not asked again because our own DNS did not answer: that says nothing about the host.
  absl::Duration own_trouble = absl::Seconds(30);
  std::uint16_t https_port = 443;
};

/// Thread-safe. Asks for a host that two callers want at once twice: ServerDiscovery sees to it that they do not.
class WellKnown {
 public:
  WellKnown(const PeerAddresses& addresses, http::ClientOptions client, WellKnownLimits limits, Clock clock,
            Chance chance, telemetry::Metrics& metrics);

  /// The server that `host`, in lower case, delegates to; nullopt if it does not, or does not say so in time: the
  /// specification goes on at step 4 either way. Blocks until half of the time to `deadline` has passed at most.
  std::optional<matrix::ServerName> Find(const std::string& host, absl::Time deadline);

 private:
  enum class Outcome {
    kDelegated,
    kNone,         // the host says, or shows, that it has no such document
    kUnreachable,  // it may have one
    kOwnTrouble,
  };
  struct Fetched {
    Outcome outcome;
    std::optional<matrix::ServerName> delegated{};
    absl::Duration lifetime{};  // of kDelegated
  };
  struct Entry {
    std::optional<matrix::ServerName> delegated{};
    absl::Time believed_until = absl::InfinitePast();
    absl::Time ask_again = absl::InfinitePast();
    int failures = 0;  // since the last success
  };

  Fetched Fetch(const std::string& host, absl::Time deadline);
  /// The answer behind at most so many redirects; kFailedPrecondition for what must not be followed, else the statuses
  /// of PeerAddresses, and kAborted where the connection fails.
  absl::StatusOr<http::Response> Get(const std::string& host, absl::Time deadline);
  Entry After(const Entry* known, const Fetched& fetched, absl::Time now) const;

  const PeerAddresses& addresses_;
  http::HttpClient client_;
  const WellKnownLimits limits_;
  const Clock clock_;
  const Chance chance_;
  telemetry::Metrics& metrics_;

  std::mutex mutex_;
  rpc::RecentNames<Entry> known_;
};

}  // namespace postern::gateway
