// GET /_matrix/federation/v1/state/{roomId}?event_id= (server-server API, "Get all the state of a given room").
#pragma once

#include "services/gateway/key_ring.h"
#include "services/gateway/large_answers.h"
#include "services/gateway/route.h"
#include "services/gateway/store_client.h"

namespace postern::gateway {

/// Answers the events of the state before an event, and of the auth chains of its entries, to a server that is resident
/// or may see the event. They are given whole, as event_auth gives them.
class StateRoute : public PeerRoute {
 public:
  StateRoute(StoreClient& store, KeyRing& key_ring, LargeAnswers& large_answers);

  /// Refuses: kBadQuery without an event id; kUnknownRoom, kUnsupportedVersion, kFederationForbidden, kUnknownEvent,
  /// kNotResident, kAnswerTooLarge, kStateUnresolved; kOverloaded while there are too many such answers.
  absl::StatusOr<http::Response> Handle(AuthenticRequest request) override;

 private:
  StoreClient& store_;
  KeyRing& key_ring_;
  LargeAnswers& large_answers_;
};

}  // namespace postern::gateway
