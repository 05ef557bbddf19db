// posternctl outbox: what other servers have not had yet, and what an operator does about it.
#include <CLI/CLI.hpp>

#include <iostream>
#include <memory>

#include "posternctl/commands.h"
#include "posternctl/connection.h"
#include "posternctl/report.h"

namespace postern::posternctl {
namespace {

using matrix::JsonArray;
using matrix::JsonObject;
using store::v1::Store;

struct OutboxOptions {
  std::string room_id;
  std::string destination;
  bool all = false;
};

JsonObject Describe(const store::v1::Destination& destination) {
  JsonObject described;
  described.Set("destination", destination.destination());
  described.Set("pending", destination.pending());
  described.Set("parked", destination.parked());
  described.Set("failures", static_cast<std::int64_t>(destination.failures()));
  described.Set("last_error", Printable(destination.last_error()));
  described.Set("holder", Printable(destination.holder()));
  if (destination.has_oldest_ms()) described.Set("oldest_ms", destination.oldest_ms());
  if (destination.has_failing_since_ms()) described.Set("failing_since_ms", destination.failing_since_ms());
  if (destination.has_next_try_ms()) described.Set("next_try_ms", destination.next_try_ms());
  if (destination.has_delivered_at_ms()) described.Set("delivered_at_ms", destination.delivered_at_ms());
  return described;
}

bool HasNothingToSay(const store::v1::Destination& destination) {
  return destination.pending() == 0 && destination.parked() == 0 && !destination.has_failing_since_ms();
}

absl::StatusOr<std::vector<store::v1::Destination>> Destinations(const GlobalOptions& global) {
  std::vector<store::v1::Destination> all;
  store::v1::ListDestinationsRequest request;
  for (;;) {
    auto page = CallStore(global, &Store::Stub::ListDestinations, request);
    if (!page.ok()) return page.status();
    if (page->destinations().empty()) return all;
    request.set_after(page->destinations().rbegin()->destination());
    for (auto& destination : *page->mutable_destinations()) all.push_back(std::move(destination));
  }
}

int List(const GlobalOptions& global, const OutboxOptions& options) {
  const auto destinations = Destinations(global);
  if (!destinations.ok()) return Fail(destinations.status());
  JsonArray described;
  std::vector<std::vector<std::string>> table;
  for (const store::v1::Destination& destination : *destinations) {
    if (!options.all && HasNothingToSay(destination)) continue;
    described.emplace_back(Describe(destination));
    table.push_back({Printable(destination.destination()), std::to_string(destination.pending()),
                     std::to_string(destination.parked()), TimeText(destination.oldest_ms()),
                     TimeText(destination.failing_since_ms()), TimeText(destination.next_try_ms()),
                     Printable(destination.last_error())});
  }
  if (global.json) {
    PrintJson(std::move(described));
  } else if (table.empty()) {
    std::cout << "nothing waits\n";
  } else {
    PrintTable({"DESTINATION", "PENDING", "PARKED", "OLDEST", "FAILING SINCE", "NEXT TRY", "LAST ERROR"}, table);
  }
  return kExitOk;
}

int Events(const GlobalOptions& global, const OutboxOptions& options) {
  store::v1::ListOutboxRequest request;
  request.set_room_id(options.room_id);
  const auto outbox = CallStore(global, &Store::Stub::ListOutbox, request);
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
    PrintTable({"STORED", "ROOM", "EVENT", "DESTINATIONS"}, table);
  }
  return kExitOk;
}

int Settle(const GlobalOptions& global, const OutboxOptions& options, bool drop) {
  store::v1::SettleDestinationRequest request;
  request.set_destination(options.destination);
  request.set_drop(drop);
  const auto settled = CallStore(global, &Store::Stub::SettleDestination, request);
  if (!settled.ok()) return Fail(settled.status());
  if (global.json) {
    JsonObject result;
    result.Set("pdus", settled->pdus());
    PrintJson(std::move(result));
  } else {
    std::cout << settled->pdus() << (drop ? " PDUs dropped\n" : " PDUs are tried again now\n");
  }
  return kExitOk;
}

}  // namespace

void AddOutboxCommands(CLI::App& app, CommandLine& line) {
  auto options = std::make_shared<OutboxOptions>();
  CLI::App* group = app.add_subcommand("outbox", "what other servers have not had yet, by destination");
  group->add_flag("--all", options->all, "also destinations that have had everything");
  group->footer(
      "\nexamples:\n  posternctl outbox\n  posternctl outbox events '!room'\n  posternctl outbox retry matrix.example");
  group->callback([options, group, &line] {
    if (group->get_subcommands().empty()) line.chosen = [options, &line] { return List(line.global, *options); };
  });

  CLI::App* events =
      group->add_subcommand("events", "the events that went to the outbox, and for whom, the oldest first");
  events->add_option("ROOM", options->room_id, "of this room only");
  events->footer("\nexample:\n  posternctl outbox events '!room'");
  events->callback([options, &line] { line.chosen = [options, &line] { return Events(line.global, *options); }; });

  CLI::App* retry = group->add_subcommand("retry", "try again now, what was parked too");
  retry->add_option("DESTINATION", options->destination, "the server")->required();
  retry->footer("\nexample:\n  posternctl outbox retry matrix.example");
  retry->callback(
      [options, &line] { line.chosen = [options, &line] { return Settle(line.global, *options, false); }; });

  CLI::App* drop = group->add_subcommand("drop", "give up what waits for a destination; it is never told");
  drop->add_option("DESTINATION", options->destination, "the server")->required();
  drop->footer("\nexample:\n  posternctl outbox drop gone.example");
  drop->callback([options, &line] { line.chosen = [options, &line] { return Settle(line.global, *options, true); }; });
}

}  // namespace postern::posternctl
