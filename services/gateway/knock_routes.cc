#include "services/gateway/knock_routes.h"

#include <utility>

#include "matrix/auth_events.h"
#include "matrix/canonical_json.h"
#include "matrix/refusal.h"
#include "services/gateway/shown_state.h"

namespace postern::gateway {

using matrix::Reason;
using matrix::Refuse;

MakeKnockRoute::MakeKnockRoute(const matrix::ServerName& server_name, StoreClient& store, ValidatorClient& validator,
                               KeyRing& key_ring, RememberedAccess& access, InvitesUnderWay& invites, Clock clock)
    : templates_(server_name, store, validator, key_ring, access, invites, std::move(clock)) {}

absl::StatusOr<http::Response> MakeKnockRoute::Handle(AuthenticRequest request) {
  const auto question = templates_.Read(request);
  if (!question.ok()) return question.status();
  const auto context = templates_.ContextFor(*question, matrix::KeysForJoin(question->user.text(), ""), {});
  if (!context.ok()) return context.status();
  const auto rules = templates_.RulesFor(*question, *context);
  if (!rules.ok()) return rules.status();
  if (absl::Status status = CheckOfferedVersions(*question, "", **rules); !status.ok()) return status;
  matrix::JsonObject content;
  content.Set("membership", "knock");
  auto event = templates_.Template(*question, std::move(content), *context, **rules);
  if (!event.ok()) return event.status();
  return TemplateAnswer(*std::move(event), **rules);
}

SendKnockRoute::SendKnockRoute(IntakeServices services, MissingEvents* missing_events)
    : store_(services.store), intake_(Wanted::kKnock, std::move(services), missing_events) {}

absl::StatusOr<http::Response> SendKnockRoute::Handle(AuthenticRequest request) {
  const auto taken = intake_.Take(request, [](OwnMembership&, const store::v1::EventContext&,
                                              const matrix::RoomRules&) { return absl::OkStatus(); });
  if (!taken.ok()) return taken.status();
  if (taken->outcome != matrix::v1::OUTCOME_ACCEPTED) {
    return Refuse(Reason::kNotAuthorised, "the room's current state does not let the user knock");
  }
  store::v1::GetTemplateContextRequest read;
  read.set_room_id(taken->event.room_id());
  read.set_user_id(taken->event.sender().text());
  AskForShownState(read, "");
  const auto context = store_.GetTemplateContext(request.exchange().call(), read);
  if (!context.ok()) return context.status();
  auto state = ShownState(context->judging(), "");
  if (!state.ok()) return state.status();
  matrix::JsonObject answer;
  answer.Set("knock_room_state", *std::move(state));
  return http::Response{.status = 200, .headers = {}, .body = matrix::CanonicalJson(answer)};
}

}  // namespace postern::gateway
