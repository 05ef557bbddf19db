// posternctl room alias: names of this server for rooms, as other servers look them up.
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

struct AliasOptions {
  std::string alias;
  std::string room_id;
};

int Set(const GlobalOptions& global, const AliasOptions& options) {
  store::v1::SetAliasRequest request;
  request.set_alias(options.alias);
  request.set_room_id(options.room_id);
  const auto response = CallStore(global, &Store::Stub::SetAlias, request);
  return response.ok() ? kExitOk : Fail(response.status());
}

int Remove(const GlobalOptions& global, const AliasOptions& options) {
  store::v1::RemoveAliasRequest request;
  request.set_alias(options.alias);
  const auto response = CallStore(global, &Store::Stub::RemoveAlias, request);
  return response.ok() ? kExitOk : Fail(response.status());
}

int List(const GlobalOptions& global, const AliasOptions& options) {
  JsonArray all;
  std::vector<std::vector<std::string>> table;
  store::v1::ListAliasesRequest request;
  request.set_room_id(options.room_id);
  for (;;) {
    const auto page = CallStore(global, &Store::Stub::ListAliases, request);
    if (!page.ok()) return Fail(page.status());
    if (page->aliases().empty()) break;
    for (const auto& alias : page->aliases()) {
      JsonObject described;
      described.Set("alias", alias.alias());
      described.Set("room_id", alias.room_id());
      all.emplace_back(std::move(described));
      table.push_back({Printable(alias.alias()), Printable(alias.room_id())});
    }
    request.set_after(page->aliases().rbegin()->alias());
  }
  if (global.json) {
    PrintJson(std::move(all));
  } else if (table.empty()) {
    std::cout << "no aliases\n";
  } else {
    PrintTable({"ALIAS", "ROOM"}, table);
  }
  return kExitOk;
}

}  // namespace

void AddAliasCommands(CLI::App& room, CommandLine& line) {
  auto options = std::make_shared<AliasOptions>();
  CLI::App* group = room.add_subcommand("alias", "names of this server for rooms, as other servers look them up")
                        ->require_subcommand(1);

  CLI::App* set = group->add_subcommand("set", "point an alias at a room, wherever it pointed before");
  set->add_option("ALIAS", options->alias, "#name:this-server")->required();
  set->add_option("ROOM", options->room_id, "the room's id")->required();
  set->footer("\nexample:\n  posternctl room alias set '#lobby:here.example' '!room:here.example'");
  set->callback([options, &line] { line.chosen = [options, &line] { return Set(line.global, *options); }; });

  CLI::App* remove = group->add_subcommand("remove", "take an alias away");
  remove->add_option("ALIAS", options->alias, "#name:this-server")->required();
  remove->footer("\nexample:\n  posternctl room alias remove '#lobby:here.example'");
  remove->callback([options, &line] { line.chosen = [options, &line] { return Remove(line.global, *options); }; });

  CLI::App* list = group->add_subcommand("list", "all aliases, or those of one room");
  list->add_option("ROOM", options->room_id, "the room's id; else all rooms");
  list->footer("\nexample:\n  posternctl room alias list '!room:here.example'");
  list->callback([options, &line] { line.chosen = [options, &line] { return List(line.global, *options); }; });
}

}  // namespace postern::posternctl
