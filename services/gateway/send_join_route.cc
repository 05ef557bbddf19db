#include "services/gateway/send_join_route.h"

#include <memory>
#include <utility>

#include "matrix/identifiers.h"
#include "matrix/refusal.h"
#include "services/gateway/join_answer.h"

namespace postern::gateway {
namespace {

using matrix::Reason;
using matrix::Refuse;

/// What is longer is sent while it is read.
constexpr std::size_t kShortAnswerBytes = 512 * 1024;
/// From a join on, for its whole answer to be read by the peer.
constexpr absl::Duration kLongestAnswer = absl::Minutes(10);

}  // namespace

SendJoinRoute::SendJoinRoute(JoinApi api, IntakeServices services, MissingEvents* missing_events,
                             LargeAnswers& large_answers, rpc::WorkerPool& readers)
    : api_(api),
      store_(services.store),
      signer_(services.signer),
      metrics_(services.metrics),
      large_answers_(large_answers),
      readers_(readers),
      restricted_(services.signer.server_name(), services.store),
      intake_(Wanted::kJoin, std::move(services), missing_events) {}

absl::StatusOr<http::Response> SendJoinRoute::Handle(AuthenticRequest request) {
  const rpc::CallContext& call = request.exchange().call();
  const auto taken =
      intake_.Take(request, [&](OwnMembership& join, const store::v1::EventContext& context,
                                const matrix::RoomRules& rules) { return VouchIfOurs(call, join, context, rules); });
  if (!taken.ok()) return taken.status();
  if (taken->outcome != matrix::v1::OUTCOME_ACCEPTED) {
    return Refuse(Reason::kNotAuthorised, "the room's current state does not let the user join");
  }
  return Answer(request, taken->event);
}

/// The rules want the signature of the server whose user vouches: this one gives it before the join is judged.
absl::Status SendJoinRoute::VouchIfOurs(const rpc::CallContext& call, OwnMembership& join,
                                        const store::v1::EventContext& context, const matrix::RoomRules& rules) {
  if (!rules.restricted_joins || join.voucher().empty()) return absl::OkStatus();
  if (matrix::DomainOf(join.voucher()) != signer_.server_name().text()) return absl::OkStatus();
  const auto vouched = restricted_.Vouch(call, join, context, rules);
  if (!vouched.ok()) return vouched.status();
  auto signatures = signer_.SignVouched(*vouched, rules);
  if (!signatures.ok()) return signatures.status();
  join.SetSignatures(*std::move(signatures));
  return absl::OkStatus();
}

absl::StatusOr<http::Response> SendJoinRoute::Answer(const AuthenticRequest& request, const OwnMembership& join) {
  const Exchange& exchange = request.exchange();
  auto answer = std::make_shared<JoinAnswer>(
      store_, JoinedRoom{.room_id = join.room_id(),
                         .event_id = join.claimed_event_id(),
                         .user = join.sender().text(),
                         .server_name = signer_.server_name().text(),
                         .omit_members = http::QueryParameter(exchange.request().target, "omit_members") == "true",
                         .in_array = api_ == JoinApi::kV1});
  http::Response response{.status = 200, .headers = {}, .body = {}};
  while (response.body.size() <= kShortAnswerBytes) {
    const auto part = answer->Next(exchange.call());
    if (!part.ok()) return part.status();
    if (part->empty()) return response;
    response.body += *part;
  }
  response.held_until_sent = large_answers_.Take(request.origin().text());
  if (response.held_until_sent == nullptr) return Refuse(Reason::kOverloaded, "too many large answers at once");
  metrics_.Count("postern_gateway_streamed_answers_total");
  response.rest =
      StreamJoinAnswer(std::move(answer), readers_, exchange.call().trace, exchange.received_at() + kLongestAnswer);
  return response;
}

}  // namespace postern::gateway
