// posternctl event, explain, outbox: what the store keeps of an event, why it was judged as it was, and what is still
// to be sent.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <array>
#include <iostream>
#include <memory>
#include <string_view>

#include "matrix/refusal.h"
#include "matrix/verdict.h"
#include "posternctl/commands.h"
#include "posternctl/connection.h"
#include "posternctl/report.h"

namespace postern::posternctl {
namespace {

using matrix::JsonArray;
using matrix::JsonObject;
using store::v1::EventRecord;

struct EventOptions {
  std::string event_id;
  std::string room_id;
};

std::string Text(std::string_view text) { return std::string(text); }
std::string OutcomeText(matrix::v1::Outcome outcome) {
  return outcome == matrix::v1::OUTCOME_UNSPECIFIED ? "-"
                                                    : Text(matrix::OutcomeName(static_cast<matrix::Outcome>(outcome)));
}
std::string ReasonText(matrix::v1::Reason reason) {
  return Text(matrix::RefusalOf(matrix::ReasonFromNumber(static_cast<std::int32_t>(reason))).name);
}

absl::StatusOr<EventRecord> Get(const GlobalOptions& global, const EventOptions& options) {
  store::v1::GetEventRequest request;
  request.set_event_id(options.event_id);
  request.set_room_id(options.room_id);
  return CallStore(global, &store::v1::Store::Stub::GetEvent, request);
}

JsonObject VerdictJson(const matrix::v1::Verdict& verdict) {
  JsonArray steps;
  for (const auto& step : verdict.steps()) {
    JsonObject entry;
    entry.Set("step", std::int64_t{step.step()});
    entry.Set("name", matrix::StepName(static_cast<matrix::Step>(step.step())));
    entry.Set("outcome", matrix::StepOutcomeName(static_cast<matrix::StepOutcome>(step.outcome())));
    entry.Set("rule", step.rule());
    entry.Set("text", step.text());
    entry.Set("looked_at", JsonArray(step.looked_at().begin(), step.looked_at().end()));
    steps.emplace_back(std::move(entry));
  }
  JsonArray keys;
  for (const auto& key : verdict.keys_used()) {
    JsonObject entry;
    entry.Set("server_name", key.server_name());
    entry.Set("key_id", key.key_id());
    entry.Set("valid_until_ms", std::int64_t{key.valid_until_ms()});
    keys.emplace_back(std::move(entry));
  }
  JsonObject described;
  described.Set("outcome", OutcomeText(verdict.outcome()));
  described.Set("reason", ReasonText(verdict.reason()));
  described.Set("detail", verdict.detail());
  described.Set("steps", std::move(steps));
  described.Set("judged_at_ms", std::int64_t{verdict.judged_at_ms()});
  described.Set("keys_used", std::move(keys));
  described.Set("commutes", verdict.commutes());
  return described;
}

JsonObject HeadJson(const EventRecord& record) {
  JsonObject described;
  described.Set("event_id", record.event_id());
  described.Set("room_id", record.room_id());
  described.Set("room_version", record.room_version());
  described.Set("outcome", OutcomeText(record.outcome()));
  described.Set("origin", record.origin());
  described.Set("stored_at_ms", std::int64_t{record.stored_at_ms()});
  return described;
}

void PrintHead(const EventRecord& record) {
  PrintFields({{"event", Printable(record.event_id())},
               {"room", Printable(record.room_id())},
               {"version", record.room_version()},
               {"outcome", OutcomeText(record.outcome())},
               {"from", Printable(record.origin())},
               {"stored", TimeText(record.stored_at_ms())}});
}

int Show(const GlobalOptions& global, const EventOptions& options) {
  const auto record = Get(global, options);
  if (!record.ok()) return Fail(record.status());
  const auto pdu = matrix::ParseJson(record->pdu());
  if (global.json) {
    JsonObject described = HeadJson(*record);
    described.Set("event", pdu.ok() ? *pdu : matrix::Json(nullptr));
    described.Set("verdict",
                  record->has_verdict() ? matrix::Json(VerdictJson(record->verdict())) : matrix::Json(nullptr));
    PrintJson(std::move(described));
    return kExitOk;
  }
  PrintHead(*record);
  std::cout << '\n' << (pdu.ok() ? IndentedJson(*pdu) : "(refused: the event itself is not kept)") << '\n';
  return kExitOk;
}

void PrintVerdict(const matrix::v1::Verdict& verdict) {
  std::cout << '\n';
  std::vector<std::vector<std::string>> rows;
  for (const auto& step : verdict.steps()) {
    rows.push_back({std::to_string(step.step()), Text(matrix::StepName(static_cast<matrix::Step>(step.step()))),
                    Text(matrix::StepOutcomeName(static_cast<matrix::StepOutcome>(step.outcome()))),
                    Printable(step.rule()), std::to_string(step.looked_at_size()), Printable(step.text())});
  }
  PrintTable({"STEP", "", "RESULT", "RULE", "EVENTS", "IN WORDS"}, rows);
  std::vector<std::vector<std::string>> keys;
  for (const auto& key : verdict.keys_used()) {
    keys.push_back({Printable(key.server_name()), Printable(key.key_id()), TimeText(key.valid_until_ms())});
  }
  std::cout << '\n';
  PrintFields({{"judged", TimeText(verdict.judged_at_ms())},
               {"reason", ReasonText(verdict.reason())},
               {"detail", verdict.detail().empty() ? "-" : Printable(verdict.detail())}});
  if (!keys.empty()) {
    std::cout << '\n';
    PrintTable({"KEY OF", "ID", "VALID UNTIL"}, keys);
  }
}

int Explain(const GlobalOptions& global, const EventOptions& options) {
  const auto record = Get(global, options);
  if (!record.ok()) return Fail(record.status());
  if (global.json) {
    JsonObject described = HeadJson(*record);
    described.Set("verdict",
                  record->has_verdict() ? matrix::Json(VerdictJson(record->verdict())) : matrix::Json(nullptr));
    PrintJson(std::move(described));
    return kExitOk;
  }
  PrintHead(*record);
  if (record->has_verdict()) {
    PrintVerdict(record->verdict());
  } else {
    std::cout << "\nStored without a verdict: one of the first events of a room made here.\n";
  }
  return kExitOk;
}

int Outbox(const GlobalOptions& global, const EventOptions& options) {
  store::v1::ListOutboxRequest request;
  request.set_room_id(options.room_id);
  const auto outbox = CallStore(global, &store::v1::Store::Stub::ListOutbox, request);
  if (!outbox.ok()) return Fail(outbox.status());
  JsonArray all;
  std::vector<std::vector<std::string>> table;
  for (const auto& row : outbox->rows()) {
    std::string destinations;
    for (const auto& name : row.destinations()) destinations += (destinations.empty() ? "" : " ") + Printable(name);
    table.push_back({TimeText(row.created_at_ms()), Printable(row.room_id()), Printable(row.event_id()), destinations});
    JsonObject entry;
    entry.Set("room_id", row.room_id());
    entry.Set("event_id", row.event_id());
    entry.Set("destinations", JsonArray(row.destinations().begin(), row.destinations().end()));
    entry.Set("created_at_ms", std::int64_t{row.created_at_ms()});
    all.emplace_back(std::move(entry));
  }
  if (global.json) {
    PrintJson(std::move(all));
  } else {
    PrintTable({"SINCE", "ROOM", "EVENT", "DESTINATIONS"}, table);
  }
  return kExitOk;
}

}  // namespace

void AddEventCommands(CLI::App& app, CommandLine& line) {
  auto options = std::make_shared<EventOptions>();
  CLI::App* group = app.add_subcommand("event", "events as they are stored")->require_subcommand(1);
  CLI::App* show = group->add_subcommand("show", "an event, with all its signatures");
  show->footer("\nexample:\n  posternctl event show '$event'");
  show->callback([options, &line] { line.chosen = [options, &line] { return Show(line.global, *options); }; });

  CLI::App* explain = app.add_subcommand("explain", "why an event was judged as it was: the six steps, as stored");
  explain->footer("\nexample:\n  posternctl explain '$event'");
  explain->callback([options, &line] { line.chosen = [options, &line] { return Explain(line.global, *options); }; });

  for (CLI::App* command : {show, explain}) {
    command->add_option("EVENT_ID", options->event_id, "the event's id; a refused event has one too")->required();
    command->add_option("--room", options->room_id, "in versions 1-2 two rooms may hold one id");
  }

  CLI::App* outbox = app.add_subcommand("outbox", "events that other servers have not had yet, the oldest first");
  outbox->add_option("ROOM", options->room_id, "of this room only");
  outbox->footer("\nexample:\n  posternctl outbox");
  outbox->callback([options, &line] { line.chosen = [options, &line] { return Outbox(line.global, *options); }; });
}

}  // namespace postern::posternctl
