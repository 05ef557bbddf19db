#include "tests/flow/played_homeserver.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <optional>
#include <utility>

#include "absl/time/time.h"
#include "matrix/base64.h"
#include "matrix/canonical_json.h"
#include "matrix/content_hash.h"
#include "matrix/event_id.h"
#include "matrix/x_matrix.h"
#include "tests/flow/must.h"

namespace postern::flow {
namespace {

constexpr int kPortAttempts = 10;
constexpr absl::Duration kPatience = absl::Seconds(60);

/// A port that nobody listens at. Another may take it before we do.
int FreePort() {
  const int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const bool had = bind(probe, reinterpret_cast<const sockaddr*>(&address), size) == 0 &&
                   getsockname(probe, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  close(probe);
  Must("a free port", had);
  return ntohs(address.sin_port);
}

const std::string* TextIn(const matrix::JsonObject& object, std::string_view key) {
  const matrix::Json* member = object.Find(key);
  return member == nullptr ? nullptr : member->AsString();
}

}  // namespace

matrix::SigningKey NewKey(std::string_view key_id) {
  std::string seed;
  return Must("a key", peer::GenerateKey(key_id, &seed));
}

matrix::JsonObject ObjectOf(std::string_view json) {
  const matrix::Json value = Must(json, matrix::ParseJson(json));
  Must(fmt::format("an object: {}", json), value.AsObject() != nullptr);
  return *value.AsObject();
}

std::string ErrcodeOf(const http::Response& response) {
  const auto body = matrix::ParseJson(response.body);
  const std::string* errcode = body.ok() && body->AsObject() ? TextIn(*body->AsObject(), "errcode") : nullptr;
  return errcode == nullptr ? "" : *errcode;
}

PlayedHomeserver::PlayedHomeserver(const RunningStack& stack, absl::Duration validity)
    : to_{.url = stack.gateway().federation, .server_name = stack.server_name()},
      validity_(validity),
      client_({.allow_private_networks = true}) {
  // The name holds the port, so the port comes first.
  for (int attempt = 0; attempt < kPortAttempts && endpoint_ == nullptr; ++attempt) {
    const int port = FreePort();
    std::vector<matrix::SigningKey> keys;
    keys.push_back(NewKey());
    auto name = Must("a server name", matrix::ServerName::Parse(fmt::format("localhost:{}", port)));
    identity_ = std::make_unique<peer::ServerIdentity>(std::move(name), std::move(keys), validity);
    auto endpoint = peer::KeyEndpoint::Start(*identity_, fmt::format("127.0.0.1:{}", port),
                                             [this](const http::Request& request) { return Answer(request); });
    if (endpoint.ok()) endpoint_ = *std::move(endpoint);
  }
  Must("a key endpoint", endpoint_ != nullptr);
}

void PlayedHomeserver::Rotate(absl::Time expired) {
  const int port = endpoint_->port();
  TakeOffline();
  identity_before_ = std::move(identity_);
  std::vector<matrix::SigningKey> keys;
  keys.push_back(NewKey());
  identity_ = std::make_unique<peer::ServerIdentity>(
      identity_before_->server_name(), std::move(keys), validity_,
      std::vector<matrix::VerifyKey>{{key_before().key_id(), key_before().public_key(), expired}});
  endpoint_ =
      Must("a key endpoint", peer::KeyEndpoint::Start(*identity_, fmt::format("127.0.0.1:{}", port),
                                                      [this](const http::Request& asked) { return Answer(asked); }));
}

void PlayedHomeserver::SetMissingEvents(matrix::JsonArray events) {
  matrix::JsonObject answer;
  answer.Set("events", std::move(events));
  const std::lock_guard lock(mutex_);
  missing_events_ = matrix::CanonicalJson(answer);
}

void PlayedHomeserver::AnswerBy(std::function<std::optional<http::Response>(const http::Request&)> answer) {
  const std::lock_guard lock(mutex_);
  answer_by_ = std::move(answer);
}

matrix::Json PlayedHomeserver::LastAskedForMissing() const {
  const std::lock_guard lock(mutex_);
  return last_asked_for_missing_;
}

std::optional<http::Response> PlayedHomeserver::Answer(const http::Request& request) {
  const std::lock_guard lock(mutex_);
  if (answer_by_) {
    if (auto answer = answer_by_(request)) return answer;
  }
  if (!missing_events_ || !request.target.starts_with("/_matrix/federation/v1/get_missing_events/")) {
    return std::nullopt;
  }
  if (auto asked = matrix::ParseJson(request.body); asked.ok()) last_asked_for_missing_ = *std::move(asked);
  return http::Response{.status = 200, .headers = {}, .body = *missing_events_};
}

std::string PlayedHomeserver::User(std::string_view localpart) const {
  return fmt::format("@{}:{}", localpart, name());
}

matrix::JsonObject PlayedHomeserver::Template(const std::string& room_id, const std::string& user_id) const {
  const auto target = peer::MakeLeaveTarget({.room_id = room_id, .user_id = user_id, .reason = ""});
  const http::Response response = Send(Request("GET", target, nullptr));
  Must(fmt::format("a template (not {} {})", response.status, response.body), response.status == 200);
  matrix::JsonObject event = Must("a template", peer::ReadLeaveTemplate(response.body)).event;
  event.Erase("origin");
  return event;
}

matrix::JsonObject PlayedHomeserver::Complete(matrix::JsonObject event, const matrix::RoomRules& rules) const {
  if (rules.event_id_format == matrix::EventIdFormat::kCarried && !event.Contains("event_id")) {
    event.Set("event_id",
              fmt::format("${}:{}", matrix::EncodeUrlSafeBase64(matrix::Sha256(NewKey().public_key())), name()));
  }
  matrix::HashAndSignEvent(event, name(), key(), rules);
  return event;
}

http::Request PlayedHomeserver::Request(std::string_view method, std::string_view target,
                                        const matrix::Json* content) const {
  http::Request request;
  request.method = method;
  request.target = target;
  if (content != nullptr) {
    request.body = matrix::CanonicalJson(*content);
    request.has_body = true;
  }
  Sign(request, name(), key());
  return request;
}

http::Request PlayedHomeserver::SendLeaveRequest(const std::string& room_id, const matrix::JsonObject& leave,
                                                 const matrix::RoomRules& rules, peer::LeaveApi api) const {
  const std::string event_id = matrix::ComputeEventId(leave, rules);
  const matrix::Json content(leave);
  return Request("PUT", peer::SendLeaveTarget(api, room_id, event_id), &content);
}

void PlayedHomeserver::Sign(http::Request& request, const std::string& origin, const matrix::SigningKey& key) const {
  std::optional<matrix::Json> content;
  if (auto body = matrix::ParseJson(request.body); request.has_body && body.ok()) content = *std::move(body);
  const matrix::SignedRequest to_sign{.method = request.method,
                                      .uri = request.target,
                                      .origin = origin,
                                      .destination = to_.server_name,
                                      .content = content ? &*content : nullptr};
  request.headers.emplace_back("Authorization", matrix::FormatXMatrix({.origin = origin,
                                                                       .destination = to_.server_name,
                                                                       .key = key.key_id(),
                                                                       .sig = matrix::SignRequest(to_sign, key)}));
}

void PlayedHomeserver::SignAgain(http::Request& request) const {
  request.headers.clear();
  Sign(request, name(), key());
}

http::Response PlayedHomeserver::Send(const http::Request& request, const std::string& gateway_url) const {
  return Must("an answer", TrySend(request, gateway_url));
}

absl::StatusOr<http::Response> PlayedHomeserver::TrySend(const http::Request& request,
                                                         const std::string& gateway_url) const {
  http::ClientRequest sent{.method = request.method,
                           .url = (gateway_url.empty() ? to_.url : gateway_url) + request.target,
                           .headers = request.headers,
                           .body = request.body,
                           .timeout = kPatience};
  return client_.Send(sent);
}

}  // namespace postern::flow
