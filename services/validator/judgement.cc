#include "services/validator/judgement.h"

#include <utility>

#include "matrix/auth_rules.h"
#include "matrix/refusal.h"
#include "matrix/six_steps.h"
#include "matrix/state_change.h"
#include "services/validator/context_codec.h"

namespace postern::validator {
namespace {

using matrix::Reason;
using matrix::Refuse;

/// Events that are still to be hashed and signed are judged too.
absl::StatusOr<matrix::Event> ReadDraft(const std::string& pdu, const matrix::RoomRules& rules) {
  auto json = matrix::ParseJson(pdu);
  if (!json.ok()) return json.status();
  if (matrix::JsonObject* object = json->AsObject()) {
    for (const std::string_view member : {"hashes", "signatures"}) {
      if (!object->Contains(member)) object->Set(member, matrix::Json(matrix::JsonObject()));
    }
  }
  return matrix::Event::FromJson(*std::move(json), rules);
}

absl::StatusOr<std::vector<matrix::CitedEvent>> CitedBy(const matrix::JudgingContext& context) {
  std::vector<matrix::CitedEvent> cited;
  for (const matrix::Cited& reference : context.auth_events) {
    if (!reference.event) return Refuse(Reason::kInvalidArgument, "the context does not hold a cited event");
    cited.push_back({reference.event, reference.rejected});
  }
  return cited;
}

/// The keys that the rules read for the event, with what the two states hold there.
void DescribeState(const matrix::Event& event, const matrix::JudgingContext& context, v1::ExplainResponse& response) {
  const matrix::RoomState& before = context.extends_all_extremities ? context.state_now : context.state_before;
  for (const matrix::StateKey& key : matrix::ReadSetOf(event)) {
    v1::KeyInQuestion& described = *response.add_keys();
    described.mutable_key()->set_type(key.type);
    described.mutable_key()->set_state_key(key.state_key);
    if (const matrix::Event* entry = before.Find(key.type, key.state_key)) described.set_before(entry->event_id());
    if (const matrix::Event* entry = context.state_now.Find(key.type, key.state_key)) {
      described.set_now(entry->event_id());
    }
  }
}

}  // namespace

absl::Status Validate(const v1::ValidateRequest& request, v1::ValidateResponse& response) {
  RecurringEvents none;
  return Validate(request, none, response);
}

absl::Status Validate(const v1::ValidateRequest& request, RecurringEvents& recurring, v1::ValidateResponse& response) {
  const auto context = DecodedContext::From(request.context(), recurring);
  if (!context.ok()) return context.status();
  const auto verdict = matrix::RunSixSteps(request.pdu(), context->rules(), context->judging(),
                                           DecodeKeys(request.verify_keys()), absl::FromUnixMillis(request.now_ms()));
  if (!verdict.ok()) return verdict.status();
  EncodeVerdict(*verdict, *response.mutable_verdict());
  return absl::OkStatus();
}

absl::Status Explain(const v1::ValidateRequest& request, v1::ExplainResponse& response) {
  RecurringEvents recurring;
  const auto context = DecodedContext::From(request.context(), recurring);
  if (!context.ok()) return context.status();
  v1::ValidateResponse judged;
  if (absl::Status status = Validate(request, recurring, judged); !status.ok()) return status;
  const std::string& copy = judged.verdict().judged_copy();
  const auto event = matrix::Event::Parse(copy.empty() ? request.pdu() : copy, context->rules());
  if (event.ok()) DescribeState(*event, context->judging(), response);
  *response.mutable_verdict() = std::move(*judged.mutable_verdict());
  return absl::OkStatus();
}

absl::Status Authorize(const v1::AuthorizeRequest& request, v1::AuthorizeResponse& response) {
  RecurringEvents none;
  const auto context = DecodedContext::From(request.context(), none);
  if (!context.ok()) return context.status();
  const auto event = ReadDraft(request.pdu(), context->rules());
  if (!event.ok()) return event.status();
  const auto cited = CitedBy(context->judging());
  if (!cited.ok()) return cited.status();

  const matrix::RoomState& state = context->judging().state_now;
  matrix::RuleResult result = matrix::CheckCitedEvents(*event, *cited, state.create());
  if (result.allowed()) result = matrix::CheckAuthRules(*event, state);
  response.set_allowed(result.allowed());
  if (!result.allowed()) {
    response.mutable_refusal()->set_reason(static_cast<postern::matrix::v1::Reason>(result.reason));
    response.mutable_refusal()->set_detail(result.text);
  }
  response.set_rule(std::move(result.rule));
  response.set_text(std::move(result.text));
  return absl::OkStatus();
}

}  // namespace postern::validator
