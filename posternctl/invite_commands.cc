// posternctl room invite and room withdraw: asking users of other servers in, and taking that back.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <iostream>
#include <memory>

#include "matrix/refusal.h"
#include "posternctl/commands.h"
#include "posternctl/connection.h"
#include "posternctl/minted_report.h"
#include "posternctl/report.h"

namespace postern::posternctl {
namespace {

using gateway::v1::Admin;

struct InviteOptions {
  std::string room_id;
  std::string user_id;
  std::string sender;
  std::string reason;
  bool all = false;
};

int Invite(const GlobalOptions& global, const InviteOptions& options) {
  gateway::v1::InviteRequest request;
  request.set_room_id(options.room_id);
  request.set_user_id(options.user_id);
  request.set_sender(options.sender);
  request.set_reason(options.reason);
  return PrintMinted(global, CallGateway(global, &Admin::Stub::Invite, request));
}

absl::StatusOr<gateway::v1::Minted> WithdrawFrom(const GlobalOptions& global, const InviteOptions& options,
                                                 const std::string& user_id) {
  gateway::v1::WithdrawInviteRequest request;
  request.set_room_id(options.room_id);
  request.set_user_id(user_id);
  request.set_sender(options.sender);
  request.set_reason(options.reason);
  return CallGateway(global, &Admin::Stub::WithdrawInvite, request);
}

// Users of ours and of others alike: a room that is given up is to leave no invite behind (pitfall L18).
absl::StatusOr<std::vector<std::string>> InvitedTo(const GlobalOptions& global, const std::string& room_id) {
  std::vector<std::string> invited;
  store::v1::ListMembersRequest request;
  request.set_room_id(room_id);
  for (;;) {
    const auto page = CallStore(global, &store::v1::Store::Stub::ListMembers, request);
    if (!page.ok()) return page.status();
    if (page->members().empty()) return invited;
    for (const auto& member : page->members()) {
      if (member.membership() == "invite") invited.push_back(member.user_id());
    }
    request.set_after(page->members().rbegin()->user_id());
  }
}

// One that has been answered meanwhile is passed over.
int WithdrawAll(const GlobalOptions& global, const InviteOptions& options) {
  const auto invited = InvitedTo(global, options.room_id);
  if (!invited.ok()) return Fail(invited.status());
  matrix::JsonArray withdrawn;
  for (const std::string& user_id : *invited) {
    const auto minted = WithdrawFrom(global, options, user_id);
    if (matrix::ReasonOf(minted.status()) == matrix::Reason::kNotAMember) continue;
    if (!minted.ok()) return Fail(minted.status());
    if (!global.json) std::cout << Printable(user_id) << ' ' << Printable(minted->event_id()) << '\n';
    withdrawn.emplace_back(MintedJson(*minted));
  }
  if (global.json) PrintJson(std::move(withdrawn));
  return kExitOk;
}

int Withdraw(const GlobalOptions& global, const InviteOptions& options) {
  if (options.all == !options.user_id.empty()) {
    return FailUsage(matrix::Refuse(matrix::Reason::kInvalidArgument, "give either USER or --all"));
  }
  return options.all ? WithdrawAll(global, options)
                     : PrintMinted(global, WithdrawFrom(global, options, options.user_id));
}

void AddInvite(CLI::App& group, CommandLine& line, const std::shared_ptr<InviteOptions>& options) {
  CLI::App* invite = group.add_subcommand("invite", "invite a user; prints the event's id");
  invite->add_option("ROOM", options->room_id, "the room's id")->required();
  invite->add_option("USER", options->user_id, "whom; the user's server is asked to sign")->required();
  invite->add_option("--reason", options->reason, "shown to the invited");
  invite->add_option("--sender", options->sender, "a joined user of this server; else the creator of the room");
  invite->footer(
      "\nexample:\n  posternctl room invite '!room:here.example' @bob:there.example\n"
      "Nothing is stored where the user's server says no (exit status 1) or cannot be asked (3).");
  invite->callback([options, &line] { line.chosen = [options, &line] { return Invite(line.global, *options); }; });
}

void AddWithdraw(CLI::App& group, CommandLine& line, const std::shared_ptr<InviteOptions>& options) {
  CLI::App* withdraw = group.add_subcommand("withdraw", "take an invite back; prints the event's id");
  withdraw->add_option("ROOM", options->room_id, "the room's id")->required();
  withdraw->add_option("USER", options->user_id, "whose; the user's server is told, as often as it takes");
  withdraw->add_flag("--all", options->all, "every invite of the room that is still open: before it is given up");
  withdraw->add_option("--reason", options->reason, "kept with the event");
  withdraw->add_option("--sender", options->sender,
                       "a joined user of this server; else the one who invited. Servers that are not in the room "
                       "believe that one only");
  withdraw->footer(
      "\nexamples:\n  posternctl room withdraw '!room:here.example' @bob:there.example\n"
      "  posternctl room withdraw '!room:here.example' --all --reason 'the room closes'");
  withdraw->callback([options, &line] { line.chosen = [options, &line] { return Withdraw(line.global, *options); }; });
}

}  // namespace

void AddInviteCommands(CLI::App& room, CommandLine& line) {
  auto options = std::make_shared<InviteOptions>();
  AddInvite(room, line, options);
  AddWithdraw(room, line, options);
}

}  // namespace postern::posternctl
