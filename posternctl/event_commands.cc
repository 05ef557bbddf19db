// posternctl event: what the store keeps of an event.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <iostream>
#include <memory>

#include "posternctl/commands.h"
#include "posternctl/connection.h"
#include "posternctl/event_record.h"
#include "posternctl/report.h"
#include "posternctl/verdict_tables.h"

namespace postern::posternctl {
namespace {

using matrix::JsonArray;
using matrix::JsonObject;
using store::v1::EventRecord;

struct EventOptions {
  std::string event_id;
  std::string room_id;
};

absl::StatusOr<EventRecord> Get(const GlobalOptions& global, const EventOptions& options) {
  store::v1::GetEventRequest request;
  request.set_event_id(options.event_id);
  request.set_room_id(options.room_id);
  return CallStore(global, &store::v1::Store::Stub::GetEvent, request);
}

int Show(const GlobalOptions& global, const EventOptions& options) {
  const auto record = Get(global, options);
  if (!record.ok()) return Fail(record.status());
  const auto pdu = matrix::ParseJson(record->pdu());
  if (global.json) {
    JsonObject described = RecordJson(*record);
    described.Set("event", pdu.ok() ? *pdu : matrix::Json(nullptr));
    described.Set("verdict",
                  record->has_verdict() ? matrix::Json(VerdictJson(record->verdict())) : matrix::Json(nullptr));
    PrintJson(std::move(described));
    return kExitOk;
  }
  PrintRecord(*record);
  std::cout << '\n' << (pdu.ok() ? IndentedJson(*pdu) : "(refused: the event itself is not kept)") << '\n';
  return kExitOk;
}

}  // namespace

void AddEventCommands(CLI::App& app, CommandLine& line) {
  auto options = std::make_shared<EventOptions>();
  CLI::App* group = app.add_subcommand("event", "events as they are stored")->require_subcommand(1);
  CLI::App* show = group->add_subcommand("show", "an event, with all its signatures");
  show->footer("\nexample:\n  posternctl event show '$event'");
  show->callback([options, &line] { line.chosen = [options, &line] { return Show(line.global, *options); }; });

  show->add_option("EVENT_ID", options->event_id, "the event's id; a refused event has one too")->required();
  show->add_option("--room", options->room_id, "in versions 1-2 two rooms may hold one id");
}

}  // namespace postern::posternctl
