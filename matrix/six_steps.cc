#include "matrix/six_steps.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "fmt/format.h"
#include "matrix/canonical_json.h"
#include "matrix/content_hash.h"
#include "matrix/redaction.h"
#include "matrix/state_change.h"

namespace postern::matrix {
namespace {

/// The state before an event, or the part of it that is given.
struct StateBefore {
  RoomState state;
  /// Where it was resolved: as changes of the branches' base.
  std::optional<StateMap> resolved = {};
};

/// One event on its way through the steps.
struct Judging {
  std::string_view pdu;
  const RoomRules& rules;
  const JudgingContext& context;
  const KeyDirectory& keys;
  absl::Time now;

  std::optional<Event> event = {};         // from step 1 on: parsed()
  std::optional<StateBefore> before = {};  // from step 5 on
  Verdict verdict = {};
  /// Set where no verdict is possible.
  absl::Status trouble = {};

  /// Every other step follows step 1.
  const Event& parsed() const { return *event; }  // NOLINT(bugprone-unchecked-optional-access)
};

/// What a step found. A reason other than kNone fails it.
struct Finding {
  StepOutcome outcome = StepOutcome::kOk;
  Reason reason = Reason::kNone;
  std::string rule = {};
  std::string text = {};
  std::vector<std::string> looked_at = {};
};

Finding Failed(Reason reason, std::string text, std::string rule = {}) {
  return {StepOutcome::kFailed, reason, std::move(rule), std::move(text), {}};
}

Finding FromRule(RuleResult result) {
  return {result.allowed() ? StepOutcome::kOk : StepOutcome::kFailed,
          result.reason,
          std::move(result.rule),
          std::move(result.text),
          {}};
}

Finding CheckFormat(Judging& judging) {
  auto json = ParseJson(judging.pdu);
  if (!json.ok()) return Failed(Reason::kBadFormat, std::string(DetailOf(json.status())));
  auto event = Event::FromJson(*std::move(json), judging.rules);
  if (!event.ok()) return Failed(Reason::kBadFormat, std::string(DetailOf(event.status())));
  judging.verdict.event_id = event->event_id();
  if (event->room_id() != judging.context.room_id) {
    judging.trouble = Refuse(Reason::kInvalidArgument, "the context is of another room than the event");
  }
  judging.event = *std::move(event);
  return {.text = fmt::format("well-formed for room version {}", judging.rules.version)};
}

Finding CheckSignatures(Judging& judging) {
  const absl::Status status = CheckEventSignatures(judging.parsed().json(), judging.rules, judging.keys, judging.now,
                                                   &judging.verdict.keys_used);
  if (!status.ok()) return Failed(Reason::kBadSignature, std::string(DetailOf(status)));
  std::string signers;
  for (const UsedKey& key : judging.verdict.keys_used) {
    signers += fmt::format("{}{} with {}", signers.empty() ? "" : ", ", key.server_name, key.key_id);
  }
  return {.text = fmt::format("signed by {}", signers.empty() ? "nobody, and needs nobody" : signers)};
}

/// Replaces the event with `copy`, the one that is judged from here on.
void JudgeInstead(Judging& judging, JsonObject copy) {
  auto event = Event::FromJson(Json(std::move(copy)), judging.rules);
  if (event.ok()) {
    judging.event = *std::move(event);
  } else {
    judging.trouble = Refuse(Reason::kInternal, "the copy to judge is not well-formed");
  }
}

Finding CheckContentHash(Judging& judging) {
  const bool matches = ContentHashMatches(judging.parsed().json());
  if (!matches) {
    JudgeInstead(judging, Redact(judging.parsed().json(), judging.rules));
  } else if (judging.parsed().json().Contains("unsigned")) {
    JsonObject copy = judging.parsed().json();
    copy.Erase("unsigned");
    JudgeInstead(judging, std::move(copy));
  }
  judging.verdict.judged_copy = CanonicalJson(judging.parsed().json());
  judging.verdict.judged_sha256 = Sha256(judging.verdict.judged_copy);
  if (matches) return {.text = "the content hash matches"};
  return {.outcome = StepOutcome::kRedacted,
          .text = "the content hash does not match: the redacted copy is judged and kept"};
}

/// The entries of `state` that the rules read for `event`.
std::vector<std::string> EntriesRead(const Event& event, const RoomState& state) {
  std::vector<std::string> ids;
  for (const StateKey& key : ReadSetOf(event)) {
    if (const Event* entry = state.Find(key.type, key.state_key)) ids.push_back(entry->event_id());
  }
  return ids;
}

/// What the context says of each id that the event cites, in the event's order; trouble if it says nothing.
std::vector<Cited> Matched(const std::vector<std::string>& ids, const std::vector<Cited>& given,
                           absl::Status& trouble) {
  std::vector<Cited> matched;
  for (const std::string& id : ids) {
    const auto cited = std::ranges::find(given, id, &Cited::event_id);
    if (cited == given.end()) {
      trouble = Refuse(Reason::kInvalidArgument, "the context does not say whether a cited event is known");
      return {};
    }
    matched.push_back(*cited);
  }
  return matched;
}

std::vector<const Event*> GivenEvents(const JudgingContext& context) {
  std::vector<const Event*> events;
  for (const auto* cited : {&context.prev_events, &context.auth_events}) {
    for (const Cited& c : *cited) {
      if (c.event) events.push_back(c.event);
    }
  }
  for (const RoomState* state : {&context.state_before, &context.state_now}) {
    for (const auto& [key, event] : *state) events.push_back(event);
  }
  return events;
}

const Event* CreateOf(const JudgingContext& context) {
  const Event* create = context.state_now.create();
  return create ? create : context.state_before.create();
}

/// Of an event that was refused nothing is kept, so the state after it cannot be had.
GraphResult CheckStateIsKnown(const std::vector<Cited>& prev_events, const JudgingContext& context) {
  if (!context.state_before_unresolved) return {};
  const auto refused = std::ranges::find_if(prev_events, &Cited::rejected);
  if (refused == prev_events.end()) return {};
  return {Reason::kUnknownEvents, fmt::format("prev event {} was refused here", refused->event_id)};
}

/// The rules on the cited events, then the rules against the state that they make up.
Finding CheckCitedState(const Event& event, const std::vector<Cited>& auth_events, const Event* create) {
  std::vector<CitedEvent> cited;
  RoomState state;
  for (const Cited& c : auth_events) {
    if (!c.event) {  // refused, and not kept: the other rules on it cannot be asked
      return FromRule(RefusedBy(AuthRule::kCitedRejected, event.rules(), c.event_id, Reason::kBadAuthEvents));
    }
    cited.push_back({c.event, c.rejected});
    if (c.event->is_state()) state.Set(*c.event);
  }
  if (auto result = CheckCitedEvents(event, cited, create); !result.allowed()) return FromRule(std::move(result));
  if (event.rules().room_id_is_create_hash && create) state.Set(*create);
  return FromRule(CheckAuthRules(event, state));
}

Finding CheckAuthEvents(Judging& judging) {
  const Event& event = judging.parsed();
  const JudgingContext& context = judging.context;
  const auto prev_events = Matched(event.prev_events(), context.prev_events, judging.trouble);
  const auto auth_events = Matched(event.auth_events(), context.auth_events, judging.trouble);
  if (!judging.trouble.ok()) return {};
  for (const Cited& cited : auth_events) {
    if (cited.known && !cited.event && !cited.rejected) {
      judging.trouble =
          Refuse(Reason::kInvalidArgument, "the context does not hold an auth event that it says is known");
      return {};
    }
  }
  GraphResult graph = CheckGraph(event, prev_events, auth_events, GivenEvents(context));
  if (graph.reason == Reason::kNone) graph = CheckStateIsKnown(prev_events, context);
  Finding finding = graph.reason == Reason::kNone ? CheckCitedState(event, auth_events, CreateOf(context))
                                                  : Failed(graph.reason, std::move(graph.text));
  finding.looked_at = event.auth_events();
  finding.looked_at.insert(finding.looked_at.end(), event.prev_events().begin(), event.prev_events().end());
  return finding;
}

absl::StatusOr<StateBefore> FindStateBefore(const JudgingContext& context, const RoomRules& rules) {
  if (context.extends_all_extremities) return StateBefore{context.state_now};
  if (!context.state_before_unresolved) return StateBefore{context.state_before};
  if (!context.branches) {
    return Refuse(Reason::kStateUnresolved, "the event's prev_events disagree about the state of the room");
  }
  auto resolved = ResolveBefore(*context.branches, rules);
  if (!resolved.ok()) return resolved.status();
  auto state = StateOf(*context.branches, *resolved);
  if (!state.ok()) return state.status();
  return StateBefore{*std::move(state), *std::move(resolved)};
}

Finding CheckAgainst(const Event& event, const RoomState& state) {
  Finding finding = FromRule(CheckAuthRules(event, state));
  finding.looked_at = EntriesRead(event, state);
  return finding;
}

Finding CheckStateBefore(Judging& judging) {
  auto before = FindStateBefore(judging.context, judging.rules);
  if (!before.ok()) {
    judging.trouble = before.status();
    return {};
  }
  return CheckAgainst(judging.parsed(), judging.before.emplace(*std::move(before)).state);
}

Finding CheckCurrentState(Judging& judging) { return CheckAgainst(judging.parsed(), judging.context.state_now); }

struct StepRow {
  Step step;
  Finding (*check)(Judging& judging);
  Outcome if_failed;
};

/// In the order in which they are run: signatures before the content hash, for an event that nobody signed is refused
/// whatever its hash says. Results are given in the order of the specification.
constexpr std::array kSteps{
    StepRow{Step::kFormat, CheckFormat, Outcome::kInvalid},
    StepRow{Step::kSignatures, CheckSignatures, Outcome::kInvalid},
    StepRow{Step::kContentHash, CheckContentHash, Outcome::kInvalid},
    StepRow{Step::kAuthEvents, CheckAuthEvents, Outcome::kRejected},
    StepRow{Step::kStateBefore, CheckStateBefore, Outcome::kRejected},
    StepRow{Step::kCurrentState, CheckCurrentState, Outcome::kSoftFailed},
};

void Record(Judging& judging, const StepRow& row, Finding finding) {
  Verdict& verdict = judging.verdict;
  if (finding.reason != Reason::kNone) {
    verdict.outcome = finding.reason == Reason::kUnknownEvents ? Outcome::kInvalid : row.if_failed;
    verdict.reason = finding.reason;
    verdict.detail = finding.rule.empty() ? finding.text : fmt::format("{}: {}", finding.rule, finding.text);
  }
  verdict.steps[static_cast<std::size_t>(row.step) - 1] = {row.step, finding.outcome, std::move(finding.rule),
                                                           std::move(finding.text), std::move(finding.looked_at)};
}

/// Step 2 and the copy it names are told even where the signatures fail: the verdict says which bytes it speaks of.
void TellContentHash(Judging& judging) {
  const auto row = std::ranges::find(kSteps, Step::kContentHash, &StepRow::step);
  if (judging.event && judging.verdict.judged_copy.empty()) Record(judging, *row, row->check(judging));
}

std::vector<StateEntry> EntriesOf(const StateMap& changes) {
  std::vector<StateEntry> entries;
  for (const auto& [key, event_id] : changes) entries.push_back({key, event_id});
  return entries;
}

/// What the current state becomes by the resolution over all branches: any key may change with it.
absl::Status AddResolvedChange(Judging& judging, const StateBefore& state_before) {
  const std::optional<Branches>& branches = judging.context.branches;
  if (!branches) return Refuse(Reason::kStateUnresolved, "the current state after the event hangs on a resolution");
  const auto before = state_before.resolved ? *state_before.resolved : ResolveBefore(*branches, judging.rules);
  if (!before.ok()) return before.status();
  const auto after = ResolveWith(judging.parsed(), *before, *branches, judging.rules);
  if (!after.ok()) return after.status();
  judging.verdict.current_state_change = EntriesOf(ChangesBetween(*branches, branches->now, *after));
  return absl::OkStatus();
}

void AddChange(Judging& judging, const StateBefore& before) {
  const Event& event = judging.parsed();
  const JudgingContext& context = judging.context;
  Verdict& verdict = judging.verdict;
  verdict.read_set = ReadSetOf(event);
  if (event.is_state()) verdict.state_after_change = {{{event.type(), *event.state_key()}, event.event_id()}};
  std::optional<CurrentStateChange> change;
  if (!before.resolved) {
    change = CurrentStateChangeOf(event, before.state, context.state_now,
                                  {context.extends_all_extremities, context.states_diverge});
  }
  if (change) {
    verdict.commutes = change->commutes;
    verdict.current_state_change = verdict.state_after_change;
  } else {
    judging.trouble = AddResolvedChange(judging, before);
  }
}

/// A soft-failed event is kept with the state after it, too.
void TellStateBefore(Judging& judging) {
  if (judging.before && judging.before->resolved) {
    judging.verdict.state_before_change = EntriesOf(*judging.before->resolved);
  }
}

void NotePolicyServer(Judging& judging) {
  const Event* policy = judging.context.state_now.Find("m.room.policy", "");
  if (!policy) return;
  judging.verdict.steps.push_back({Step::kPolicyServer,
                                   StepOutcome::kSkipped,
                                   "",
                                   "the room has a policy server, which is not asked",
                                   {policy->event_id()}});
}

}  // namespace

absl::StatusOr<Verdict> RunSixSteps(std::string_view pdu, const RoomRules& rules, const JudgingContext& context,
                                    const KeyDirectory& keys, absl::Time now) {
  Judging judging{.pdu = pdu, .rules = rules, .context = context, .keys = keys, .now = now};
  judging.verdict.outcome = Outcome::kAccepted;
  judging.verdict.judged_at = now;
  judging.verdict.steps.resize(kSteps.size());
  for (const StepRow& row : kSteps) judging.verdict.steps[static_cast<std::size_t>(row.step) - 1].step = row.step;

  for (const StepRow& row : kSteps) {
    Finding finding = row.check(judging);
    if (!judging.trouble.ok()) return judging.trouble;
    Record(judging, row, std::move(finding));
    if (judging.verdict.outcome != Outcome::kAccepted) break;
  }
  TellContentHash(judging);
  NotePolicyServer(judging);
  TellStateBefore(judging);
  if (judging.verdict.outcome == Outcome::kAccepted && judging.before) AddChange(judging, *judging.before);
  if (!judging.trouble.ok()) return judging.trouble;
  return std::move(judging.verdict);
}

}  // namespace postern::matrix
