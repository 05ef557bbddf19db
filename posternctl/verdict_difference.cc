#include "posternctl/verdict_difference.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "matrix/base64.h"
#include "matrix/refusal.h"
#include "matrix/verdict.h"
#include "posternctl/event_words.h"
#include "posternctl/report.h"

namespace postern::posternctl {
namespace {

using matrix::v1::StepResult;
using matrix::v1::Verdict;

class Comparison {
 public:
  void Hold(std::string what, std::string recorded, std::string now) {
    if (recorded != now) differences_.push_back({std::move(what), std::move(recorded), std::move(now)});
  }
  std::vector<Difference> Found() && { return std::move(differences_); }

 private:
  std::vector<Difference> differences_;
};

/// Sorted and joined: the order says nothing.
std::string Listed(std::vector<std::string> items) {
  if (items.empty()) return "-";
  std::ranges::sort(items);
  return fmt::format("{}", fmt::join(items, ", "));
}

std::string Ids(const StepResult& step) {
  std::vector<std::string> ids;
  for (const std::string& id : step.looked_at()) ids.push_back(Printable(id));
  return Listed(std::move(ids));
}

std::string Changes(const google::protobuf::RepeatedPtrField<matrix::v1::StateEntry>& entries) {
  std::vector<std::string> changes;
  for (const matrix::v1::StateEntry& entry : entries) {
    changes.push_back(fmt::format("{} = {}", KeyText(entry.type(), entry.state_key()), Printable(entry.event_id())));
  }
  return Listed(std::move(changes));
}

std::string ReadSet(const Verdict& verdict) {
  std::vector<std::string> keys;
  for (const matrix::v1::StateKey& key : verdict.read_set()) keys.push_back(KeyText(key.type(), key.state_key()));
  return Listed(std::move(keys));
}

std::string Keys(const Verdict& verdict) {
  std::vector<std::string> keys;
  for (const matrix::v1::KeyUsed& key : verdict.keys_used()) {
    keys.push_back(fmt::format("{} {}", Printable(key.server_name()), Printable(key.key_id())));
  }
  return Listed(std::move(keys));
}

std::string ResultText(const StepResult& step) {
  const std::string outcome(matrix::StepOutcomeName(static_cast<matrix::StepOutcome>(step.outcome())));
  return step.rule().empty() ? outcome : fmt::format("{}, {}", outcome, Printable(step.rule()));
}

void HoldSteps(const Verdict& recorded, const Verdict& now, Comparison& comparison) {
  std::map<std::uint32_t, std::pair<const StepResult*, const StepResult*>> steps;
  for (const StepResult& step : recorded.steps()) steps[step.step()].first = &step;
  for (const StepResult& step : now.steps()) steps[step.step()].second = &step;
  for (const auto& [number, results] : steps) {
    const auto& [then, today] = results;
    const std::string what = fmt::format("step {} ({})", number, StepText(then != nullptr ? *then : *today));
    comparison.Hold(what, then == nullptr ? "-" : ResultText(*then), today == nullptr ? "-" : ResultText(*today));
    comparison.Hold(what + " looked at", then == nullptr ? "-" : Ids(*then), today == nullptr ? "-" : Ids(*today));
  }
}

const char* YesOrNo(bool yes) { return yes ? "yes" : "no"; }

}  // namespace

std::vector<Difference> DifferencesBetween(const Verdict& recorded, const Verdict& now) {
  Comparison comparison;
  comparison.Hold("outcome", OutcomeText(recorded.outcome()), OutcomeText(now.outcome()));
  comparison.Hold("reason", ReasonText(recorded.reason()), ReasonText(now.reason()));
  comparison.Hold("event id", Printable(recorded.event_id()), Printable(now.event_id()));
  comparison.Hold("SHA-256 of the copy judged", matrix::EncodeBase64(recorded.judged_sha256()),
                  matrix::EncodeBase64(now.judged_sha256()));
  HoldSteps(recorded, now, comparison);
  comparison.Hold("keys used", Keys(recorded), Keys(now));
  comparison.Hold("change of the state after it", Changes(recorded.state_after_change()),
                  Changes(now.state_after_change()));
  comparison.Hold("change of the current state", Changes(recorded.current_state_change()),
                  Changes(now.current_state_change()));
  comparison.Hold("state relied on", ReadSet(recorded), ReadSet(now));
  comparison.Hold("commutes", YesOrNo(recorded.commutes()), YesOrNo(now.commutes()));
  return std::move(comparison).Found();
}

std::vector<Difference> DifferencesBetween(const Verdict& recorded, const validator::v1::AuthorizeResponse& now) {
  Comparison comparison;
  const bool allowed_then = recorded.outcome() == matrix::v1::OUTCOME_ACCEPTED;
  comparison.Hold("allowed", YesOrNo(allowed_then), YesOrNo(now.allowed()));
  constexpr auto kFirstAuthStep = static_cast<std::uint32_t>(matrix::Step::kAuthEvents);
  const auto auth = std::ranges::find(recorded.steps(), kFirstAuthStep, &StepResult::step);
  comparison.Hold("rule", auth == recorded.steps().end() ? "-" : Printable(auth->rule()), Printable(now.rule()));
  return std::move(comparison).Found();
}

std::vector<Difference> NoVerdict(const Verdict& recorded, const absl::Status& why) {
  return {
      {"verdict", OutcomeText(recorded.outcome()),
       fmt::format("none: {} ({})", matrix::RefusalOf(matrix::ReasonOf(why)).name, Printable(matrix::DetailOf(why)))}};
}

}  // namespace postern::posternctl
