// GET /_matrix/federation/v1/backfill/{roomId}?v=&limit= (server-server API, "Backfilling and retrieving missing
// events"; pitfalls S04, A06).
#pragma once

#include "services/gateway/clock.h"
#include "services/gateway/key_ring.h"
#include "services/gateway/large_answers.h"
#include "services/gateway/route.h"
#include "services/gateway/store_client.h"

namespace postern::gateway {

/// Answers a transaction of up to 100 events: those asked for and those before them, the newest first, each as
/// VisibilityOf shows it. A server that is not resident gets those that it may see; if there are none, it is refused.
class BackfillRoute : public PeerRoute {
 public:
  /// `answers`: places for such answers, of 6 MiB each at most.
  BackfillRoute(matrix::ServerName server_name, StoreClient& store, KeyRing& key_ring, LargeAnswers& answers,
                Clock clock);

  /// Refuses: kBadQuery without event ids, or without a limit of at least 1; kUnknownRoom, kUnsupportedVersion,
  /// kFederationForbidden, kNotResident; kOverloaded while there are too many such answers.
  absl::StatusOr<http::Response> Handle(AuthenticRequest request) override;

 private:
  const matrix::ServerName server_name_;
  StoreClient& store_;
  KeyRing& key_ring_;
  LargeAnswers& answers_;
  const Clock clock_;
};

}  // namespace postern::gateway
