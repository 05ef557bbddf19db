#include "services/store/recorded_decision.h"

#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "matrix/canonical_json.h"
#include "matrix/content_hash.h"
#include "matrix/json.h"

namespace postern::store {
namespace {

using matrix::Json;
using matrix::JsonObject;

/// What `event` may have been before `server_name` signed it: without all its signatures; without one of them, where it
/// carried others of them before.
std::vector<std::string> BeforeCountersigning(const JsonObject& event, std::string_view server_name) {
  std::vector<std::string> candidates;
  const Json* signatures = event.Find("signatures");
  const Json* own = signatures && signatures->AsObject() ? signatures->AsObject()->Find(server_name) : nullptr;
  if (!own || !own->AsObject()) return candidates;
  const auto with = [&](std::optional<JsonObject> remaining) {
    JsonObject all = *signatures->AsObject();
    if (remaining) {
      all.Set(server_name, *std::move(remaining));
    } else {
      all.Erase(server_name);
    }
    JsonObject copy = event;
    copy.Set("signatures", std::move(all));
    candidates.push_back(matrix::CanonicalJson(copy));
  };
  with(std::nullopt);
  for (const auto& [key_id, signature] : *own->AsObject()) {
    JsonObject remaining = *own->AsObject();
    remaining.Erase(key_id);
    with(std::move(remaining));
  }
  return candidates;
}

}  // namespace

matrix::v1::Verdict VerdictToKeep(const v1::PersistEventRequest& request, const ContextToken& token) {
  matrix::v1::Verdict kept = request.verdict();
  kept.clear_judged_copy();
  kept.clear_inputs();
  const bool with_branches = request.context_request().with_branches();
  // Branches that were too many are not told again either.
  if (!token.branching || (with_branches && token.extremities.empty())) return kept;
  matrix::v1::RecordedInputs& inputs = *kept.mutable_inputs();
  if (token.before && !token.merged && !with_branches) inputs.set_state_group_before(*token.before);
  if (with_branches) inputs.mutable_forward_extremities()->Add(token.extremities.begin(), token.extremities.end());
  inputs.set_state_group_now(token.now);
  inputs.set_extends_all_extremities(token.branching->extends_all_extremities);
  inputs.set_states_diverge(token.branching->states_diverge);
  if (!request.received_pdu().empty()) {
    inputs.set_pdu(request.received_pdu());
  } else if (kept.outcome() == matrix::v1::OUTCOME_REJECTED) {
    inputs.set_pdu(request.pdu());
  }
  return kept;
}

std::string JudgedPdu(const std::string& stored_pdu, const matrix::v1::Verdict& kept, std::string_view server_name) {
  if (!kept.inputs().pdu().empty()) return kept.inputs().pdu();
  if (matrix::Sha256(stored_pdu) == kept.judged_sha256()) return stored_pdu;
  const auto event = matrix::ParseJson(stored_pdu);
  if (!event.ok() || !event->AsObject()) return stored_pdu;
  for (std::string& candidate : BeforeCountersigning(*event->AsObject(), server_name)) {
    if (matrix::Sha256(candidate) == kept.judged_sha256()) return std::move(candidate);
  }
  return stored_pdu;
}

bool PageIsFull(const v1::ListDecisionsResponse& page, std::size_t bytes) {
  return page.decisions_size() >= kDecisionsPerPage || bytes >= kDecisionBytesPerPage;
}

std::int64_t UntilOf(const v1::ListDecisionsRequest& request) {
  return request.until_ms() == 0 ? std::numeric_limits<std::int64_t>::max() : request.until_ms();
}

}  // namespace postern::store
