#include "services/gateway/make_leave_route.h"

#include <utility>

#include "matrix/auth_events.h"
#include "matrix/refusal.h"

namespace postern::gateway {
namespace {

using matrix::Reason;
using matrix::Refuse;

bool MayLeave(std::string_view membership) {
  return membership == "join" || membership == "invite" || membership == "knock";
}

}  // namespace

MakeLeaveRoute::MakeLeaveRoute(matrix::ServerName server_name, StoreClient& store, ValidatorClient& validator,
                               KeyRing& key_ring, RememberedAccess& access, InvitesUnderWay& invites,
                               RememberedTemplates& remembered, Clock clock)
    : templates_(std::move(server_name), store, validator, key_ring, access, invites, std::move(clock)),
      remembered_(remembered) {}

absl::StatusOr<http::Response> MakeLeaveRoute::Handle(AuthenticRequest request) {
  const auto question = templates_.Read(request);
  if (!question.ok()) return question.status();
  auto context =
      templates_.ContextFor(*question, matrix::KeysForLeave(question->user.text()), {"join", "invite", "knock"});
  if (!context.ok()) return context.status();
  const auto rules = templates_.RulesFor(*question, *context);
  if (!rules.ok()) return rules.status();
  if (!MayLeave(context->user_membership())) {
    return Refuse(Reason::kNoTemplate, "the user is neither in the room, nor invited to it, nor knocking");
  }
  matrix::JsonObject content;
  content.Set("membership", "leave");
  auto event = templates_.Template(*question, std::move(content), *context, **rules);
  if (!event.ok()) return event.status();
  remembered_.Keep(question->user.text(), *std::move(context), request.exchange().received_at());
  return TemplateAnswer(*std::move(event), **rules);
}

}  // namespace postern::gateway
