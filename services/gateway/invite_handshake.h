// Asking another server to sign the invite of one of its users (server-server API, "Inviting to a room"): until it has,
// the user has not been told, and nothing is stored here.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "matrix/identifiers.h"
#include "matrix/room_rules.h"
#include "rpc/call_context.h"
#include "services/gateway/event_signer.h"
#include "services/gateway/federation_client.h"
#include "services/gateway/key_ring.h"
#include "services/gateway/store_client.h"

namespace postern::gateway {

/// An invite that this server has signed, and whom it is for.
struct OutboundInvite {
  const SignedEvent& event;
  std::string room_id;
  matrix::UserId sender;
  matrix::UserId invited;
  const matrix::RoomRules& rules;
};

/// Thread-safe. Blocks for as long as the other server takes.
class InviteHandshake {
 public:
  InviteHandshake(const EventSigner& signer, StoreClient& store, FederationClient& federation, KeyRing& key_ring,
                  Clock clock);

  /// The invite with the signatures of both servers, canonical JSON: of the answer nothing but the signatures is taken.
  /// With the invite go the events of the room's state that tell what room it is, whole, as the specification has it
  /// since 1.16 (older servers read the members of a stripped event in them). Asks by v2; in rooms of versions 1-2, by
  /// v1 where v2 answers 400 or 404. Refuses: kFederationForbidden (m.federate, server ACL), kInviteRefused where the
  /// server says no, or answers another event or no signature by a key of its own; kPeerUnavailable where it cannot be
  /// asked just now; what the store refuses.
  absl::StatusOr<std::string> SignedByBoth(const rpc::CallContext& call, const OutboundInvite& invite);

 private:
  absl::StatusOr<matrix::JsonArray> StateToShow(const rpc::CallContext& call, const OutboundInvite& invite);
  absl::StatusOr<matrix::JsonObject> Ask(const rpc::CallContext& call, const OutboundInvite& invite,
                                         const matrix::JsonObject& event, matrix::JsonArray state);
  absl::StatusOr<http::Response> Put(const rpc::CallContext& call, const OutboundInvite& invite, std::string_view api,
                                     const matrix::Json& content);
  /// Copies those signatures of the invited server from `answer` that hold.
  absl::Status AddSignatures(const rpc::CallContext& call, const OutboundInvite& invite,
                             const matrix::JsonObject& answer, matrix::JsonObject& event);

  const EventSigner& signer_;
  StoreClient& store_;
  FederationClient& federation_;
  KeyRing& key_ring_;
  const Clock clock_;
};

}  // namespace postern::gateway
