// posternctl replay: judges recorded decisions again, from what was recorded, and lists every difference.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <iostream>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "matrix/refusal.h"
#include "matrix/room_rules.h"
#include "posternctl/commands.h"
#include "posternctl/connection.h"
#include "posternctl/event_words.h"
#include "posternctl/report.h"
#include "posternctl/verdict_difference.h"
#include "posternctl/verdict_tables.h"

namespace postern::posternctl {
namespace {

using matrix::JsonArray;
using matrix::JsonObject;
using matrix::Reason;
using store::v1::Decision;
using store::v1::Store;
using validator::v1::Validator;

struct ReplayOptions {
  std::string since;
  std::string room_id;
};

/// A time as RFC 3339, a day, milliseconds since 1970, or a duration before `now`.
std::optional<absl::Time> ParseSince(const std::string& text, absl::Time now) {
  absl::Time time;
  std::string error;
  if (absl::ParseTime(absl::RFC3339_full, text, &time, &error)) return time;
  if (absl::ParseTime("%Y-%m-%d", text, absl::UTCTimeZone(), &time, &error)) return time;
  std::int64_t ms = 0;
  if (absl::SimpleAtoi(text, &ms) && ms >= 0) return absl::FromUnixMillis(ms);
  absl::Duration before;
  if (absl::ParseDuration(text, &before) && before >= absl::ZeroDuration()) return now - before;
  return std::nullopt;
}

validator::v1::ServerKeys& KeysOfServer(const std::string& name, validator::v1::ValidateRequest& request) {
  for (auto& server : *request.mutable_verify_keys()) {
    if (server.server_name() == name) return server;
  }
  auto& server = *request.add_verify_keys();
  server.set_server_name(name);
  return server;
}

/// The keys that the verdict relied on, as they were known then.
void AddKeys(const matrix::v1::Verdict& verdict, validator::v1::ValidateRequest& request) {
  for (const matrix::v1::KeyUsed& used : verdict.keys_used()) {
    validator::v1::ServerKeys& server = KeysOfServer(used.server_name(), request);
    auto& key = *server.add_keys();
    key.set_key_id(used.key_id());
    key.set_public_key(used.public_key());
    if (used.old()) {
      key.set_expired_ms(used.valid_until_ms());
    } else {
      server.set_valid_until_ms(used.valid_until_ms());
    }
  }
}

/// No verdict, by the rules: another try would end the same.
bool IsRefusalToJudge(const absl::Status& status) {
  const Reason reason = matrix::ReasonOf(status);
  return reason == Reason::kInvalidArgument || reason == Reason::kUnsupportedVersion ||
         reason == Reason::kStateUnresolved || reason == Reason::kBadFormat;
}

class Replay {
 public:
  Replay(const GlobalOptions& global, Store::Stub& store, Validator::Stub& validator)
      : global_(global), store_(store), validator_(validator) {}

  /// Goes through all decisions; what it finds is told as it is found. Not OK: it could not go on.
  absl::Status Run(store::v1::ListDecisionsRequest request) {
    for (;;) {
      auto page = Call(global_, StoreName(), store_, &Store::Stub::ListDecisions, request);
      if (!page.ok()) return page.status();
      for (const Decision& decision : page->decisions()) {
        if (absl::Status status = JudgeAgain(decision); !status.ok()) return status;
      }
      if (!page->has_next()) return absl::OkStatus();
      *request.mutable_after() = std::move(*page->mutable_next());
    }
  }

  std::int64_t judged() const { return judged_; }
  std::int64_t differing() const { return differing_; }
  std::int64_t not_recorded() const { return not_recorded_; }
  JsonArray TakeDifferences() { return std::move(differences_); }

 private:
  std::string StoreName() const { return "store at " + global_.store; }
  std::string ValidatorName() const { return "validator at " + global_.validator; }

  absl::Status JudgeAgain(const Decision& decision) {
    if (!decision.verdict().has_inputs() || decision.pdu().empty()) {
      ++not_recorded_;
      return absl::OkStatus();
    }
    const auto context = ContextOf(decision);
    if (!context.ok()) {
      // Gone since the page was read: an accepted event is no refusal any more, and of refusals the oldest go.
      if (!absl::IsNotFound(context.status())) return context.status();
      ++not_recorded_;
      return absl::OkStatus();
    }
    const auto found = decision.minted_here() ? Authorized(decision, *context) : Validated(decision, *context);
    if (!found.ok() && !IsRefusalToJudge(found.status())) return found.status();
    ++judged_;
    Tell(decision, found.ok() ? *found : NoVerdict(decision.verdict(), found.status()));
    return absl::OkStatus();
  }

  absl::StatusOr<matrix::v1::JudgingContext> ContextOf(const Decision& decision) {
    store::v1::GetDecisionContextRequest request;
    request.set_room_id(decision.room_id());
    request.set_event_id(decision.event_id());
    request.set_refused(decision.refused());
    if (const auto* rules = matrix::FindRoomRules(decision.room_version()); rules != nullptr) {
      for (auto& key : KeysToAskFor(decision.pdu(), *rules, decision.verdict())) {
        *request.add_state_keys() = std::move(key);
      }
    }
    auto context = Call(global_, StoreName(), store_, &Store::Stub::GetDecisionContext, request);
    if (!context.ok()) return context.status();
    return std::move(*context->mutable_judging());
  }

