// Rows 6 and 7 of "Answers of send_leave": what has to be so of a leave before anything is looked up.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
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

/// A user's own leave of the room in the path, submitted by that user's server. Whether it may stand is not known yet.
/// Only CheckLeaveStructure makes one.
class Leave {
 public:
  const std::string& room_id() const { return room_id_; }
  const matrix::UserId& sender() const { return sender_; }
  const matrix::ServerName& origin() const { return origin_; }
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

 private:
  friend absl::StatusOr<Leave> CheckLeaveStructure(AuthenticRequest& request, const std::string& room_id,
                                                   const std::string& event_id);
  Leave(matrix::UserId sender, matrix::ServerName origin) : sender_(std::move(sender)), origin_(std::move(origin)) {}

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
/// member (row 6), kNotThisLeave (row 7).
absl::StatusOr<Leave> CheckLeaveStructure(AuthenticRequest& request, const std::string& room_id,
                                          const std::string& event_id);

/// The part of row 7 that needs the room version: in versions 1-2 the event id's server is the origin. Refuses:
/// kNotThisLeave.
absl::Status CheckEventIdServer(const Leave& leave, const matrix::RoomRules& rules);

}  // namespace postern::gateway
