// What has to be so of another server's invite of one of our users before this server signs it (server-server API,
// "Inviting to a room").
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "matrix/event.h"
#include "matrix/identifiers.h"
#include "matrix/json.h"
#include "matrix/room_rules.h"
#include "matrix/server_name.h"
#include "services/gateway/clock.h"
#include "services/gateway/key_ring.h"

namespace postern::gateway {

/// An invite as it came, taken apart.
struct SubmittedInvite {
  /// Without `unsigned`.
  matrix::JsonObject event;
  /// What was shown with it.
  matrix::JsonArray shown_state;
  const matrix::RoomRules* rules = nullptr;
};

/// The content of v2: room_version, event, invite_room_state. Refuses: kBadStructure, kIncompatibleVersion.
absl::StatusOr<SubmittedInvite> ReadInviteV2(matrix::JsonObject content);
/// The content of v1: the event of a room of version 1 or 2, which of them is not said and makes no difference to it;
/// what is shown stands in its `unsigned`. Refuses: kBadStructure.
absl::StatusOr<SubmittedInvite> ReadInviteV1(matrix::JsonObject content);

/// An invite of a user of this server by the server that submits it, signed by that one, for the room and with the id
/// of the request's path. Only InviteChecks makes one.
class ReceivedInvite {
 public:
  const matrix::Event& event() const { return event_; }
  const matrix::UserId& sender() const { return sender_; }
  const matrix::UserId& invited() const { return invited_; }

 private:
  friend class InviteChecks;
  ReceivedInvite(matrix::Event event, matrix::UserId sender, matrix::UserId invited)
      : event_(std::move(event)), sender_(std::move(sender)), invited_(std::move(invited)) {}
  matrix::Event event_;
  matrix::UserId sender_;
  matrix::UserId invited_;
};

/// Where an invite came in.
struct InviteRequest {
  const matrix::ServerName& origin;
  std::string room_id;
  std::string event_id;
  /// Whose request costs the fetch of a key.
  std::string client_address;
  absl::Time deadline;
};

/// Thread-safe.
class InviteChecks {
 public:
  InviteChecks(matrix::ServerName server_name, KeyRing& key_ring, Clock clock);

  /// Refuses: kBadFormat; kNotThisMembership; kEventIdMismatch; kBadSignature, for a content hash that does not match
  /// too: an invite comes from who made it, and nobody else may have redacted it on the way; kSigningKeyUnavailable.
  absl::StatusOr<ReceivedInvite> Check(const InviteRequest& request, const SubmittedInvite& submitted);

 private:
  absl::Status CheckSignature(const InviteRequest& request, const matrix::Event& event);

  const matrix::ServerName server_name_;
  KeyRing& key_ring_;
  const Clock clock_;
};

/// Of `shown`, stripped, those that say what room it is and who is in it, as far as they fit into 32 KiB.
matrix::JsonArray StrippedState(const matrix::JsonArray& shown);

}  // namespace postern::gateway
