// A remote homeserver, played: it signs its requests, asks for a leave template, completes, hashes and signs the event,
// and submits it. The steps are apart, so that a caller may take templates beforehand, or spoil what lies between two
// steps.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "http/http_client.h"
#include "http/http_message.h"
#include "matrix/json.h"
#include "matrix/room_rules.h"
#include "posternctl/peer/server_identity.h"

namespace postern::peer {

/// The homeserver that is asked: where it listens ("https://host:8448", no slash at the end), and its name.
struct Destination {
  std::string url;
  std::string server_name;
};

enum class LeaveApi { kV1, kV2 };

/// What a leave says of itself; the template adds only where it stands in the room.
struct LeaveIntent {
  std::string room_id;
  std::string user_id;
  /// content.reason; left out if empty.
  std::string reason;
  /// What this server's clock is to have said; nullopt: it goes right.
  std::optional<absl::Time> at = std::nullopt;
};

/// The answer of make_leave.
struct LeaveTemplate {
  const matrix::RoomRules* rules;
  matrix::JsonObject event;
};

/// A leave that is ready to be sent. Spoil `event` as you like: it is sent as it stands, under `event_id`.
struct SignedLeave {
  std::string event_id;
  std::string room_id;
  matrix::JsonObject event;
};

/// Reads the body of a 200 of make_leave, or of a file in which one was kept. A missing room_version reads as "1".
/// Refuses: kBadJson for what is no template, kUnsupportedVersion.
absl::StatusOr<LeaveTemplate> ReadLeaveTemplate(std::string_view body);

/// What the specification has a server verify before it signs ("make_leave"): room, sender, state key, type and
/// membership are those that were asked for. Refuses: kBadStructure, naming the member.
absl::Status CheckLeaveTemplate(const LeaveTemplate& from, const LeaveIntent& intent);

/// Builds the event from `intent` alone and takes only prev_events, auth_events and depth from the template (pitfall
/// L21), hashes and signs it as `identity`. Versions 1-2: under a new random event id of that server. Refuses:
/// kBadStructure where the template lacks one of the three.
absl::StatusOr<SignedLeave> CompleteLeave(const LeaveTemplate& from, const LeaveIntent& intent,
                                          const ServerIdentity& identity, absl::Time now);

/// The name that the server at `url` publishes in its key document. Refuses: UNAVAILABLE, or kBadJson for another
/// answer.
absl::StatusOr<std::string> AskServerName(http::HttpClient& client, const std::string& url);

/// The targets of the requests below, percent-encoded.
std::string MakeLeaveTarget(const LeaveIntent& intent);
std::string SendLeaveTarget(LeaveApi api, std::string_view room_id, std::string_view event_id);

/// Thread-safe. Every HTTP answer is OK, whatever its status; UNAVAILABLE if there was none.
class RemoteServer {
 public:
  /// Both outlive the server.
  RemoteServer(const ServerIdentity& identity, http::HttpClient& client) : identity_(identity), client_(client) {}

  /// The Authorization header of a request; `content` is nullptr for one without a body.
  std::string Authorization(const Destination& to, std::string_view method, std::string_view target,
                            const matrix::Json* content) const;

  /// A signed request, to be sent at any time; the body is the canonical JSON of `content`.
  http::ClientRequest Prepare(const Destination& to, std::string_view method, std::string_view target,
                              const matrix::Json* content) const;
  http::ClientRequest PrepareSendLeave(const Destination& to, LeaveApi api, const SignedLeave& leave) const;

  /// The same, sent.
  absl::StatusOr<http::Response> Send(const Destination& to, std::string_view method, std::string_view target,
                                      const matrix::Json* content) const;

  absl::StatusOr<http::Response> MakeLeave(const Destination& to, const LeaveIntent& intent) const;
  absl::StatusOr<http::Response> SendLeave(const Destination& to, LeaveApi api, const SignedLeave& leave) const;

  const ServerIdentity& identity() const { return identity_; }

 private:
  const ServerIdentity& identity_;
  http::HttpClient& client_;
};

/// Whether this answer says that the server does not know the endpoint: 404, or 400 M_UNRECOGNIZED; version 1 may do.
bool EndpointIsUnknown(const http::Response& response);

}  // namespace postern::peer
