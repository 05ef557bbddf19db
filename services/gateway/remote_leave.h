// Leaving a room that lives on other servers (server-server API, "Leaving Rooms (Rejecting Invites)"): one server of
// the room is asked for a template, and given the leave.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "matrix/json.h"
#include "matrix/room_rules.h"
#include "matrix/server_name.h"
#include "postern/store/v1/received_invites.pb.h"
#include "services/gateway/clock.h"
#include "services/gateway/event_signer.h"
#include "services/gateway/federation_client.h"

namespace postern::gateway {

/// What a user of this server wants to leave.
struct RemoteMembership {
  std::string room_id;
  std::string user_id;
  /// Of the leave; "" for none.
  std::string reason;
  const matrix::RoomRules& rules;
};

/// What came of asking one server.
struct LeaveAttempt {
  enum Result {
    kLeft,
    /// The server says, as a Matrix server does, that there is no such room, or nothing that the user could leave.
    kDenied,
    kFailed,
  };
  Result result;
  /// Why not, for the operator.
  std::string detail{};
};

/// Servers that may know of the room, each once, this server left out, at most 20: those that the operator named, the
/// inviter's, those of users in what was shown with the invite, the room id's (versions before 12).
std::vector<matrix::ServerName> ServersToLeaveBy(const store::v1::ReceivedInvite& invite,
                                                 const matrix::RoomRules& rules, const matrix::ServerName& ours);

/// Of a template, what a leave of ours takes over (pitfall L21): where in the room it stands. All else in it is
/// only looked at: a template for another event, room, user or version is none. kInvalidArgument says what is wrong.
absl::StatusOr<matrix::JsonObject> LeaveFromTemplate(std::string_view answer, const RemoteMembership& membership,
                                                     absl::Time now);

/// Thread-safe.
class RemoteLeaves {
 public:
  RemoteLeaves(const EventSigner& signer, FederationClient& federation, Clock clock);

  /// Asks `server`, until `deadline` at most. send_leave goes by v2, and by v1 where v2 is not known there.
  LeaveAttempt LeaveBy(const matrix::ServerName& server, const RemoteMembership& membership, absl::Time deadline);

 private:
  LeaveAttempt Submit(const matrix::ServerName& server, const RemoteMembership& membership, const SignedEvent& leave,
                      absl::Time deadline);
  absl::StatusOr<http::Response> Put(const matrix::ServerName& server, std::string_view api,
                                     const RemoteMembership& membership, const SignedEvent& leave, absl::Time deadline);

  const EventSigner& signer_;
  FederationClient& federation_;
  const Clock clock_;
};

}  // namespace postern::gateway
