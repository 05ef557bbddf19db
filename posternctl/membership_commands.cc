// posternctl room ban, unban, kick, join, leave and power: who may be in a room of this server, and do what.
#include <CLI/CLI.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "posternctl/commands.h"
#include "posternctl/connection.h"
#include "posternctl/minted_report.h"

namespace postern::posternctl {
namespace {

using gateway::v1::Admin;

struct MembershipOptions {
  std::string room_id;
  std::string user_id;
  std::string sender;
  std::string reason;
  std::optional<std::int64_t> level;
};

int Ban(const GlobalOptions& global, const MembershipOptions& options) {
  gateway::v1::BanRequest request;
  request.set_room_id(options.room_id);
  request.set_user_id(options.user_id);
  request.set_sender(options.sender);
  request.set_reason(options.reason);
  return PrintMinted(global, CallGateway(global, &Admin::Stub::Ban, request));
}

/// One that ends or begins a membership which is now one of `now`.
struct Change {
  const char* name;
  const char* does;
  const char* membership;
  std::vector<const char*> now;
  bool by_the_user;
  const char* example;
};

const std::vector<Change> kChanges{
    {"kick",
     "end a user's membership, invite or knock; prints the event's id",
     "leave",
     {"join", "invite", "knock"},
     false,
     "posternctl room kick '!room:here.example' @mal:there.example --reason 'off topic'"},
    {"unban",
     "end a ban, so that the user may be invited or join again; prints the event's id",
     "leave",
     {"ban"},
     false,
     "posternctl room unban '!room:here.example' @mal:there.example"},
    {"join",
     "let a user of this server join, where the room's rules do; prints the event's id",
     "join",
     {},
     true,
     "posternctl room join '!room:here.example' @eve:here.example"},
    {"leave",
     "let a user of this server leave; prints the event's id",
     "leave",
     {"join", "invite", "knock"},
     true,
     "posternctl room leave '!room:here.example' @eve:here.example"},
};

int Apply(const GlobalOptions& global, const MembershipOptions& options, const Change& change) {
  gateway::v1::SetMembershipRequest request;
  request.set_room_id(options.room_id);
  request.set_user_id(options.user_id);
  request.set_membership(change.membership);
  for (const char* now : change.now) request.add_now(now);
  request.set_sender(change.by_the_user ? options.user_id : options.sender);
  request.set_reason(options.reason);
  return PrintMinted(global, CallGateway(global, &Admin::Stub::SetMembership, request));
}

int SetPower(const GlobalOptions& global, const MembershipOptions& options) {
  gateway::v1::SetPowerLevelRequest request;
  request.set_room_id(options.room_id);
  request.set_user_id(options.user_id);
  request.set_sender(options.sender);
  if (options.level) request.set_level(*options.level);
  return PrintMinted(global, CallGateway(global, &Admin::Stub::SetPowerLevel, request));
}

CLI::App* AddCommand(CLI::App& room, const char* name, const char* does, MembershipOptions& options) {
  CLI::App* command = room.add_subcommand(name, does);
  command->add_option("ROOM", options.room_id, "the room's id")->required();
  command->add_option("USER", options.user_id, "whom")->required();
  return command;
}

void AddSender(CLI::App& command, MembershipOptions& options) {
  command.add_option("--sender", options.sender, "a joined user of this server; else the creator of the room");
}

}  // namespace

void AddMembershipCommands(CLI::App& room, CommandLine& line) {
  auto options = std::make_shared<MembershipOptions>();
  const auto runs = [&line, options](CLI::App* command, std::function<int()> chosen) {
    command->callback([&line, chosen = std::move(chosen)] { line.chosen = chosen; });
  };

  CLI::App* ban = AddCommand(room, "ban", "ban a user; prints the event's id", *options);
  ban->add_option("--reason", options->reason, "kept with the ban");
  AddSender(*ban, *options);
  ban->footer("\nexample:\n  posternctl room ban '!room:here.example' @mal:there.example --reason spam");
  runs(ban, [options, &line] { return Ban(line.global, *options); });

  for (const Change& change : kChanges) {
    CLI::App* command = AddCommand(room, change.name, change.does, *options);
    command->add_option("--reason", options->reason, "kept with the event");
    if (!change.by_the_user) AddSender(*command, *options);
    command->footer(std::string("\nexample:\n  ") + change.example);
    runs(command, [options, &line, &change] { return Apply(line.global, *options, change); });
  }

  CLI::App* power =
      AddCommand(room, "power", "give a user a power level, or the room's default; prints the event's id", *options);
  power->add_option("LEVEL", options->level, "the level; left out: the room's default for users");
  AddSender(*power, *options);
  power->footer("\nexample:\n  posternctl room power '!room:here.example' @eve:here.example 50");
  runs(power, [options, &line] { return SetPower(line.global, *options); });
}

}  // namespace postern::posternctl
