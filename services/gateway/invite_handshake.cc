#include "services/gateway/invite_handshake.h"

#include <fmt/format.h>

#include <utility>

#include "matrix/canonical_json.h"
#include "matrix/content_hash.h"
#include "matrix/event_id.h"
#include "matrix/redaction.h"
#include "matrix/refusal.h"
#include "services/gateway/room_access.h"
#include "services/gateway/shown_state.h"
#include "services/gateway/signed_request.h"

namespace postern::gateway {
namespace {

using matrix::Json;
using matrix::JsonArray;
using matrix::JsonObject;
using matrix::Reason;
using matrix::Refuse;

constexpr int kOk = 200;
constexpr int kBadRequest = 400;
constexpr int kNotFound = 404;
constexpr int kTooManyRequests = 429;
constexpr int kRequestTimeout = 408;
constexpr int kFirstServerError = 500;
constexpr std::size_t kLongestAnswer = 256 * 1024;  // an event, and what a server adds in `unsigned`
constexpr std::size_t kLongestError = 300;
/// What is kept of a call's time for storing the invite.
constexpr absl::Duration kTimeToStore = absl::Seconds(2);
/// On whose account the keys are fetched.
constexpr std::string_view kOurselves = "invite";

absl::StatusOr<JsonObject> ObjectIn(std::string_view text) {
  auto json = matrix::ParseJson(text);
  if (!json.ok() || json->AsObject() == nullptr) return Refuse(Reason::kInternal, "an event of ours cannot be read");
  return std::move(*json->AsObject());
}

/// Whether a server that answers so may know only v1.
bool MayBeOld(const http::Response& response, const matrix::RoomRules& rules) {
  return (response.status == kBadRequest || response.status == kNotFound) &&
         rules.event_id_format == matrix::EventIdFormat::kCarried;  // versions 1-2
}

/// "M_FORBIDDEN: not today", cut short.
std::string ErrorIn(const http::Response& response) {
  const auto json = matrix::ParseJson(response.body);
  const JsonObject* body = json.ok() ? json->AsObject() : nullptr;
  const auto text = [&](std::string_view key) {
    const Json* value = body == nullptr ? nullptr : body->Find(key);
    return value == nullptr || value->AsString() == nullptr ? std::string()
                                                            : value->AsString()->substr(0, kLongestError);
  };
  return fmt::format("{} {}: {}", response.status, text("errcode"), text("error"));
}

bool IsForLater(int status) {
  return status == kTooManyRequests || status == kRequestTimeout || status >= kFirstServerError;
}

/// {"event": …}, or in v1 that as the second item of an array.
absl::StatusOr<JsonObject> EventIn(std::string_view body, bool v1) {
  auto json = matrix::ParseJson(body);
  Json* answer = json.ok() ? &*json : nullptr;
  if (answer != nullptr && v1) {
    JsonArray* pair = answer->AsArray();
    answer = pair == nullptr || pair->size() != 2 ? nullptr : &(*pair)[1];
  }
  JsonObject* object = answer == nullptr ? nullptr : answer->AsObject();
  Json* event = object == nullptr ? nullptr : object->Find("event");
  if (event == nullptr || event->AsObject() == nullptr) {
    return Refuse(Reason::kInviteRefused, "the invited user's server answered without an event");
  }
  return std::move(*event->AsObject());
}

bool IsTheSame(const JsonObject& ours, const JsonObject& theirs, const matrix::RoomRules& rules) {
  return matrix::ReferenceHash(ours, rules) == matrix::ReferenceHash(theirs, rules) &&
         matrix::ContentHash(ours) == matrix::ContentHash(theirs);
}

}  // namespace

InviteHandshake::InviteHandshake(const EventSigner& signer, StoreClient& store, FederationClient& federation,
                                 KeyRing& key_ring, Clock clock)
    : signer_(signer), store_(store), federation_(federation), key_ring_(key_ring), clock_(std::move(clock)) {}

absl::StatusOr<std::string> InviteHandshake::SignedByBoth(const rpc::CallContext& call, const OutboundInvite& invite) {
  auto state = StateToShow(call, invite);
  if (!state.ok()) return state.status();
  auto event = ObjectIn(invite.event.pdu());
  if (!event.ok()) return event.status();
  const auto answer = Ask(call, invite, *event, *std::move(state));
  if (!answer.ok()) return answer.status();
  if (!IsTheSame(*event, *answer, invite.rules)) {
    return Refuse(Reason::kInviteRefused, "the invited user's server answered with another event");
  }
  if (absl::Status status = AddSignatures(call, invite, *answer, *event); !status.ok()) return status;
  return matrix::CanonicalJson(*event);
}

absl::StatusOr<JsonArray> InviteHandshake::StateToShow(const rpc::CallContext& call, const OutboundInvite& invite) {
  store::v1::GetTemplateContextRequest request;
  request.set_room_id(invite.room_id);
  request.set_user_id(invite.sender.text());
  AskForShownState(request, invite.sender.text());
  const auto context = store_.GetTemplateContext(call, request);
  if (!context.ok()) return context.status();
  if (absl::Status status = CheckRoomAccess(context->judging(), invite.invited.server()); !status.ok()) return status;
  return ShownState(context->judging(), invite.sender.text());
}

absl::StatusOr<JsonObject> InviteHandshake::Ask(const rpc::CallContext& call, const OutboundInvite& invite,
                                                const JsonObject& event, JsonArray state) {
  JsonObject content;
  content.Set("room_version", invite.rules.version);
  content.Set("event", event);
  content.Set("invite_room_state", state);
  auto response = Put(call, invite, "v2", Json(std::move(content)));
  const bool v1 = response.ok() && MayBeOld(*response, invite.rules);
  if (v1) {
    JsonObject with_state = event;
    JsonObject unsigned_part;
    unsigned_part.Set("invite_room_state", std::move(state));
    with_state.Set("unsigned", std::move(unsigned_part));
    response = Put(call, invite, "v1", Json(std::move(with_state)));
  }
  const std::string& server = invite.invited.server().text();
  if (!response.ok()) {
    return Refuse(Reason::kPeerUnavailable,
                  fmt::format("{} could not be asked: {}", server, matrix::DetailOf(response.status())));
  }
  if (response->status == kOk) return EventIn(response->body, v1);
  return Refuse(IsForLater(response->status) ? Reason::kPeerUnavailable : Reason::kInviteRefused,
                fmt::format("{} answered {}", server, ErrorIn(*response)));
}

absl::StatusOr<http::Response> InviteHandshake::Put(const rpc::CallContext& call, const OutboundInvite& invite,
                                                    std::string_view api, const Json& content) {
  const matrix::ServerName& server = invite.invited.server();
  FederationRequest request =
      SignedRequestTo(server, "PUT",
                      fmt::format("/_matrix/federation/{}/invite/{}/{}", api, http::PercentEncode(invite.room_id),
                                  http::PercentEncode(invite.event.event_id())),
                      content, signer_);
  request.response_limit_bytes = kLongestAnswer;
  return federation_.Send(server, request, call.deadline - kTimeToStore);
}

absl::Status InviteHandshake::AddSignatures(const rpc::CallContext& call, const OutboundInvite& invite,
                                            const JsonObject& answer, JsonObject& event) {
  const std::string& server = invite.invited.server().text();
  const Json* all = answer.Find("signatures");
  const JsonObject* by_server = all == nullptr ? nullptr : all->AsObject();
  const Json* theirs = by_server == nullptr ? nullptr : by_server->Find(server);
  const JsonObject* given = theirs == nullptr ? nullptr : theirs->AsObject();
  KeyQuery query{invite.invited.server(), {}, KeyUse::kRequest, std::string(kOurselves)};
  if (given != nullptr) {
    for (const auto& [key_id, signature] : *given) {
      if (key_id.starts_with("ed25519:")) query.key_ids.push_back(key_id);
    }
  }
  if (given == nullptr || query.key_ids.empty()) {
    return Refuse(Reason::kInviteRefused, fmt::format("{} has not signed the invite", server));
  }
  const auto known = key_ring_.Wait(query, call.deadline - kTimeToStore);
  if (!known.ok()) return Refuse(Reason::kPeerUnavailable, matrix::DetailOf(known.status()));

  JsonObject signed_by_both = event;
  signed_by_both.Set("signatures", *by_server);
  const JsonObject redacted = matrix::Redact(signed_by_both, invite.rules);
  JsonObject sound;
  for (const std::string& key_id : query.key_ids) {
    const matrix::VerifyKey* key = (*known)->Current(key_id, clock_());
    if (key == nullptr || !matrix::VerifyJson(redacted, server, key_id, key->public_key)) continue;
    sound.Set(key_id, *given->Find(key_id));
  }
  if (sound.empty()) {
    return Refuse(Reason::kInviteRefused,
                  fmt::format("{} has signed the invite with no key that it publishes", server));
  }
  event.Find("signatures")->AsObject()->Set(server, std::move(sound));
  return absl::OkStatus();
}

}  // namespace postern::gateway
