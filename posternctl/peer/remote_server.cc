#include "posternctl/peer/remote_server.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <array>
#include <initializer_list>
#include <utility>

#include "matrix/base64.h"
#include "matrix/canonical_json.h"
#include "matrix/event_id.h"
#include "matrix/refusal.h"
#include "matrix/x_matrix.h"

namespace postern::peer {
namespace {

using matrix::Json;
using matrix::JsonObject;
using matrix::Reason;
using matrix::Refuse;

// The templates of rooms whose version the server did not name (make_leave: "assumed to be either 1 or 2").
constexpr const char* kUnnamedVersion = "1";
constexpr std::string_view kFederationPath = "/_matrix/federation";

const std::string* FindString(const JsonObject& object, std::string_view key) {
  const Json* member = object.Find(key);
  return member == nullptr ? nullptr : member->AsString();
}

absl::StatusOr<std::string> RandomEventId(const ServerIdentity& identity) {
  std::array<char, 18> random;
  if (getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size())) {
    return Refuse(Reason::kInternal, "the system gives no random bytes");
  }
  return fmt::format("${}:{}", matrix::EncodeUrlSafeBase64({random.data(), random.size()}), identity.name());
}

}  // namespace

absl::StatusOr<LeaveTemplate> ReadLeaveTemplate(std::string_view body) {
  auto json = matrix::ParseJson(body);
  if (!json.ok()) return json.status();
  const JsonObject* answer = json->AsObject();
  const Json* event = answer == nullptr ? nullptr : answer->Find("event");
  if (event == nullptr || event->AsObject() == nullptr) {
    return Refuse(Reason::kBadJson, "the template has no object `event`");
  }
  const Json* version = answer->Find("room_version");
  if (version != nullptr && version->AsString() == nullptr) {
    return Refuse(Reason::kBadJson, "the template's `room_version` is no string");
  }
  const std::string named = version == nullptr ? kUnnamedVersion : *version->AsString();
  const matrix::RoomRules* rules = matrix::FindRoomRules(named);
  if (rules == nullptr) return Refuse(Reason::kUnsupportedVersion, fmt::format("room version {}", named));
  return LeaveTemplate{.rules = rules, .event = *event->AsObject()};
}

absl::Status CheckLeaveTemplate(const LeaveTemplate& from, const LeaveIntent& intent) {
  const std::initializer_list<std::pair<const char*, std::string_view>> expected{
      {"type", "m.room.member"},
      {"room_id", intent.room_id},
      {"sender", intent.user_id},
      {"state_key", intent.user_id},
  };
  for (const auto& [member, value] : expected) {
    const std::string* found = FindString(from.event, member);
    if (found == nullptr || *found != value) {
      return Refuse(Reason::kBadStructure, fmt::format("the template's `{}` is not {}", member, value));
    }
  }
  const Json* content = from.event.Find("content");
  const JsonObject* members = content == nullptr ? nullptr : content->AsObject();
  const std::string* membership = members == nullptr ? nullptr : FindString(*members, "membership");
  if (membership == nullptr || *membership != "leave") {
    return Refuse(Reason::kBadStructure, "the template's `content.membership` is not leave");
  }
  return absl::OkStatus();
}

absl::StatusOr<SignedLeave> CompleteLeave(const LeaveTemplate& from, const LeaveIntent& intent,
                                          const ServerIdentity& identity, absl::Time now) {
  JsonObject content;
  content.Set("membership", "leave");
  if (!intent.reason.empty()) content.Set("reason", intent.reason);

  JsonObject event;
  event.Set("type", "m.room.member");
  event.Set("room_id", intent.room_id);
  event.Set("sender", intent.user_id);
  event.Set("state_key", intent.user_id);
  event.Set("content", std::move(content));
  event.Set("origin_server_ts", absl::ToUnixMillis(intent.at.value_or(now)));
  for (const char* member : {"prev_events", "auth_events", "depth"}) {
    const Json* found = from.event.Find(member);
    if (found == nullptr) return Refuse(Reason::kBadStructure, fmt::format("the template has no `{}`", member));
    event.Set(member, *found);
  }
  if (from.rules->event_id_format == matrix::EventIdFormat::kCarried) {
    const auto event_id = RandomEventId(identity);
    if (!event_id.ok()) return event_id.status();
    event.Set("event_id", *event_id);
  }
  matrix::HashAndSignEvent(event, identity.name(), identity.key(), *from.rules);
  std::string event_id = matrix::ComputeEventId(event, *from.rules);
  return SignedLeave{.event_id = std::move(event_id), .room_id = intent.room_id, .event = std::move(event)};
}

