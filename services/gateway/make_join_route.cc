#include "services/gateway/make_join_route.h"

#include <algorithm>
#include <utility>

#include "matrix/auth_events.h"
#include "matrix/refusal.h"

namespace postern::gateway {
namespace {

using matrix::JsonObject;
using matrix::Reason;
using matrix::Refuse;

/// They come by their power, so that the second is tried only where the first has left meanwhile, or the like.
constexpr std::size_t kMostTried = 3;
/// What a server can do that does not say.
constexpr std::string_view kOldestVersion = "1";
const std::vector<std::string_view> kAlreadyIn = {"join", "invite"};

JsonObject JoinContent() {
  JsonObject content;
  content.Set("membership", "join");
  return content;
}

}  // namespace

MakeJoinRoute::MakeJoinRoute(const matrix::ServerName& server_name, StoreClient& store, ValidatorClient& validator,
                             KeyRing& key_ring, RememberedAccess& access, InvitesUnderWay& invites, Clock clock)
    : templates_(server_name, store, validator, key_ring, access, invites, std::move(clock)),
      restricted_(server_name, store) {}

absl::StatusOr<http::Response> MakeJoinRoute::Handle(AuthenticRequest request) {
  const auto question = templates_.Read(request);
  if (!question.ok()) return question.status();
  const auto context = templates_.ContextFor(*question, matrix::KeysForJoin(question->user.text(), ""), kAlreadyIn);
  if (!context.ok()) return context.status();
  const auto rules = templates_.RulesFor(*question, *context);
  if (!rules.ok()) return rules.status();
  if (absl::Status status = CheckOfferedVersions(*question, kOldestVersion, **rules); !status.ok()) return status;
  auto event = Template(*question, *context, **rules);
  if (!event.ok()) return event.status();
  return TemplateAnswer(*std::move(event), **rules);
}

absl::StatusOr<JsonObject> MakeJoinRoute::Template(const TemplateQuestion& question,
                                                   const store::v1::TemplateContext& context,
                                                   const matrix::RoomRules& rules) {
  const std::string& now = context.user_membership();
  if (now == "ban") return Refuse(Reason::kNotAuthorised, "the user is banned from the room");
  if (RestrictedJoins::NeedVoucher(context.judging(), now, rules)) return VouchedTemplate(question, context, rules);
  return templates_.Template(question, JoinContent(), context, rules);
}

absl::StatusOr<JsonObject> MakeJoinRoute::VouchedTemplate(const TemplateQuestion& question,
                                                          const store::v1::TemplateContext& context,
                                                          const matrix::RoomRules& rules) {
  const std::string& user = question.user.text();
  const auto vouchers = restricted_.Vouchers(question.request.exchange().call(), context.judging(), user, rules);
  if (!vouchers.ok()) return vouchers.status();
  for (std::size_t i = 0; i < std::min(vouchers->size(), kMostTried); ++i) {
    const std::string& voucher = (*vouchers)[i];
    const auto with_voucher = templates_.ContextFor(question, matrix::KeysForJoin(user, voucher), kAlreadyIn);
    if (!with_voucher.ok()) return with_voucher.status();
    JsonObject content = JoinContent();
    content.Set("join_authorised_via_users_server", voucher);
    auto event = templates_.Template(question, std::move(content), *with_voucher, rules);
    if (event.ok() || matrix::ReasonOf(event.status()) != Reason::kNotAuthorised) return event;
  }
  return Refuse(Reason::kUnableToGrantJoin, "nobody of this server may invite to the room");
}

}  // namespace postern::gateway
