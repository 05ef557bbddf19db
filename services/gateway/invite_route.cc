#include "services/gateway/invite_route.h"

#include <utility>

#include "matrix/canonical_json.h"
#include "matrix/refusal.h"
#include "services/gateway/room_access.h"

namespace postern::gateway {
namespace {

using matrix::Json;
using matrix::JsonObject;
using matrix::Reason;
using matrix::Refuse;
using store::v1::KeepInviteResponse;

/// What is kept of a request's time for storing the invite, once the keys are there.
constexpr absl::Duration kTimeToStore = absl::Seconds(2);

}  // namespace

InviteRoute::InviteRoute(InviteApi api, InviteServices services)
    : api_(api),
      services_(std::move(services)),
      checks_(services_.signer.server_name(), services_.key_ring, services_.clock) {}

absl::StatusOr<http::Response> InviteRoute::Handle(AuthenticRequest request) {
  auto event = SignAndKeep(request);
  const std::string_view result = matrix::RefusalOf(matrix::ReasonOf(event.status())).name;
  services_.metrics.Count("postern_gateway_received_invites_total", {{"result", event.ok() ? "signed" : result}});
  if (!event.ok()) return event.status();
  // The event is canonical JSON already, and was ours to sign.
  std::string body = "{\"event\":" + *std::move(event) + "}";
  if (api_ == InviteApi::kV1) body = "[200," + body + "]";
  return http::Response{.status = 200, .headers = {}, .body = std::move(body)};
}

absl::StatusOr<std::string> InviteRoute::SignAndKeep(AuthenticRequest& request) {
  const Exchange& exchange = request.exchange();
  JsonObject content = std::move(*request.content()->AsObject());
  const auto submitted = api_ == InviteApi::kV1 ? ReadInviteV1(std::move(content)) : ReadInviteV2(std::move(content));
  if (!submitted.ok()) return submitted.status();
  const auto invite = checks_.Check({.origin = request.origin(),
                                     .room_id = exchange.path_arguments()[0],
                                     .event_id = exchange.path_arguments()[1],
                                     .client_address = exchange.request().remote_address,
                                     .deadline = exchange.call().deadline - kTimeToStore},
                                    *submitted);
  if (!invite.ok()) return invite.status();
  const auto resident = IsResident(exchange.call(), *invite);
  if (!resident.ok()) return resident.status();
  const std::size_t bytes = matrix::CanonicalJson(invite->event().json()).size();
  if (services_.signer.CountersignedBytes(invite->event().json(), bytes) > matrix::kMaxEventBytes) {
    return Refuse(Reason::kEventTooLarge, "with this server's signature the event is over 65,536 bytes");
  }
  const auto both = services_.signer.SignReceivedInvite(*invite);
  if (!both.ok()) return both.status();
  services_.key_ring.Keep(request.origin());
  if (*resident) return both->pdu();
  return Keep(exchange.call(), *invite, submitted->shown_state, *both);
}

absl::StatusOr<bool> InviteRoute::IsResident(const rpc::CallContext& call, const ReceivedInvite& invite) {
  store::v1::GetTemplateContextRequest question;
  question.set_room_id(invite.event().room_id());
  question.set_user_id(invite.invited().text());
  question.add_state_keys()->set_type("m.room.server_acl");
  const auto context = services_.store.GetTemplateContext(call, question);
  if (matrix::ReasonOf(context.status()) == Reason::kUnknownRoom) return false;
  if (!context.ok()) return context.status();
  if (!context->resident()) return false;
  const auto rules = RulesOfRoom(context->judging());
  if (!rules.ok()) return rules.status();
  if (absl::Status status = CheckRoomAccess(context->judging(), invite.sender().server()); !status.ok()) return status;
  const bool same_format = (*rules)->event_id_format == matrix::EventIdFormat::kCarried &&
                           invite.event().rules().event_id_format == matrix::EventIdFormat::kCarried;
  if ((*rules)->version != invite.event().rules().version && !same_format) {
    return Refuse(Reason::kNotThisMembership, "the room has another version");
  }
  return true;
}

absl::StatusOr<std::string> InviteRoute::Keep(const rpc::CallContext& call, const ReceivedInvite& invite,
                                              const matrix::JsonArray& shown, const SignedEvent& both) {
  store::v1::KeepInviteRequest request;
  store::v1::ReceivedInvite& kept = *request.mutable_invite();
  kept.mutable_name()->set_room_id(invite.event().room_id());
  kept.mutable_name()->set_user_id(invite.invited().text());
  kept.mutable_name()->set_event_id(both.event_id());
  kept.set_room_version(std::string(invite.event().rules().version));
  kept.set_sender(invite.sender().text());
  kept.set_origin(invite.sender().server().text());
  kept.set_pdu(both.pdu());
  kept.set_shown_state(matrix::CanonicalJson(Json(StrippedState(shown))));
  const auto response = services_.invites.KeepInvite(call, request);
  if (!response.ok()) return response.status();
  switch (response->result()) {
    case KeepInviteResponse::RESULT_KEPT:
    case KeepInviteResponse::RESULT_KNOWN:
      return response->pdu();
    case KeepInviteResponse::RESULT_USER_FULL:
      return Refuse(Reason::kOriginLimited, "the user has too many invites");
    case KeepInviteResponse::RESULT_ORIGIN_FULL:
      return Refuse(Reason::kOriginLimited, "there are too many invites of this server");
    default:
      return Refuse(Reason::kOverloaded, "there are too many invites");
  }
}

}  // namespace postern::gateway
