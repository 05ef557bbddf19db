#include "services/gateway/member_template.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "matrix/canonical_json.h"
#include "matrix/refusal.h"
#include "services/gateway/event_template.h"
#include "services/gateway/refusal_response.h"
#include "services/gateway/room_access.h"

namespace postern::gateway {
namespace {

using matrix::Reason;
using matrix::Refuse;

/// How long a user who answers an invite at once may wait until it is stored.
constexpr absl::Duration kLongestWait = absl::Seconds(2);

bool IsOneOf(std::string_view membership, const std::vector<std::string_view>& enough) {
  return std::ranges::find(enough, membership) != enough.end();
}

}  // namespace

MemberTemplates::MemberTemplates(matrix::ServerName server_name, StoreClient& store, ValidatorClient& validator,
                                 KeyRing& key_ring, RememberedAccess& access, InvitesUnderWay& invites, Clock clock)
    : server_name_(std::move(server_name)),
      store_(store),
      validator_(validator),
      key_ring_(key_ring),
      access_(access),
      invites_(invites),
      clock_(std::move(clock)) {}

absl::StatusOr<TemplateQuestion> MemberTemplates::Read(const AuthenticRequest& request) const {
  const auto& path = request.exchange().path_arguments();
  auto user = matrix::UserId::Parse(path[1]);
  if (!user.ok()) return user.status();
  if (!(user->server() == request.origin())) {
    return Refuse(Reason::kNoTemplate, "the user is not of the server that asks");
  }
  if (!matrix::IsRoomId(path[0])) return Refuse(Reason::kUnknownRoom, "the room is not known");
  return TemplateQuestion{request, path[0], *std::move(user)};
}

absl::StatusOr<store::v1::TemplateContext> MemberTemplates::ContextFor(const TemplateQuestion& question,
                                                                       const std::vector<matrix::StateKey>& keys,
                                                                       const std::vector<std::string_view>& enough) {
  const rpc::CallContext& call = question.request.exchange().call();
  const std::string& user = question.user.text();
  store::v1::GetTemplateContextRequest read;
  read.set_room_id(question.room_id);
  read.set_user_id(user);
  for (const matrix::StateKey& key : keys) {
    auto* wanted = read.add_state_keys();
    wanted->set_type(key.type);
    wanted->set_state_key(key.state_key);
  }
  const bool is_being_invited = invites_.IsUnderWay(question.room_id, user);  // asked first: it may end while we read
  auto context = store_.GetTemplateContext(call, read);
  if (is_being_invited && !enough.empty() && context.ok() && !IsOneOf(context->user_membership(), enough)) {
    invites_.AwaitEnd(question.room_id, user, std::min(absl::Now() + kLongestWait, call.deadline));
    context = store_.GetTemplateContext(call, read);
  }
  if (context.ok() && !context->resident()) {
    return Refuse(Reason::kUnknownRoom, "no user of this server is in the room");
  }
  return context;
}

absl::StatusOr<const matrix::RoomRules*> MemberTemplates::RulesFor(const TemplateQuestion& question,
                                                                   const store::v1::TemplateContext& context) {
  const auto rules = RulesOfRoom(context.judging());
  if (!rules.ok()) return rules.status();
  const matrix::ServerName& origin = question.request.origin();
  if (absl::Status status = access_.Check(context.judging(), origin); !status.ok()) return status;
  key_ring_.Keep(origin);
  return *rules;
}

absl::StatusOr<matrix::JsonObject> MemberTemplates::Template(const TemplateQuestion& question,
                                                             matrix::JsonObject content,
                                                             const store::v1::TemplateContext& context,
                                                             const matrix::RoomRules& rules) {
  const EventIntent intent{.type = "m.room.member",
                           .state_key = question.user.text(),
                           .sender = question.user.text(),
                           .content = std::move(content)};
  const auto place = PlaceAfter(context, intent, rules, clock_());
  if (!place.ok()) return place.status();
  auto event = BuildEvent(intent, *place, rules);
  if (!event.ok()) return event.status();
  const auto judged = validator_.Authorize(question.request.exchange().call(),
                                           AskFor(*event, *place, context.judging(), rules, server_name_.text()));
  if (!judged.ok()) return judged.status();
  if (!judged->allowed()) return Refuse(Reason::kNotAuthorised, judged->text());
  event->Set("origin", server_name_.text());  // the specification's template has it
  return event;
}

http::Response TemplateAnswer(matrix::JsonObject event, const matrix::RoomRules& rules) {
  matrix::JsonObject answer;
  answer.Set("room_version", rules.version);
  answer.Set("event", std::move(event));
  return {.status = 200, .headers = {}, .body = matrix::CanonicalJson(answer)};
}

absl::Status CheckOfferedVersions(const TemplateQuestion& question, std::string_view unless_given,
                                  const matrix::RoomRules& rules) {
  std::vector<std::string> offered = http::QueryParameters(question.request.exchange().request().target, "ver");
  if (offered.empty() && unless_given.empty()) return Refuse(Reason::kBadQuery, "ver: expected a room version");
  if (offered.empty()) offered.emplace_back(unless_given);
  if (std::ranges::find(offered, rules.version) != offered.end()) return absl::OkStatus();
  return RefuseVersion(rules.version);
}

}  // namespace postern::gateway
