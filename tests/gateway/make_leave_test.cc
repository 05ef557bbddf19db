// The template of a leave (pitfalls L01-L04).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "matrix/auth_events.h"
#include "matrix/refusal.h"
#include "tests/gateway/leave_rig.h"

namespace postern::gateway {
namespace {

using matrix::Json;
using matrix::JsonObject;
using matrix::Reason;

http::Response Ask(LeaveRig& rig, std::string_view user = kAnn) {
  return rig.Send(rig.remote_.Request("GET", rig.MakeLeavePath(user), nullptr));
}

/// What the store answers, altered.
void AlterContext(LeaveRig& rig, std::function<void(store::v1::TemplateContext&)> alter) {
  const auto usual = rig.store_.on_template;
  rig.store_.on_template = [usual, alter](const auto& request) {
    auto context = usual(request);
    alter(*context);
    return context;
  };
}

class Template : public testing::TestWithParam<std::string> {};

TEST_P(Template, HoldsWhatThePeerHasToSign) {
  LeaveRig rig({.version = GetParam()});
  std::optional<validator::v1::AuthorizeRequest> asked;
  rig.validator_.on_authorize = [&](const auto& request) {
    asked = request;
    validator::v1::AuthorizeResponse response;
    response.set_allowed(true);
    return response;
  };
  const auto response = Ask(rig);
  ASSERT_EQ(response.status, 200) << response.body;
  const JsonObject answer = ObjectOrDie(response.body);
  EXPECT_EQ(*answer.Find("room_version")->AsString(), GetParam());
  const JsonObject& event = *answer.Find("event")->AsObject();
  EXPECT_EQ(*event.Find("type")->AsString(), "m.room.member");
  EXPECT_EQ(*event.Find("sender")->AsString(), kAnn);
  EXPECT_EQ(*event.Find("state_key")->AsString(), kAnn);
  EXPECT_EQ(*event.Find("room_id")->AsString(), rig.room_.room_id());
  EXPECT_EQ(*event.Find("content"), ParseOrDie(R"({"membership":"leave"})"));
  EXPECT_EQ(*event.Find("depth")->AsInteger(), static_cast<std::int64_t>(rig.room_.events().size()) + 1);
  EXPECT_EQ(*event.Find("origin_server_ts")->AsInteger(), absl::ToUnixMillis(rig.clock_.now()));
  EXPECT_FALSE(event.Contains("hashes"));
  EXPECT_FALSE(event.Contains("signatures"));

  std::vector<std::string> cited;
  for (const Json& reference : *event.Find("auth_events")->AsArray()) {
    const auto* pair = reference.AsArray();
    EXPECT_EQ(pair != nullptr, rig.rules().event_id_format == matrix::EventIdFormat::kCarried);
    cited.push_back(pair != nullptr ? *pair->front().AsString() : *reference.AsString());
  }
  std::vector<std::string> selected;
  const std::string user(kAnn);
  for (const auto& key :
       matrix::SelectAuthEvents("m.room.member", &user, user, *event.Find("content")->AsObject(), rig.rules())) {
    for (const MintedEvent& minted : rig.room_.events()) {
      if (minted.type == key.type && minted.state_key == key.state_key) selected.push_back(minted.event_id);
    }
  }
  EXPECT_THAT(cited, testing::UnorderedElementsAreArray(selected));
  EXPECT_EQ(std::find(cited.begin(), cited.end(), rig.room_.events()[0].event_id) == cited.end(),
            rig.rules().room_id_is_create_hash);
  ASSERT_EQ(event.Find("prev_events")->AsArray()->size(), 1U);
  ASSERT_TRUE(asked);
  EXPECT_EQ(asked->context().auth_events_size(), static_cast<int>(cited.size()));

  // The peer completes it, and it is taken.
  JsonObject completed = event;
  if (rig.rules().event_id_format == matrix::EventIdFormat::kCarried)
    completed.Set("event_id", "$x:remote.example:8448");
  EXPECT_EQ(rig.SendLeave(rig.remote_.Complete(completed, rig.rules())).status, 200);
}

INSTANTIATE_TEST_SUITE_P(Versions, Template,
                         testing::Values("1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"),
                         [](const auto& test) { return "V" + test.param; });

TEST(MakeLeave, AUserOfAnotherServerIsRefusedBeforeTheRoomIsRead) {
  LeaveRig rig;
  bool read = false;
  AlterContext(rig, [&](auto&) { read = true; });
  for (const std::string_view user : {"@ann:remote.example", "@boss:here.example"}) {
    const auto response = Ask(rig, user);
    EXPECT_EQ(response.status, 403);
    EXPECT_EQ(ErrcodeOf(response), "M_FORBIDDEN");
  }
  EXPECT_FALSE(read);
}

TEST(MakeLeave, AnswersByMembership) {
  for (const auto& [membership, status] : std::vector<std::pair<std::string, int>>{
           {"join", 200}, {"invite", 200}, {"knock", 200}, {"leave", 403}, {"ban", 403}, {"", 403}}) {
    LeaveRig rig;
    AlterContext(rig, [&](auto& context) { context.set_user_membership(membership); });
    const auto response = Ask(rig);
    EXPECT_EQ(response.status, status) << membership;
    EXPECT_EQ(ErrcodeOf(response), status == 200 ? "" : "M_FORBIDDEN");
  }
}

TEST(MakeLeave, AUserWhoAnswersAnInviteAtOnceWaitsUntilItIsStored) {
  LeaveRig rig;
  auto invite = std::make_unique<InvitesUnderWay::Invite>(rig.invites_under_way_,
                                                          std::pair(rig.room_.room_id(), std::string(kAnn)));
  int reads = 0;
  std::thread storing;
  AlterContext(rig, [&](auto& context) {
    context.set_user_membership(++reads == 1 ? "" : "invite");
    if (reads == 1) storing = std::thread([&] { invite.reset(); });
  });
  EXPECT_EQ(Ask(rig).status, 200);
  EXPECT_EQ(reads, 2);
  storing.join();
}

TEST(MakeLeave, OnlyTheUserWhoIsBeingInvitedWaits) {
  LeaveRig rig;
  const InvitesUnderWay::Invite invite(rig.invites_under_way_, {rig.room_.room_id(), "@other:remote.example:8448"});
  int reads = 0;
  AlterContext(rig, [&](auto& context) {
    ++reads;
    context.set_user_membership("");
  });
  EXPECT_EQ(Ask(rig).status, 403);
  EXPECT_EQ(reads, 1);
}

TEST(MakeLeave, ARoomThatIsUnknownOrWithoutUsersOfOursIsNotFound) {
  LeaveRig unknown;
  unknown.store_.on_template = [](const auto&) { return matrix::Refuse(Reason::kUnknownRoom, "scripted"); };
  EXPECT_EQ(Ask(unknown).status, 404);
  EXPECT_EQ(ErrcodeOf(Ask(unknown)), "M_NOT_FOUND");

  LeaveRig emptied;
  AlterContext(emptied, [](auto& context) { context.set_resident(false); });
  EXPECT_EQ(Ask(emptied).status, 404);
}

TEST(MakeLeave, RoomsThatDoNotFederateAndAclsAreForbidden) {
  LeaveRig closed({.create_content = R"({"m.federate":false})"});
  EXPECT_EQ(Ask(closed).status, 403);
  LeaveRig denied({.acl_content = R"({"allow":["*"],"deny":["remote.*"]})"});
  EXPECT_EQ(Ask(denied).status, 403);
  LeaveRig unsupported;
  AlterContext(unsupported, [](auto& context) { context.mutable_judging()->set_room_version("org.example"); });
  EXPECT_EQ(Ask(unsupported).status, 403);
}

TEST(MakeLeave, WhatTheRulesRefuseIsNotHandedOut) {
  LeaveRig rig;
  rig.validator_.on_authorize = [](const auto&) { return validator::v1::AuthorizeResponse(); };
  EXPECT_EQ(Ask(rig).status, 403);
  rig.validator_.on_authorize = nullptr;
  EXPECT_EQ(Ask(rig).status, 503);
}

TEST(MakeLeave, DepthStopsAtTheVersionsLimit) {
  for (const std::string version : {"1", "10"}) {
    LeaveRig rig({.version = version});
    AlterContext(rig, [&](auto& context) { context.set_max_depth(rig.rules().max_depth); });
    const auto answer = ObjectOrDie(Ask(rig).body);
    EXPECT_EQ(*answer.Find("event")->AsObject()->Find("depth")->AsInteger(), rig.rules().max_depth);
  }
}

}  // namespace
}  // namespace postern::gateway
