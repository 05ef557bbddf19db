// posternctl explain: why an event was judged as it was, from what was recorded; or how one in a file would be judged,
// with nothing written. With --graph, a picture of what is around it.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <iostream>
#include <memory>
#include <utility>

#include "matrix/refusal.h"
#include "posternctl/commands.h"
#include "posternctl/connection.h"
#include "posternctl/event_record.h"
#include "posternctl/event_words.h"
#include "posternctl/file_question.h"
#include "posternctl/graph_drawing.h"
#include "posternctl/graph_file.h"
#include "posternctl/input_file.h"
#include "posternctl/report.h"
#include "posternctl/verdict_tables.h"

namespace postern::posternctl {
namespace {

using matrix::JsonArray;
using matrix::JsonObject;
using store::v1::Store;
using validator::v1::Validator;

constexpr int kMostAskedAtOnce = 20;

struct ExplainOptions {
  /// An event id, a file, or "-".
  std::string what;
  std::string room_id;
  std::string graph_file;
  unsigned hops = 2;
};

/// What is known of one decision, recorded or dry.
struct Explanation {
  std::string event_id;
  std::string room_id;
  std::string room_version;
  matrix::v1::Verdict verdict;
  bool has_verdict = true;
  KeysInQuestion keys;
  matrix::v1::JudgingContext context;
  std::vector<std::string> notes;
};

absl::StatusOr<store::v1::Neighbourhood> Around(const GlobalOptions& global, const std::string& room_id,
                                                const std::vector<std::string>& event_ids, unsigned hops) {
  store::v1::GetNeighbourhoodRequest request;
  request.set_room_id(room_id);
  for (const std::string& id : event_ids) {
    if (request.event_ids_size() < kMostAskedAtOnce) request.add_event_ids(id);
  }
  request.set_hops(hops);
  return CallStore(global, &Store::Stub::GetNeighbourhood, request);
}

/// Adds those of `more` that are not there yet.
void Join(store::v1::Neighbourhood& all, const store::v1::Neighbourhood& more) {
  for (const auto& event : more.events()) {
    const auto& events = all.events();
    if (std::ranges::find(events, event.event_id(), &store::v1::NeighbourEvent::event_id) == events.end()) {
      *all.add_events() = event;
    }
  }
  all.set_truncated(all.truncated() || more.truncated());
}

int Draw(const GraphPicture& picture, const std::string& path) {
  const absl::Status written = WriteGraph(path, DrawGraph(picture));
  if (!written.ok()) return Fail(written);
  std::cerr << "posternctl: the graph is in " << path << '\n';
  return kExitOk;
}

int DrawStored(const GlobalOptions& global, const ExplainOptions& options, const Explanation& explained) {
  if (options.graph_file.empty()) return kExitOk;
  auto around = Around(global, explained.room_id, {explained.event_id}, options.hops);
  if (!around.ok()) return Fail(around.status());
  return Draw({*std::move(around), explained.room_id, explained.room_version, {explained.event_id}, ""},
              options.graph_file);
}

/// The event that was only judged, over what it cites.
int DrawJudged(const GlobalOptions& global, const ExplainOptions& options, const FileQuestion& question,
               const Explanation& explained) {
  if (options.graph_file.empty()) return kExitOk;
  if (!question.event) {
    return Fail(matrix::Refuse(matrix::Reason::kInvalidArgument, "what is no event has no place in a graph"));
  }
  const matrix::Event& event = *question.event;
  GraphPicture picture{{}, explained.room_id, explained.room_version, {event.event_id()}, ""};
  const unsigned hops_of_prev = options.hops == 0 ? 0 : options.hops - 1;
  for (const auto& [ids, hops] : {std::pair{event.prev_events(), hops_of_prev}, std::pair{event.auth_events(), 0U}}) {
    if (ids.empty()) continue;
    const auto around = Around(global, explained.room_id, ids, hops);
    if (around.ok()) {
      Join(picture.neighbourhood, *around);
    } else if (!absl::IsNotFound(around.status())) {
      return Fail(around.status());
    }
  }
  store::v1::Neighbourhood own;
  store::v1::NeighbourEvent& drawn = *own.add_events();
  drawn.set_event_id(event.event_id());
  drawn.set_type(event.type());
  if (event.is_state()) drawn.set_state_key(*event.state_key());
  drawn.set_sender(event.sender());
  drawn.set_membership(std::string(event.membership()));
  drawn.set_depth(event.depth());
  drawn.set_outcome(explained.verdict.outcome());
  for (const std::string& id : event.prev_events()) drawn.add_prev_events(id);
  for (const std::string& id : event.auth_events()) drawn.add_auth_events(id);
  if (question.stored_as == matrix::v1::OUTCOME_UNSPECIFIED) picture.judged_only = event.event_id();
  Join(picture.neighbourhood, own);
  return Draw(picture, options.graph_file);
}

void AddExplanation(const Explanation& explained, JsonObject& described) {
  const bool known = explained.has_verdict;
  described.Set("verdict", known ? matrix::Json(VerdictJson(explained.verdict)) : matrix::Json(nullptr));
  described.Set("state", KeysJson(explained.keys));
  described.Set("notes", JsonArray(explained.notes.begin(), explained.notes.end()));
}

void PrintExplanation(const Explanation& explained) {
  if (explained.has_verdict) {
    PrintVerdict(explained.verdict, explained.context);
    PrintKeys(explained.keys, explained.context);
  }
  if (!explained.notes.empty()) std::cout << '\n';
  for (const std::string& note : explained.notes) std::cout << note << '\n';
}

/// Adds the state that a recorded decision turned on, where that was kept.
absl::Status AddRecordedState(const GlobalOptions& global, const store::v1::EventRecord& record,
                              Explanation& explained) {
  const matrix::RoomRules* rules = matrix::FindRoomRules(record.room_version());
  const std::string& pdu = record.pdu().empty() ? record.verdict().inputs().pdu() : record.pdu();
  if (!record.verdict().has_inputs() || pdu.empty() || rules == nullptr) {
    explained.notes.emplace_back("The state that it was judged on was not kept.");
    return absl::OkStatus();
  }
  store::v1::GetDecisionContextRequest request;
  request.set_room_id(record.room_id());
  request.set_event_id(record.event_id());
  request.set_refused(record.outcome() == matrix::v1::OUTCOME_REJECTED);
  for (auto& key : KeysToAskFor(pdu, *rules, record.verdict())) *request.add_state_keys() = std::move(key);
  auto context = CallStore(global, &Store::Stub::GetDecisionContext, request);
  if (!context.ok()) return context.status();
  explained.context = std::move(*context->mutable_judging());
  explained.keys = KeysIn(explained.context, pdu, *rules);
  if (explained.context.state_before_unresolved()) {
    explained.notes.emplace_back("The state before it was not known, for its prev events disagree.");
  }
  return absl::OkStatus();
}

int ExplainStored(const GlobalOptions& global, const ExplainOptions& options) {
  store::v1::GetEventRequest request;
  request.set_event_id(options.what);
  request.set_room_id(options.room_id);
  const auto record = CallStore(global, &Store::Stub::GetEvent, request);
  if (!record.ok()) return Fail(record.status());
  Explanation explained{.event_id = record->event_id(),
                        .room_id = record->room_id(),
                        .room_version = record->room_version(),
                        .verdict = record->verdict(),
                        .has_verdict = record->has_verdict(),
                        .keys = {},
                        .context = {},
                        .notes = {}};
  if (explained.has_verdict) {
    if (absl::Status status = AddRecordedState(global, *record, explained); !status.ok()) return Fail(status);
  } else {
    explained.notes.emplace_back("Stored without a verdict: one of the first events of a room made here.");
  }
  if (global.json) {
    JsonObject described = RecordJson(*record);
    AddExplanation(explained, described);
    PrintJson(std::move(described));
  } else {
    PrintRecord(*record);
    PrintExplanation(explained);
  }
  return DrawStored(global, options, explained);
}

Explanation ExplanationOf(const FileQuestion& question, const validator::v1::ExplainResponse& answer) {
  const matrix::v1::JudgingContext& context = question.request.context();
  Explanation explained{.event_id = answer.verdict().event_id(),
                        .room_id = context.room_id(),
                        .room_version = context.room_version(),
                        .verdict = answer.verdict(),
                        .keys = answer.keys(),
                        .context = context,
                        .notes = question.notes};
  if (question.stored_as != matrix::v1::OUTCOME_UNSPECIFIED) {
    explained.notes.push_back(
        fmt::format("An event of this id is stored already, as {}: what is said here is how it would be judged now.",
                    OutcomeText(question.stored_as)));
  }
  return explained;
}

int ExplainFile(const GlobalOptions& global, const ExplainOptions& options) {
  const auto text = ReadWhole(options.what);
  if (!text.ok()) return FailUsage(text.status());
  const auto question = AskAbout(global, *text, options.room_id);
  if (!question.ok()) {
    const bool usage = matrix::ReasonOf(question.status()) == matrix::Reason::kInvalidArgument;
    return usage ? FailUsage(question.status()) : Fail(question.status());
  }
  const auto answer = CallValidator(global, &Validator::Stub::Explain, question->request);
  if (!answer.ok()) return Fail(answer.status());
  const Explanation explained = ExplanationOf(*question, *answer);
  if (global.json) {
    JsonObject described;
    described.Set("event_id", explained.event_id);
    described.Set("room_id", explained.room_id);
    described.Set("room_version", explained.room_version);
    described.Set("outcome", OutcomeText(explained.verdict.outcome()));
    described.Set("dry_run", true);
    AddExplanation(explained, described);
    PrintJson(std::move(described));
  } else {
    PrintFields({{"event", explained.event_id.empty() ? "-" : Printable(explained.event_id)},
                 {"room", Printable(explained.room_id)},
                 {"version", explained.room_version},
                 {"outcome", OutcomeText(explained.verdict.outcome()) + " (dry run: nothing is written)"}});
    PrintExplanation(explained);
  }
  return DrawJudged(global, options, *question, explained);
}

int Explain(const GlobalOptions& global, const ExplainOptions& options) {
  if (!options.graph_file.empty()) {
    if (absl::Status known = CheckGraphFile(options.graph_file); !known.ok()) return FailUsage(known);
  }
  return options.what.starts_with('$') ? ExplainStored(global, options) : ExplainFile(global, options);
}

}  // namespace

void AddExplainCommand(CLI::App& app, CommandLine& line) {
  auto options = std::make_shared<ExplainOptions>();
  CLI::App* explain = app.add_subcommand(
      "explain", "why an event was judged as it was; or, of one in a file, how it would be: nothing is written");
  explain
      ->add_option("EVENT_ID|FILE", options->what,
                   "an id ($…) of a stored or refused event; or a file with a PDU as JSON, - for standard input")
      ->required();
  explain->add_option("--room", options->room_id,
                      "in versions 1-2 two rooms may hold one id; and for a file that names no room");
  explain->add_option("--graph", options->graph_file,
                      "a picture of the graph around it: FILE.dot, or FILE.svg (needs Graphviz's `dot`)");
  explain->add_option("--hops", options->hops, "how many prev edges away the picture goes")
      ->check(CLI::Range(0, 8))
      ->capture_default_str();
  explain->footer(
      "\nexamples:\n  posternctl explain '$event'\n"
      "  posternctl explain '$event' --graph event.svg --hops 4\n"
      "  posternctl explain leave.json\n"
      "  posternctl --json event show '$event' | posternctl --json explain -\n"
      "The exit status says whether there is an explanation, not what it says.");
  explain->callback([options, &line] { line.chosen = [options, &line] { return Explain(line.global, *options); }; });
}

}  // namespace postern::posternctl
