// POST /_matrix/federation/v1/get_missing_events/{roomId} (server-server API, "Backfilling and retrieving missing
// events"; pitfalls S03, L15).
#pragma once

#include "services/gateway/key_ring.h"
#include "services/gateway/route.h"
#include "services/gateway/store_client.h"

namespace postern::gateway {

/// Answers up to 20 events before those that the asker has, the oldest first, each as VisibilityOf shows it. A server
/// that is not resident gets those that it may see; if there are none, it is refused.
class MissingEventsRoute : public PeerRoute {
 public:
  MissingEventsRoute(StoreClient& store, KeyRing& key_ring);

  /// Refuses: kBadJson, kUnknownRoom, kUnsupportedVersion, kFederationForbidden, kNotResident.
  absl::StatusOr<http::Response> Handle(AuthenticRequest request) override;

 private:
  StoreClient& store_;
  KeyRing& key_ring_;
};

}  // namespace postern::gateway
