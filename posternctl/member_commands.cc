// posternctl member: who is what in a room, as the store has it.
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
using store::v1::Member;

struct MemberOptions {
  std::string room_id;
  std::string user_id;
};

// Absent columns are null, so that a script finds every name.
JsonObject MemberJson(const Member& member) {
  const auto optional = [](bool present, const std::string& text) {
    return present ? matrix::Json(text) : matrix::Json(nullptr);
  };
  JsonObject described;
  described.Set("room_id", member.room_id());
  described.Set("user_id", member.user_id());
  described.Set("membership", member.membership());
  described.Set("event_id", member.event_id());
  described.Set("reason", optional(member.has_reason(), member.reason()));
  described.Set("displayname", optional(member.has_displayname(), member.displayname()));
  described.Set("avatar_url", optional(member.has_avatar_url(), member.avatar_url()));
  described.Set("is_direct", member.is_direct());
  described.Set("invited_by", optional(member.has_invited_by(), member.invited_by()));
  const auto third_party = matrix::ParseJson(member.third_party_invite());
  described.Set("third_party_invite", third_party.ok() ? *third_party : matrix::Json(nullptr));
  described.Set("join_authorised_via_users_server",
                optional(member.has_join_authorised_via_users_server(), member.join_authorised_via_users_server()));
  described.Set("updated_at_ms", std::int64_t{member.updated_at_ms()});
  return described;
}

int Show(const GlobalOptions& global, const MemberOptions& options) {
  store::v1::GetMemberRequest request;
  request.set_room_id(options.room_id);
  request.set_user_id(options.user_id);
  const auto member = CallStore(global, &store::v1::Store::Stub::GetMember, request);
  if (!member.ok()) return Fail(member.status());
  if (global.json) {
    PrintJson(MemberJson(*member));
    return kExitOk;
  }
  const auto optional = [](bool present, const std::string& text) {
    return present ? Printable(text) : std::string("-");
  };
  PrintFields({{"room", Printable(member->room_id())},
               {"user", Printable(member->user_id())},
               {"membership", Printable(member->membership())},
               {"event", Printable(member->event_id())},
               {"reason", optional(member->has_reason(), member->reason())},
               {"display name", optional(member->has_displayname(), member->displayname())},
               {"avatar", optional(member->has_avatar_url(), member->avatar_url())},
               {"invited by", optional(member->has_invited_by(), member->invited_by())},
               {"updated", TimeText(member->updated_at_ms())}});
  return kExitOk;
}

int List(const GlobalOptions& global, const MemberOptions& options) {
  JsonArray all;
  std::vector<std::vector<std::string>> rows;
  store::v1::ListMembersRequest request;
  request.set_room_id(options.room_id);
  while (true) {
    const auto page = CallStore(global, &store::v1::Store::Stub::ListMembers, request);
    if (!page.ok()) return Fail(page.status());
    if (page->members().empty()) break;
    for (const Member& member : page->members()) {
      if (global.json) {
        all.emplace_back(MemberJson(member));
      } else {
        rows.push_back({Printable(member.user_id()), Printable(member.membership()), TimeText(member.updated_at_ms()),
                        Printable(member.event_id())});
      }
    }
    request.set_after(page->members().rbegin()->user_id());
  }
  if (global.json) {
    PrintJson(std::move(all));
  } else {
    PrintTable({"USER", "MEMBERSHIP", "UPDATED", "EVENT"}, rows);
  }
  return kExitOk;
}

}  // namespace

void AddMemberCommands(CLI::App& app, CommandLine& line) {
  auto options = std::make_shared<MemberOptions>();
  CLI::App* group = app.add_subcommand("member", "who is what in a room")->require_subcommand(1);

  CLI::App* show = group->add_subcommand("show", "one member of a room");
  show->add_option("ROOM", options->room_id, "the room's id")->required();
  show->add_option("USER", options->user_id, "the user's id")->required();
  show->footer("\nexample:\n  posternctl --json member show '!room:here.example' @bob:there.example");
  show->callback([options, &line] { line.chosen = [options, &line] { return Show(line.global, *options); }; });

  CLI::App* list = group->add_subcommand("list", "all members of a room");
  list->add_option("ROOM", options->room_id, "the room's id")->required();
  list->footer("\nexample:\n  posternctl member list '!room:here.example'");
  list->callback([options, &line] { line.chosen = [options, &line] { return List(line.global, *options); }; });
}

}  // namespace postern::posternctl