  absl::StatusOr<std::vector<Difference>> Validated(const Decision& decision,
                                                    const matrix::v1::JudgingContext& context) {
    validator::v1::ValidateRequest request;
    request.set_pdu(decision.pdu());
    request.set_now_ms(decision.verdict().judged_at_ms());
    *request.mutable_context() = context;
    AddKeys(decision.verdict(), request);
    const auto answer = Call(global_, ValidatorName(), validator_, &Validator::Stub::Validate, request);
    if (!answer.ok()) return answer.status();
    return DifferencesBetween(decision.verdict(), answer->verdict());
  }

  absl::StatusOr<std::vector<Difference>> Authorized(const Decision& decision,
                                                     const matrix::v1::JudgingContext& context) {
    validator::v1::AuthorizeRequest request;
    request.set_pdu(decision.pdu());
    *request.mutable_context() = context;
    const auto answer = Call(global_, ValidatorName(), validator_, &Validator::Stub::Authorize, request);
    if (!answer.ok()) return answer.status();
    return DifferencesBetween(decision.verdict(), *answer);
  }

  void Tell(const Decision& decision, const std::vector<Difference>& found) {
    if (found.empty()) return;
    ++differing_;
    if (!global_.json) {
      std::cout << fmt::format("{}  in {}  {} {}\n", Printable(decision.event_id()), Printable(decision.room_id()),
                               decision.refused() ? "refused" : "stored", TimeText(decision.stored_at_ms()));
      std::vector<std::vector<std::string>> rows;
      for (const Difference& difference : found) {
        rows.push_back({"  " + difference.what, difference.recorded, difference.now});
      }
      PrintTable({"  WHAT", "RECORDED", "JUDGED NOW"}, rows);
      std::cout << '\n';
      return;
    }
    JsonArray described;
    for (const Difference& difference : found) {
      JsonObject entry;
      entry.Set("what", difference.what);
      entry.Set("recorded", difference.recorded);
      entry.Set("now", difference.now);
      described.emplace_back(std::move(entry));
    }
    JsonObject entry;
    entry.Set("event_id", decision.event_id());
    entry.Set("room_id", decision.room_id());
    entry.Set("refused", decision.refused());
    entry.Set("stored_at_ms", std::int64_t{decision.stored_at_ms()});
    entry.Set("differences", std::move(described));
    differences_.emplace_back(std::move(entry));
  }

  const GlobalOptions& global_;
  Store::Stub& store_;
  Validator::Stub& validator_;
  std::int64_t judged_ = 0;
  std::int64_t not_recorded_ = 0;
  std::int64_t differing_ = 0;
  JsonArray differences_;
};

void PrintSummary(const GlobalOptions& global, const store::v1::ListDecisionsRequest& request, Replay& replay) {
  if (!global.json) {
    std::cout << fmt::format(
        "{} decisions since {} judged again, {} differ; {} cannot be, for what they were judged on was not kept\n",
        replay.judged(), TimeText(request.since_ms()), replay.differing(), replay.not_recorded());
    return;
  }
  JsonObject described;
  described.Set("since_ms", std::int64_t{request.since_ms()});
  described.Set("until_ms", std::int64_t{request.until_ms()});
  described.Set("judged", replay.judged());
  described.Set("differing", replay.differing());
  described.Set("not_recorded", replay.not_recorded());
  described.Set("differences", replay.TakeDifferences());
  PrintJson(std::move(described));
}

int RunReplay(const GlobalOptions& global, const ReplayOptions& options) {
  const absl::Time now = absl::Now();
  const auto since = ParseSince(options.since, now);
  if (!since) {
    return FailUsage(matrix::Refuse(Reason::kInvalidArgument, fmt::format("--since {}: no time", options.since)));
  }
  store::v1::ListDecisionsRequest request;
  request.set_since_ms(std::max<std::int64_t>(0, absl::ToUnixMillis(*since)));
  request.set_until_ms(absl::ToUnixMillis(now) + 1);  // what comes while this runs is no history yet
  request.set_room_id(options.room_id);
  const auto store = OpenStore(global);
  if (!store.ok()) return FailUsage(store.status());
  const auto validator = OpenValidator(global);
  if (!validator.ok()) return FailUsage(validator.status());

  Replay replay(global, **store, **validator);
  if (absl::Status status = replay.Run(request); !status.ok()) return Fail(status);
  PrintSummary(global, request, replay);
  return replay.differing() == 0 ? kExitOk : kExitRefused;
}

}  // namespace

void AddReplayCommand(CLI::App& app, CommandLine& line) {
  auto options = std::make_shared<ReplayOptions>();
  CLI::App* replay = app.add_subcommand(
      "replay",
      "judge recorded decisions again and list every difference: a new validator against production's history");
  replay
      ->add_option("--since", options->since,
                   "how far back: a time (2026-03-01T12:00:00Z), a day (2026-03-01), a duration (36h), or milliseconds "
                   "since 1970 (0: all that is recorded)")
      ->required();
  replay->add_option("--room", options->room_id, "of this room only");
  replay->footer(
      "\nexamples:\n  posternctl replay --since 24h --validator 127.0.0.1:7111\n"
      "  posternctl --json replay --since 2026-03-01 --validator new-validator:7101 --plaintext | jq .differing\n"
      "Nothing is written. Validators that answer are told apart by --validator alone: start the new version beside "
      "the\n"
      "running ones, where no gateway knows it.\n"
      "\nexit status:\n  0  no difference\n  1  differences, which are listed\n  2  the command line is wrong\n"
      "  3  no answer from store or validator; what was found up to then is listed");
  replay->callback([options, &line] { line.chosen = [options, &line] { return RunReplay(line.global, *options); }; });
}

}  // namespace postern::posternctl
