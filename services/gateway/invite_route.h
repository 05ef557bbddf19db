// PUT /_matrix/federation/v1/invite/{roomId}/{eventId} and /v2/invite/… (server-server API, "Inviting to a room"):
// another server's user invites one of ours.
#pragma once

#include "services/gateway/event_signer.h"
#include "services/gateway/invite_store_client.h"
#include "services/gateway/received_invite.h"
#include "services/gateway/route.h"
#include "services/gateway/store_client.h"
#include "telemetry/metrics.h"

namespace postern::gateway {

enum class InviteApi { kV1, kV2 };

/// What both versions of the endpoint need; all outlive the route.
struct InviteServices {
  StoreClient& store;
  InviteStoreClient& invites;
  const EventSigner& signer;
  KeyRing& key_ring;
  Clock clock;
  telemetry::Metrics& metrics;
};

/// Signs the invite, keeps it for the user, and answers with both signatures. Of a room that users of this server are
/// in nothing is kept here: the event comes by /send, and the room's own state tells of it. Counts
/// postern_gateway_received_invites_total by result. Thread-safe.
class InviteRoute : public PeerRoute {
 public:
  InviteRoute(InviteApi api, InviteServices services);

  /// Refuses: what reading and InviteChecks refuse; kUnsupportedVersion and kFederationForbidden of a room that is
  /// here; kEventTooLarge with this server's signature; kOriginLimited where there are too many invites of the user or
  /// the origin, kOverloaded where there are in all.
  absl::StatusOr<http::Response> Handle(AuthenticRequest request) override;

 private:
  absl::StatusOr<std::string> SignAndKeep(AuthenticRequest& request);
  /// Whether users of this server are in the room.
  absl::StatusOr<bool> IsResident(const rpc::CallContext& call, const ReceivedInvite& invite);
  absl::StatusOr<std::string> Keep(const rpc::CallContext& call, const ReceivedInvite& invite,
                                   const matrix::JsonArray& shown, const SignedEvent& both);

  const InviteApi api_;
  const InviteServices services_;
  InviteChecks checks_;
};

}  // namespace postern::gateway
