// GET /_matrix/federation/v1/event/{eventId} (server-server API, "Retrieving events").
#pragma once

#include "services/gateway/clock.h"
#include "services/gateway/key_ring.h"
#include "services/gateway/route.h"
#include "services/gateway/store_client.h"

namespace postern::gateway {

/// Answers a transaction of one event. A resident server gets it as VisibilityOf says, whole or redacted; any other one
/// whole or not at all.
class EventRoute : public PeerRoute {
 public:
  EventRoute(matrix::ServerName server_name, StoreClient& store, KeyRing& key_ring, Clock clock);

  /// Refuses: kUnknownEvent, kUnsupportedVersion, kFederationForbidden, kNotResident.
  absl::StatusOr<http::Response> Handle(AuthenticRequest request) override;

 private:
  const matrix::ServerName server_name_;
  StoreClient& store_;
  KeyRing& key_ring_;
  const Clock clock_;
};

}  // namespace postern::gateway
