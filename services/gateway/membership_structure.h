// Rows 6 and 7 of "Answers of send_leave": what has to be so of a leave, a join or a knock before anything is looked
// up.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "matrix/event.h"
#include "matrix/identifiers.h"
#include "matrix/json.h"
#include "matrix/room_rules.h"
#include "matrix/server_name.h"
#include "services/gateway/peer_auth.h"

namespace postern::gateway {

/// What a user may make of the own membership by way of this server.
enum class Wanted { kLeave, kJoin, kKnock };

/// `content.membership` of such an event.
std::string_view MembershipOf(Wanted wanted);

/// A user's own leave of the room in the path, the own join or knock, submitted by that user's server. Whether it may
/// stand is not known yet. Only CheckMembershipStructure makes one.
class OwnMembership {
 public:
  const std::string& room_id() const { return room_id_; }
  const matrix::UserId& sender() const { return sender_; }
  const matrix::ServerName& origin() const { return origin_; }
  Wanted wanted() const { return wanted_; }
  /// The id that the request's path gives it.
  const std::string& claimed_event_id() const { return claimed_event_id_; }
  const std::vector<std::string>& prev_events() const { return prev_events_; }
  const std::vector<std::string>& auth_events() const { return auth_events_; }
  /// Without `unsigned`: nothing that a stranger may tell us about itself is in there (pitfall J11).
  const matrix::JsonObject& json() const { return json_; }
  /// The canonical JSON of json().
  const std::string& pdu() const { return pdu_; }
  /// How long it was as submitted, in canonical JSON.
  std::size_t submitted_bytes() const { return submitted_bytes_; }
  /// `content.join_authorised_via_users_server` of a join; "" without.
  std::string_view voucher() const;

  /// From now on with `signatures`, which hold those that were there.
  void SetSignatures(matrix::Json signatures);

 private:
  friend absl::StatusOr<OwnMembership> CheckMembershipStructure(AuthenticRequest& request, Wanted wanted,
                                                                const std::string& room_id,
                                                                const std::string& event_id);
  OwnMembership(Wanted wanted, matrix::UserId sender, matrix::ServerName origin)
      : wanted_(wanted), sender_(std::move(sender)), origin_(std::move(origin)) {}

  Wanted wanted_;
  std::string room_id_;
  matrix::UserId sender_;
  matrix::ServerName origin_;
  std::string claimed_event_id_;
  std::vector<std::string> prev_events_;
  std::vector<std::string> auth_events_;
  matrix::JsonObject json_;
  std::string pdu_;
  std::size_t submitted_bytes_ = 0;
};

/// Takes the content of `request`. `room_id` and `event_id` are those of its path. Refuses: kBadStructure naming the
/// member (row 6); kNotThisLeave, or of a join or knock kNotThisMembership (row 7).
absl::StatusOr<OwnMembership> CheckMembershipStructure(AuthenticRequest& request, Wanted wanted,
                                                       const std::string& room_id, const std::string& event_id);

/// The part of row 7 that needs the room version: in versions 1-2 the event id's server is the origin. Refuses as
/// above.
absl::Status CheckEventIdServer(const OwnMembership& event, const matrix::RoomRules& rules);

}  // namespace postern::gateway
