#include "services/gateway/make_leave_route.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "matrix/auth_events.h"
#include "matrix/canonical_json.h"
#include "matrix/identifiers.h"
#include "matrix/refusal.h"
#include "services/gateway/event_template.h"
#include "services/gateway/room_access.h"

namespace postern::gateway {
namespace {

using matrix::Reason;
using matrix::Refuse;

store::v1::GetTemplateContextRequest ContextRequestFor(const std::string& room_id, const matrix::UserId& user) {
  store::v1::GetTemplateContextRequest request;
  request.set_room_id(room_id);
  request.set_user_id(user.text());
  for (const matrix::StateKey& key : matrix::KeysForLeave(user.text())) {
    auto* wanted = request.add_state_keys();
    wanted->set_type(key.type);
    wanted->set_state_key(key.state_key);
  }
  return request;
}

/// How long a user who answers an invite at once may wait until it is stored.
constexpr absl::Duration kLongestWait = absl::Seconds(2);

bool MayLeave(std::string_view membership) {
  return membership == "join" || membership == "invite" || membership == "knock";
}

}  // namespace

MakeLeaveRoute::MakeLeaveRoute(matrix::ServerName server_name, StoreClient& store, ValidatorClient& validator,
                               KeyRing& key_ring, InvitesUnderWay& invites, Clock clock)
    : server_name_(std::move(server_name)),
      store_(store),
      validator_(validator),
      key_ring_(key_ring),
      invites_(invites),
      clock_(std::move(clock)) {}

absl::StatusOr<http::Response> MakeLeaveRoute::Handle(AuthenticRequest request) {
  Exchange& exchange = request.exchange();
  const std::string& room_id = exchange.path_arguments()[0];
  const auto user = matrix::UserId::Parse(exchange.path_arguments()[1]);
  if (!user.ok()) return user.status();
  if (!(user->server() == request.origin())) {  // before any of the room's data is looked at
    return Refuse(Reason::kNoTemplate, "the user is not of the server that asks");
  }
  if (!matrix::IsRoomId(room_id)) return Refuse(Reason::kUnknownRoom, "the room is not known");

  const auto context = ContextFor(exchange.call(), room_id, *user);
  if (!context.ok()) return context.status();
  if (!context->resident()) return Refuse(Reason::kUnknownRoom, "no user of this server is in the room");
  const auto rules = RulesOfRoom(context->judging());
  if (!rules.ok()) return rules.status();
  if (absl::Status status = CheckRoomAccess(context->judging(), request.origin()); !status.ok()) return status;
  key_ring_.Keep(request.origin());
  if (!MayLeave(context->user_membership())) {
    return Refuse(Reason::kNoTemplate, "the user is neither in the room, nor invited to it, nor knocking");
  }

  auto event = Template(request, *user, *context, **rules);
  if (!event.ok()) return event.status();
  matrix::JsonObject answer;
  answer.Set("room_version", (*rules)->version);
  answer.Set("event", std::move(*event));
  return http::Response{.status = 200, .headers = {}, .body = matrix::CanonicalJson(answer)};
}

absl::StatusOr<store::v1::TemplateContext> MakeLeaveRoute::ContextFor(const rpc::CallContext& call,
                                                                      const std::string& room_id,
                                                                      const matrix::UserId& user) {
  const auto request = ContextRequestFor(room_id, user);
  const bool is_being_invited = invites_.IsUnderWay(room_id, user.text());  // asked first: it may end while we read
  auto context = store_.GetTemplateContext(call, request);
  if (!is_being_invited || !context.ok() || MayLeave(context->user_membership())) return context;
  invites_.AwaitEnd(room_id, user.text(), std::min(absl::Now() + kLongestWait, call.deadline));
  return store_.GetTemplateContext(call, request);
}

absl::StatusOr<matrix::JsonObject> MakeLeaveRoute::Template(const AuthenticRequest& request, const matrix::UserId& user,
                                                            const store::v1::TemplateContext& context,
                                                            const matrix::RoomRules& rules) {
  EventIntent intent{.type = "m.room.member", .state_key = user.text(), .sender = user.text(), .content = {}};
  intent.content.Set("membership", "leave");
  const auto place = PlaceAfter(context, intent, rules, clock_());
  if (!place.ok()) return place.status();
  auto event = BuildEvent(intent, *place, rules);
  if (!event.ok()) return event.status();
  const auto judged = validator_.Authorize(request.exchange().call(),
                                           AskFor(*event, *place, context.judging(), rules, server_name_.text()));
  if (!judged.ok()) return judged.status();
  if (!judged->allowed()) return Refuse(Reason::kNotAuthorised, judged->text());
  event->Set("origin", server_name_.text());  // the specification's template has it
  return event;
}

}  // namespace postern::gateway
