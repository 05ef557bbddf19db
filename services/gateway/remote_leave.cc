#include "services/gateway/remote_leave.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "matrix/event.h"
#include "matrix/identifiers.h"
#include "matrix/refusal.h"
#include "services/gateway/room_draft.h"
#include "services/gateway/signed_request.h"

namespace postern::gateway {
namespace {

using matrix::Json;
using matrix::JsonArray;
using matrix::JsonObject;
using matrix::Reason;
using matrix::Refuse;
using matrix::RoomRules;
using matrix::ServerName;

constexpr int kOk = 200;
constexpr int kForbidden = 403;
constexpr int kNotFound = 404;
constexpr std::size_t kLongestTemplate = 64 * 1024;
constexpr std::size_t kLongestTaken = 16 * 1024;
constexpr std::size_t kLongestError = 200;
constexpr std::size_t kMostServers = 20;

std::string_view TextIn(const JsonObject& object, std::string_view key) {
  const Json* member = object.Find(key);
  const std::string* text = member == nullptr ? nullptr : member->AsString();
  return text == nullptr ? std::string_view() : std::string_view(*text);
}

bool IsCarried(const RoomRules& rules) { return rules.event_id_format == matrix::EventIdFormat::kCarried; }

/// Versions 1 and 2 do not differ in what an event is; of an invite by v1 it is not known which of them the room has.
bool IsOfVersion(const JsonObject& answer, const RoomRules& rules) {
  if (!answer.Contains("room_version")) return IsCarried(rules);
  const RoomRules* said = matrix::FindRoomRules(TextIn(answer, "room_version"));
  return said != nullptr && (said->version == rules.version || (IsCarried(*said) && IsCarried(rules)));
}

std::string ErrcodeIn(const http::Response& response) {
  const auto body = matrix::ParseJson(response.body);
  return body.ok() && body->AsObject() != nullptr
             ? std::string(TextIn(*body->AsObject(), "errcode").substr(0, kLongestError))
             : "";
}

LeaveAttempt Failed(const absl::Status& why) { return {LeaveAttempt::kFailed, std::string(matrix::DetailOf(why))}; }

LeaveAttempt NotTaken(std::string_view what, const http::Response& response) {
  const std::string errcode = ErrcodeIn(response);
  const bool denied = (response.status == kForbidden && errcode == "M_FORBIDDEN") ||
                      (response.status == kNotFound && errcode == "M_NOT_FOUND");
  return {denied ? LeaveAttempt::kDenied : LeaveAttempt::kFailed,
          fmt::format("{} answered {} {}", what, response.status, errcode)};
}

absl::Status NotThis(std::string_view what) {
  return Refuse(Reason::kInvalidArgument, fmt::format("the template is {}", what));
}

absl::Status CheckTemplate(const JsonObject& event, const RemoteMembership& membership) {
  const Json* content = event.Find("content");
  if (content == nullptr || content->AsObject() == nullptr) return NotThis("without content");
  if (TextIn(event, "type") != "m.room.member") return NotThis("of another type");
  if (TextIn(*content->AsObject(), "membership") != "leave") return NotThis("of another membership");
  if (TextIn(event, "room_id") != membership.room_id) return NotThis("for another room");
  if (TextIn(event, "sender") != membership.user_id || TextIn(event, "state_key") != membership.user_id) {
    return NotThis("for another user");
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<ServerName> ServersToLeaveBy(const store::v1::ReceivedInvite& invite, const RoomRules& rules,
                                         const ServerName& ours) {
  std::vector<ServerName> servers;
  const auto add = [&](std::string_view name) {
    auto server = ServerName::Parse(name);
    if (!server.ok() || *server == ours || servers.size() == kMostServers) return;
    if (std::ranges::find(servers, *server) == servers.end()) servers.push_back(*std::move(server));
  };
  for (const std::string& server : invite.via()) add(server);
  add(invite.origin());
  if (!rules.room_id_is_create_hash) add(matrix::DomainOf(invite.name().room_id()));
  const auto shown = matrix::ParseJson(invite.shown_state());
  if (!shown.ok() || shown->AsArray() == nullptr) return servers;
  for (const Json& entry : *shown->AsArray()) {
    const JsonObject* event = entry.AsObject();
    if (event == nullptr) continue;
    add(matrix::DomainOf(TextIn(*event, "sender")));
    if (TextIn(*event, "type") == "m.room.member") add(matrix::DomainOf(TextIn(*event, "state_key")));
  }
  return servers;
}

absl::StatusOr<JsonObject> LeaveFromTemplate(std::string_view answer, const RemoteMembership& membership,
                                             absl::Time now) {
  const auto json = matrix::ParseJson(answer);
  const JsonObject* body = json.ok() ? json->AsObject() : nullptr;
  const Json* given = body == nullptr ? nullptr : body->Find("event");
  if (given == nullptr || given->AsObject() == nullptr) return NotThis("not there");
  if (!IsOfVersion(*body, membership.rules)) return NotThis("of another room version than the invite");
  const JsonObject& place = *given->AsObject();
  if (absl::Status status = CheckTemplate(place, membership); !status.ok()) return status;

  JsonObject content;
  content.Set("membership", "leave");
  if (!membership.reason.empty()) content.Set("reason", membership.reason);
  JsonObject leave;
  leave.Set("type", "m.room.member");
  leave.Set("sender", membership.user_id);
  leave.Set("state_key", membership.user_id);
  leave.Set("room_id", membership.room_id);
  leave.Set("content", std::move(content));
  leave.Set("origin_server_ts", absl::ToUnixMillis(now));
  for (const std::string_view key : {"prev_events", "auth_events", "depth"}) {
    const Json* taken = place.Find(key);
    if (taken == nullptr) return NotThis(fmt::format("without {}", key));
    leave.Set(key, *taken);
  }
  return leave;
}

RemoteLeaves::RemoteLeaves(const EventSigner& signer, FederationClient& federation, Clock clock)
    : signer_(signer), federation_(federation), clock_(std::move(clock)) {}

LeaveAttempt RemoteLeaves::LeaveBy(const ServerName& server, const RemoteMembership& membership, absl::Time deadline) {
  FederationRequest request =
      SignedGetTo(server,
                  fmt::format("/_matrix/federation/v1/make_leave/{}/{}", http::PercentEncode(membership.room_id),
                              http::PercentEncode(membership.user_id)),
                  signer_);
  request.response_limit_bytes = kLongestTemplate;
  const auto response = federation_.Send(server, request, deadline);
  if (!response.ok()) return Failed(response.status());
  if (response->status != kOk) return NotTaken("make_leave", *response);
  auto leave = LeaveFromTemplate(response->body, membership, clock_());
  if (!leave.ok()) return Failed(leave.status());
  const auto both = SignDrafted(*std::move(leave), signer_, membership.rules);
  if (!both.ok()) return Failed(both.status());
  // What a template's lists hold, and how much of it, is a matter of format like all else in an event.
  if (const auto event = matrix::Event::Parse(both->pdu(), membership.rules); !event.ok()) {
    return {LeaveAttempt::kFailed, fmt::format("by the template: {}", matrix::DetailOf(event.status()))};
  }
  return Submit(server, membership, *both, deadline);
}

LeaveAttempt RemoteLeaves::Submit(const ServerName& server, const RemoteMembership& membership,
                                  const SignedEvent& leave, absl::Time deadline) {
  auto response = Put(server, "v2", membership, leave, deadline);
  const bool may_be_old = response.ok() && response->status == kNotFound && ErrcodeIn(*response) == "M_UNRECOGNIZED";
  if (may_be_old) response = Put(server, "v1", membership, leave, deadline);
  if (!response.ok()) return Failed(response.status());
  if (response->status == kOk) return {LeaveAttempt::kLeft};
  return NotTaken("send_leave", *response);
}

absl::StatusOr<http::Response> RemoteLeaves::Put(const ServerName& server, std::string_view api,
                                                 const RemoteMembership& membership, const SignedEvent& leave,
                                                 absl::Time deadline) {
  auto event = matrix::ParseJson(leave.pdu());
  if (!event.ok()) return event.status();
  FederationRequest request =
      SignedRequestTo(server, "PUT",
                      fmt::format("/_matrix/federation/{}/send_leave/{}/{}", api,
                                  http::PercentEncode(membership.room_id), http::PercentEncode(leave.event_id())),
                      *event, signer_);
  request.response_limit_bytes = kLongestTaken;
  return federation_.Send(server, request, deadline);
}

}  // namespace postern::gateway