absl::StatusOr<std::string> AskServerName(http::HttpClient& client, const std::string& url) {
  const auto response = client.Send({.url = url + "/_matrix/key/v2/server"});
  if (!response.ok()) return response.status();
  const auto document = matrix::ParseJson(response->body);
  const JsonObject* members = document.ok() ? document->AsObject() : nullptr;
  const std::string* name = members == nullptr ? nullptr : FindString(*members, "server_name");
  if (response->status != 200 || name == nullptr) {
    return Refuse(Reason::kBadJson,
                  fmt::format("{}/_matrix/key/v2/server answered {} without a server_name", url, response->status));
  }
  return *name;
}

std::string MakeLeaveTarget(const LeaveIntent& intent) {
  return fmt::format("{}/v1/make_leave/{}/{}", kFederationPath, http::PercentEncode(intent.room_id),
                     http::PercentEncode(intent.user_id));
}

std::string SendLeaveTarget(LeaveApi api, std::string_view room_id, std::string_view event_id) {
  return fmt::format("{}/{}/send_leave/{}/{}", kFederationPath, api == LeaveApi::kV1 ? "v1" : "v2",
                     http::PercentEncode(room_id), http::PercentEncode(event_id));
}

std::string RemoteServer::Authorization(const Destination& to, std::string_view method, std::string_view target,
                                        const Json* content) const {
  const matrix::SignedRequest request{
      .method = method, .uri = target, .origin = identity_.name(), .destination = to.server_name, .content = content};
  return matrix::FormatXMatrix({.origin = identity_.name(),
                                .destination = to.server_name,
                                .key = identity_.key().key_id(),
                                .sig = matrix::SignRequest(request, identity_.key())});
}

http::ClientRequest RemoteServer::Prepare(const Destination& to, std::string_view method, std::string_view target,
                                          const Json* content) const {
  http::ClientRequest request{.method = std::string(method), .url = to.url + std::string(target)};
  request.headers.emplace_back("Authorization", Authorization(to, method, target, content));
  if (content != nullptr) {
    request.headers.emplace_back("Content-Type", "application/json");
    request.body = matrix::CanonicalJson(*content);
  }
  return request;
}

http::ClientRequest RemoteServer::PrepareSendLeave(const Destination& to, LeaveApi api,
                                                   const SignedLeave& leave) const {
  const Json content(leave.event);
  return Prepare(to, "PUT", SendLeaveTarget(api, leave.room_id, leave.event_id), &content);
}

absl::StatusOr<http::Response> RemoteServer::Send(const Destination& to, std::string_view method,
                                                  std::string_view target, const Json* content) const {
  return client_.Send(Prepare(to, method, target, content));
}

absl::StatusOr<http::Response> RemoteServer::MakeLeave(const Destination& to, const LeaveIntent& intent) const {
  return Send(to, "GET", MakeLeaveTarget(intent), nullptr);
}

absl::StatusOr<http::Response> RemoteServer::SendLeave(const Destination& to, LeaveApi api,
                                                       const SignedLeave& leave) const {
  return client_.Send(PrepareSendLeave(to, api, leave));
}

bool EndpointIsUnknown(const http::Response& response) {
  if (response.status == 404) return true;
  if (response.status != 400) return false;
  const auto body = matrix::ParseJson(response.body);
  const JsonObject* members = body.ok() ? body->AsObject() : nullptr;
  const std::string* errcode = members == nullptr ? nullptr : FindString(*members, "errcode");
  return errcode != nullptr && *errcode == "M_UNRECOGNIZED";
}

}  // namespace postern::peer
