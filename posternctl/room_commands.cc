// posternctl room: what an operator does to the rooms of this server.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <iostream>
#include <memory>

#include "matrix/canonical_json.h"
#include "matrix/refusal.h"
#include "posternctl/commands.h"
#include "posternctl/connection.h"
#include "posternctl/input_file.h"
#include "posternctl/minted_report.h"
#include "posternctl/report.h"

namespace postern::posternctl {
namespace {

using gateway::v1::Admin;
using matrix::JsonArray;
using matrix::JsonObject;
using matrix::Reason;
using matrix::Refuse;

struct RoomOptions {
  std::string room_id;
  std::string sender;
  std::string version = "10";
  std::string creator;
  std::string join_rule = "invite";
  std::string state_file;
  std::string type;
  std::string state_key;
  std::string content;
  gateway::v1::SeedRequest seed;
};

// [{"type": …, "state_key": …, "content": {…}}, …]
absl::Status ReadStateFile(const std::string& path, gateway::v1::CreateRoomRequest& request) {
  const auto text = ReadWhole(path);
  if (!text.ok()) return text.status();
  const auto json = matrix::ParseJson(*text);
  if (!json.ok()) return Refuse(Reason::kInvalidArgument, fmt::format("{}: {}", path, matrix::DetailOf(json.status())));
  const JsonArray* events = json->AsArray();
  if (events == nullptr)
    return Refuse(Reason::kInvalidArgument, fmt::format("{}: expected a JSON array of events", path));
  for (const matrix::Json& event : *events) {
    const JsonObject* members = event.AsObject();
    const matrix::Json* type = members == nullptr ? nullptr : members->Find("type");
    const matrix::Json* state_key = members == nullptr ? nullptr : members->Find("state_key");
    const matrix::Json* content = members == nullptr ? nullptr : members->Find("content");
    const bool key_ok = state_key == nullptr || state_key->AsString() != nullptr;
    if (type == nullptr || type->AsString() == nullptr || !key_ok || content == nullptr ||
        content->AsObject() == nullptr) {
      return Refuse(Reason::kInvalidArgument,
                    fmt::format("{}: event {}: expected {{\"type\": text, \"state_key\": text, \"content\": object}}",
                                path, request.state_size()));
    }
    auto* state = request.add_state();
    state->set_type(*type->AsString());
    state->set_state_key(state_key == nullptr ? "" : *state_key->AsString());
    state->set_content_json(matrix::CanonicalJson(*content));
  }
  return absl::OkStatus();
}

int Create(const GlobalOptions& global, const RoomOptions& options) {
  gateway::v1::CreateRoomRequest request;
  request.set_room_version(options.version);
  request.set_creator(options.creator);
  request.set_join_rule(options.join_rule);
  if (!options.state_file.empty()) {
    const absl::Status read = ReadStateFile(options.state_file, request);
    if (!read.ok()) return FailUsage(read);
  }
  const auto room = CallGateway(global, &Admin::Stub::CreateRoom, request);
  if (!room.ok()) return Fail(room.status());
  JsonArray events;
  std::vector<std::vector<std::string>> rows;
  for (const auto& minted : room->events()) {
    events.emplace_back(MintedJson(minted));
    rows.push_back({minted.type(), Printable(minted.state_key()), minted.event_id()});
  }
  if (global.json) {
    JsonObject answer;
    answer.Set("room_id", room->room_id());
    answer.Set("room_version", options.version);
    answer.Set("events", std::move(events));
    PrintJson(std::move(answer));
  } else {
    PrintFields({{"room", room->room_id()}, {"version", options.version}});
    PrintTable({"TYPE", "STATE KEY", "EVENT"}, rows);
  }
  return kExitOk;
}

absl::StatusOr<std::string> ContentOf(const RoomOptions& options) {
  const auto content = matrix::ParseJson(options.content);
  if (!content.ok() || content->AsObject() == nullptr) {
    return Refuse(Reason::kInvalidArgument, "JSON: expected an object");
  }
  return matrix::CanonicalJson(*content);
}

int SendEvent(const GlobalOptions& global, const RoomOptions& options) {
  auto content = ContentOf(options);
  if (!content.ok()) return FailUsage(content.status());
  gateway::v1::SendEventRequest request;
  request.set_room_id(options.room_id);
  request.set_sender(options.sender);
  request.set_type(options.type);
  request.set_content_json(*std::move(content));
  return PrintMinted(global, CallGateway(global, &Admin::Stub::SendEvent, request));
}

int SetState(const GlobalOptions& global, const RoomOptions& options) {
  auto content = ContentOf(options);
  if (!content.ok()) return FailUsage(content.status());
  gateway::v1::SendStateRequest request;
  request.set_room_id(options.room_id);
  request.set_sender(options.sender);
  request.mutable_event()->set_type(options.type);
  request.mutable_event()->set_state_key(options.state_key);
  request.mutable_event()->set_content_json(*std::move(content));
  return PrintMinted(global, CallGateway(global, &Admin::Stub::SendState, request));
}

// Always JSON: it is for scripts, and a table of ten thousand users is for nobody.
int Seed(const GlobalOptions& global, const RoomOptions& options) {
  const auto seeded = CallGateway(global, &Admin::Stub::Seed, options.seed);
  if (!seeded.ok()) return Fail(seeded.status());
  JsonArray rooms;
  for (const auto& room : seeded->rooms()) {
    JsonArray users(room.users().begin(), room.users().end());
    JsonObject described;
    described.Set("room_id", room.room_id());
    described.Set("room_version", room.room_version());
    described.Set("users", std::move(users));
    rooms.emplace_back(std::move(described));
  }
  JsonObject answer;
  answer.Set("rooms", std::move(rooms));
  PrintJson(std::move(answer));
  return kExitOk;
}

void PrintRoom(const store::v1::RoomDescription& room) {
  std::string extremities;
  for (const auto& id : room.forward_extremities()) extremities += (extremities.empty() ? "" : " ") + Printable(id);
  PrintFields({{"room", Printable(room.room_id())},
               {"version", room.room_version()},
               {"events", std::to_string(room.events())},
               {"joined", std::to_string(room.joined_members())},
               {"invited", std::to_string(room.invited_members())},
               {"forward extremities", extremities}});
  std::vector<std::vector<std::string>> servers;
  for (const auto& server : room.servers()) {
    servers.push_back({Printable(server.server_name()), std::to_string(server.joined_members())});
  }
  std::cout << '\n';
  PrintTable({"SERVER", "JOINED"}, servers);
  std::vector<std::vector<std::string>> state;
  for (const auto& entry : room.state()) {
    state.push_back({Printable(entry.type()), Printable(entry.state_key()), Printable(entry.event_id())});
  }
  std::cout << '\n';
  PrintTable({"STATE", "KEY", "EVENT"}, state);
  if (room.state_truncated()) std::cout << "(there is more state than this)\n";
}

matrix::Json RoomJson(const store::v1::RoomDescription& room) {
  JsonArray servers;
  for (const auto& server : room.servers()) {
    JsonObject entry;
    entry.Set("server_name", server.server_name());
    entry.Set("joined_members", std::int64_t{server.joined_members()});
    servers.emplace_back(std::move(entry));
  }
  JsonArray state;
  for (const auto& found : room.state()) {
    JsonObject entry;
    entry.Set("type", found.type());
    entry.Set("state_key", found.state_key());
    entry.Set("event_id", found.event_id());
    state.emplace_back(std::move(entry));
  }
  JsonObject described;
  described.Set("room_id", room.room_id());
  described.Set("room_version", room.room_version());
  described.Set("forward_extremities", JsonArray(room.forward_extremities().begin(), room.forward_extremities().end()));
  described.Set("events", std::int64_t{room.events()});
  described.Set("joined_members", std::int64_t{room.joined_members()});
  described.Set("invited_members", std::int64_t{room.invited_members()});
  described.Set("servers", std::move(servers));
  described.Set("state", std::move(state));
  described.Set("state_truncated", room.state_truncated());
  return described;
}

int Show(const GlobalOptions& global, const RoomOptions& options) {
  store::v1::GetRoomRequest request;
  request.set_room_id(options.room_id);
  const auto room = CallStore(global, &store::v1::Store::Stub::GetRoom, request);
  if (!room.ok()) return Fail(room.status());
  if (global.json) {
    PrintJson(RoomJson(*room));
  } else {
    PrintRoom(*room);
  }
  return kExitOk;
}

int List(const GlobalOptions& global) {
  JsonArray all;
  store::v1::ListRoomsRequest request;
  while (true) {
    const auto page = CallStore(global, &store::v1::Store::Stub::ListRooms, request);
    if (!page.ok()) return Fail(page.status());
    if (page->room_ids().empty()) break;
    for (const auto& room_id : page->room_ids()) {
      if (!global.json) std::cout << Printable(room_id) << '\n';
      all.emplace_back(room_id);
    }
    request.set_after(*page->room_ids().rbegin());
  }
  if (global.json) PrintJson(std::move(all));
  return kExitOk;
}

void AddSender(CLI::App& command, RoomOptions& options) {
  command.add_option("--sender", options.sender, "a joined user of this server; else the creator of the room");
}

void AddWriting(CLI::App& group, CommandLine& line, const std::shared_ptr<RoomOptions>& options) {
  CLI::App* create = group.add_subcommand("create", "make a room");
  create->add_option("--version", options->version, "its room version, 1 to 12")->capture_default_str();
  create->add_option("--creator", options->creator, "a user of this server")->required();
  create->add_option("--join-rule", options->join_rule, "invite, public, knock, …")->capture_default_str();
  create->add_option("--state", options->state_file,
                     "JSON array of further state events to mint: [{\"type\", \"state_key\", \"content\"}]; - reads "
                     "standard input");
  create->footer(
      "\nexamples:\n  posternctl room create --version 12 --creator @ann:here.example\n"
      "  echo "
      "'[{\"type\":\"m.room.server_acl\",\"state_key\":\"\",\"content\":{\"allow\":[\"*\"],\"deny\":[\"*.bad\"]}}]' |\n"
      "    posternctl room create --creator @ann:here.example --state -");
  create->callback([options, &line] { line.chosen = [options, &line] { return Create(line.global, *options); }; });

  CLI::App* state = group.add_subcommand("state", "set a state event; prints its id");
  state->add_option("ROOM", options->room_id, "the room's id")->required();
  state->add_option("TYPE", options->type, "e.g. m.room.topic")->required();
  state->add_option("KEY", options->state_key, "the state key; '' for most")->required();
  state->add_option("JSON", options->content, "the content, a JSON object")->required();
  AddSender(*state, *options);
  state->footer("\nexample:\n  posternctl room state '!room:here.example' m.room.topic '' '{\"topic\":\"Hello\"}'");
  state->callback([options, &line] { line.chosen = [options, &line] { return SetState(line.global, *options); }; });

  CLI::App* send = group.add_subcommand("send", "send an event that is no state, such as a message; prints its id");
  send->add_option("ROOM", options->room_id, "the room's id")->required();
  send->add_option("TYPE", options->type, "e.g. m.room.message")->required();
  send->add_option("JSON", options->content, "the content, a JSON object")->required();
  AddSender(*send, *options);
  send->footer(
      "\nexample:\n  posternctl room send '!room:here.example' m.room.message '{\"msgtype\":\"m.notice\",\"body\":\"We "
      "move.\"}'");
  send->callback([options, &line] { line.chosen = [options, &line] { return SendEvent(line.global, *options); }; });
}

void AddSeed(CLI::App& group, CommandLine& line, const std::shared_ptr<RoomOptions>& options) {
  struct Numbers {
    int rooms = 1;
    int users = 1;
    std::string prefix = "u";
    std::string remote;
    std::string version = "10";
    std::string membership = "invite";
    std::vector<std::string> others;
  };
  auto numbers = std::make_shared<Numbers>();
  CLI::App* seed = group.add_subcommand("seed", "TESTS ONLY: rooms full of remote members; prints them as JSON");
  seed->add_option("--rooms", numbers->rooms, "how many rooms")->check(CLI::Range(1, 100000))->capture_default_str();
  seed->add_option("--users-per-room", numbers->users, "how many members each")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  seed->add_option("--user-prefix", numbers->prefix, "members are @PREFIX0:REMOTE, @PREFIX1:REMOTE, …")
      ->capture_default_str();
  seed->add_option("--remote", numbers->remote, "their server")->required();
  seed->add_option("--other", numbers->others, "a further server with a joined member; may be given often");
  seed->add_option("--version", numbers->version, "room version")->capture_default_str();
  seed->add_option("--membership", numbers->membership, "what they are")
      ->check(CLI::IsMember({"invite", "join", "knock"}))
      ->capture_default_str();
  seed->footer(
      "\nexample:\n  posternctl room seed --rooms 50 --users-per-room 20 --user-prefix u --remote localhost:8448\n"
      "Refused unless the store was started with --allow-seeding (./dev up --allow-seeding).");
  seed->callback([options, numbers, &line] {
    options->seed.set_rooms(numbers->rooms);
    options->seed.set_users_per_room(numbers->users);
    options->seed.set_user_prefix(numbers->prefix);
    options->seed.set_remote(numbers->remote);
    options->seed.set_room_version(numbers->version);
    options->seed.set_membership(numbers->membership);
    options->seed.mutable_others()->Add(numbers->others.begin(), numbers->others.end());
    line.chosen = [options, &line] { return Seed(line.global, *options); };
  });
}

}  // namespace

void AddRoomCommands(CLI::App& app, CommandLine& line) {
  auto options = std::make_shared<RoomOptions>();
  CLI::App* group = app.add_subcommand("room", "make rooms, change them, look at them")->require_subcommand(1);
  AddWriting(*group, line, options);
  AddInviteCommands(*group, line);
  AddMembershipCommands(*group, line);
  AddAliasCommands(*group, line);
  AddSeed(*group, line, options);

  CLI::App* show = group->add_subcommand("show", "a room: version, members, servers, extremities, state");
  show->add_option("ROOM", options->room_id, "the room's id")->required();
  show->footer("\nexample:\n  posternctl room show '!room:here.example'");
  show->callback([options, &line] { line.chosen = [options, &line] { return Show(line.global, *options); }; });

  CLI::App* list = group->add_subcommand("list", "the ids of all rooms");
  list->footer("\nexample:\n  posternctl room list");
  list->callback([&line] { line.chosen = [&line] { return List(line.global); }; });
}

}  // namespace postern::posternctl
