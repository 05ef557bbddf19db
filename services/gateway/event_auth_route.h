// GET /_matrix/federation/v1/event_auth/{roomId}/{eventId} (server-server API, "Retrieve event auth").
#pragma once

#include "services/gateway/key_ring.h"
#include "services/gateway/large_answers.h"
#include "services/gateway/route.h"
#include "services/gateway/store_client.h"

namespace postern::gateway {

/// Answers the whole auth chain of an event to a server that is resident or may see the event. The chain's events are
/// given whole: they are the state that every member's server was given.
class EventAuthRoute : public PeerRoute {
 public:
  EventAuthRoute(StoreClient& store, KeyRing& key_ring, LargeAnswers& large_answers);

  /// Refuses: kUnknownRoom, kUnsupportedVersion, kFederationForbidden, kUnknownEvent, kNotResident, kAnswerTooLarge;
  /// kOverloaded while there are too many such answers.
  absl::StatusOr<http::Response> Handle(AuthenticRequest request) override;

 private:
  StoreClient& store_;
  KeyRing& key_ring_;
  LargeAnswers& large_answers_;
};

}  // namespace postern::gateway
