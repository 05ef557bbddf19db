// posternctl invite: invites of this server's users to rooms on other servers, and rejecting them.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "matrix/json.h"
#include "matrix/refusal.h"
#include "postern/gateway/v1/invites.grpc.pb.h"
#include "postern/store/v1/received_invites.grpc.pb.h"
#include "posternctl/commands.h"
#include "posternctl/connection.h"
#include "posternctl/report.h"

namespace postern::posternctl {
namespace {

using gateway::v1::Invites;
using matrix::Json;
using matrix::JsonArray;
using matrix::JsonObject;
using store::v1::ReceivedInvite;
using store::v1::ReceivedInvites;

struct InviteOptions {
  std::string room_id;
  std::string user_id;
  std::string sender;
  std::string server;
  std::string reason;
  std::vector<std::string> via;
  bool all = false;
};

std::string_view StateOf(const ReceivedInvite& invite) {
  switch (invite.state()) {
    case store::v1::INVITE_STATE_OPEN:
      return "invited";
    case store::v1::INVITE_STATE_LEAVING:
      return "leaving";
    case store::v1::INVITE_STATE_LEFT:
      return "left";
    case store::v1::INVITE_STATE_WITHDRAWN:
      return "withdrawn";
    case store::v1::INVITE_STATE_LEFT_HERE:
      return "left_here";
    default:
      return "unknown";
  }
}

/// What the room was called when the invite was sent; "" if that was not shown.
std::string RoomName(const ReceivedInvite& invite) {
  const auto shown = matrix::ParseJson(invite.shown_state());
  if (!shown.ok() || shown->AsArray() == nullptr) return "";
  for (const Json& entry : *shown->AsArray()) {
    const JsonObject* event = entry.AsObject();
    const Json* type = event == nullptr ? nullptr : event->Find("type");
    const Json* content = event == nullptr ? nullptr : event->Find("content");
    if (type == nullptr || *type != Json("m.room.name") || content == nullptr || content->AsObject() == nullptr)
      continue;
    const Json* name = content->AsObject()->Find("name");
    if (name != nullptr && name->AsString() != nullptr) return *name->AsString();
  }
  return "";
}

JsonObject Describe(const ReceivedInvite& invite) {
  JsonObject described;
  described.Set("room_id", Printable(invite.name().room_id()));
  described.Set("user_id", Printable(invite.name().user_id()));
  described.Set("event_id", Printable(invite.name().event_id()));
  described.Set("room_version", invite.room_version());
  described.Set("room_name", Printable(RoomName(invite)));
  described.Set("sender", Printable(invite.sender()));
  described.Set("server", invite.origin());
  described.Set("state", StateOf(invite));
  described.Set("membership", invite.state() == store::v1::INVITE_STATE_OPEN ? "invite" : "leave");
  described.Set("reason", Printable(invite.reason()));
  described.Set("received_at_ms", std::int64_t{invite.received_at_ms()});
  described.Set("changed_at_ms", std::int64_t{invite.changed_at_ms()});
  described.Set("attempts", static_cast<std::int64_t>(invite.attempts()));
  if (invite.has_next_try_ms()) described.Set("next_try_ms", std::int64_t{invite.next_try_ms()});
  described.Set("last_error", Printable(invite.last_error()));
  described.Set("holder", Printable(invite.holder()));
  return described;
}

absl::StatusOr<std::vector<ReceivedInvite>> Find(const GlobalOptions& global, const InviteOptions& options) {
  auto channel = OpenStoreChannel(global);
  if (!channel.ok()) return channel.status();
  const auto stub = ReceivedInvites::NewStub(*channel);
  store::v1::ListInvitesRequest request;
  request.mutable_of()->set_room_id(options.room_id);
  request.mutable_of()->set_user_id(options.user_id);
  request.mutable_of()->set_sender(options.sender);
  request.mutable_of()->set_server(options.server);
  request.set_settled(options.all);
  std::vector<ReceivedInvite> invites;
  for (;;) {
    auto page = Call(global, "store at " + global.store, *stub, &ReceivedInvites::Stub::ListInvites, request);
    if (!page.ok()) return page.status();
    if (page->invites().empty()) return invites;
    *request.mutable_after() = page->invites().rbegin()->name();
    for (ReceivedInvite& invite : *page->mutable_invites()) invites.push_back(std::move(invite));
  }
}

int List(const GlobalOptions& global, const InviteOptions& options) {
  const auto invites = Find(global, options);
  if (!invites.ok()) return Fail(invites.status());
  JsonArray described;
  std::vector<std::vector<std::string>> table;
  for (const ReceivedInvite& invite : *invites) {
    described.emplace_back(Describe(invite));
    table.push_back({Printable(invite.name().room_id()), Printable(invite.name().user_id()), Printable(invite.sender()),
                     std::string(StateOf(invite)), TimeText(invite.received_at_ms()), TimeText(invite.next_try_ms()),
                     Printable(RoomName(invite)), Printable(invite.last_error())});
  }
  if (global.json) {
    PrintJson(std::move(described));
  } else if (table.empty()) {
    std::cout << "no invites\n";
  } else {
    PrintTable({"ROOM", "USER", "INVITED BY", "STATE", "RECEIVED", "NEXT TRY", "NAME", "LAST ERROR"}, table);
  }
  return kExitOk;
}

absl::Status CheckWhom(const InviteOptions& options) {
  const bool named = !options.room_id.empty() && !options.user_id.empty();
  const int ways =
      (named ? 1 : 0) + (options.sender.empty() ? 0 : 1) + (options.server.empty() ? 0 : 1) + (options.all ? 1 : 0);
  const bool half = !named && !options.room_id.empty();
  if (ways == 1 && !half) return absl::OkStatus();
  return matrix::Refuse(matrix::Reason::kInvalidArgument, "give ROOM and USER, or one of --sender, --server, --all");
}

/// 500 at a time, until none are left.
absl::StatusOr<std::vector<gateway::v1::RejectResponse::Rejected>> RejectAll(const GlobalOptions& global,
                                                                             const InviteOptions& options) {
  auto channel = OpenGatewayChannel(global);
  if (!channel.ok()) return channel.status();
  const auto stub = Invites::NewStub(*channel);
  gateway::v1::RejectRequest request;
  request.set_room_id(options.room_id);
  request.set_user_id(options.user_id);
  request.set_sender(options.sender);
  request.set_server(options.server);
  request.set_all(options.all);
  request.set_reason(options.reason);
  request.mutable_via()->Add(options.via.begin(), options.via.end());
  std::vector<gateway::v1::RejectResponse::Rejected> rejected;
  for (;;) {
    auto some = CallOfGateway(global, *stub, &Invites::Stub::Reject, request);
    if (!some.ok()) return some.status();
    rejected.insert(rejected.end(), some->rejected().begin(), some->rejected().end());
    if (some->rejected().empty() || !options.room_id.empty()) return rejected;
  }
}

int Reject(const GlobalOptions& global, const InviteOptions& options) {
  if (absl::Status status = CheckWhom(options); !status.ok()) return FailUsage(status);
  const auto rejected = RejectAll(global, options);
  if (!rejected.ok()) return Fail(rejected.status());
  JsonArray described;
  for (const auto& one : *rejected) {
    if (!global.json) std::cout << Printable(one.room_id()) << ' ' << Printable(one.user_id()) << '\n';
    JsonObject entry;
    entry.Set("room_id", Printable(one.room_id()));
    entry.Set("user_id", Printable(one.user_id()));
    entry.Set("event_id", Printable(one.event_id()));
    entry.Set("leave_event_id", one.leave_event_id());
    described.emplace_back(std::move(entry));
  }
  if (global.json) PrintJson(std::move(described));
  return kExitOk;
}

void AddList(CLI::App& group, CommandLine& line) {
  auto options = std::make_shared<InviteOptions>();
  CLI::App* list =
      group.add_subcommand("list", "invites that are open, and leaves that their rooms do not know of yet");
  list->add_option("--user", options->user_id, "of this user of ours");
  list->add_option("--room", options->room_id, "to this room");
  list->add_option("--sender", options->sender, "by this user");
  list->add_option("--server", options->server, "by users of this server");
  list->add_flag("--all", options->all, "also those that are settled: left, withdrawn, left_here; for seven days");
  list->footer("\nexamples:\n  posternctl invite list\n  posternctl --json invite list --server spam.example");
  list->callback([options, &line] { line.chosen = [options, &line] { return List(line.global, *options); }; });
}

void AddReject(CLI::App& group, CommandLine& line) {
  auto options = std::make_shared<InviteOptions>();
  CLI::App* reject = group.add_subcommand("reject", "reject invites; prints room and user of each");
  reject->add_option("ROOM", options->room_id, "the room's id");
  reject->add_option("USER", options->user_id, "the user of ours");
  reject->add_option("--sender", options->sender, "every open invite by this user");
  reject->add_option("--server", options->server, "every open invite by users of this server");
  reject->add_flag("--all", options->all, "every open invite");
  reject->add_option("--reason", options->reason, "told to the room");
  reject->add_option("--via", options->via, "servers of the room that are asked first");
  reject->footer(
      "\nexamples:\n  posternctl invite reject '!room:there.example' @ann:here.example\n"
      "  posternctl invite reject --server spam.example --reason 'no spam'\n"
      "The user has left at once, whatever the other servers say; they are told in the background, as often as it "
      "takes\n"
      "(posternctl invite list shows what is still to be told). With ROOM and USER that is tried again at once.");
  reject->callback([options, &line] { line.chosen = [options, &line] { return Reject(line.global, *options); }; });
}

}  // namespace

void AddReceivedInviteCommands(CLI::App& app, CommandLine& line) {
  CLI::App* group = app.add_subcommand("invite", "invites of this server's users to rooms on other servers");
  group->require_subcommand(1);
  AddList(*group, line);
  AddReject(*group, line);
}

}  // namespace postern::posternctl
