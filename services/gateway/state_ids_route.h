// GET /_matrix/federation/v1/state_ids/{roomId}?event_id= (server-server API, "Retrieving a room's state").
#pragma once

#include "services/gateway/key_ring.h"
#include "services/gateway/large_answers.h"
#include "services/gateway/route.h"
#include "services/gateway/store_client.h"

namespace postern::gateway {

/// Answers the ids of the state before an event, and of their auth events, to a server that is resident or may see the
/// event.
class StateIdsRoute : public PeerRoute {
 public:
  StateIdsRoute(StoreClient& store, KeyRing& key_ring, LargeAnswers& large_answers);

  /// Refuses: kBadQuery, kUnknownRoom, kUnsupportedVersion, kFederationForbidden, kUnknownEvent, kNotResident,
  /// kAnswerTooLarge, kStateUnresolved; kOverloaded while there are too many such answers.
  absl::StatusOr<http::Response> Handle(AuthenticRequest request) override;

 private:
  StoreClient& store_;
  KeyRing& key_ring_;
  LargeAnswers& large_answers_;
};

}  // namespace postern::gateway
