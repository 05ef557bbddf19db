// Which servers may take part in a room, what is remembered of that, and that judging needs none of it.
#include "services/gateway/room_access.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <vector>

#include "matrix/refusal.h"
#include "services/gateway/remembered_access.h"
#include "services/validator/judgement.h"
#include "tests/support/judging_request.h"
#include "tests/support/room_builder.h"

namespace postern::gateway {
namespace {

using matrix::Reason;
using support::RoomBuilder;
using support::TestRoom;

constexpr char kAnn[] = "@ann:b.example";
constexpr char kAcl[] = "m.room.server_acl";

matrix::ServerName Server(std::string_view name) { return *matrix::ServerName::Parse(name); }

/// A room whose ACL says so; with an invited user, and something after the ACL.
RoomBuilder RoomWith(std::string_view acl, std::string_view version = "10") {
  RoomBuilder room(version);
  room.Member(kAnn, "invite");
  if (!acl.empty()) room.State(kAcl, "", acl);
  room.State("m.room.topic", "", "{}");
  return room;
}

matrix::v1::JudgingContext ContextOf(const TestRoom& room) {
  return support::JudgingContextFor(room, room.Leave(kAnn));
}

Reason Said(const absl::Status& status) { return matrix::ReasonOf(status); }

TEST(RoomAccess, IsRefusedWhereTheContextLacksTheAclThatItsStateNames) {
  auto context = ContextOf(RoomWith(R"({"allow":["*"],"deny":["b.example"]})").Build());
  EXPECT_EQ(Said(CheckRoomAccess(context, Server("b.example"))), Reason::kFederationForbidden);
  const std::string acl = CurrentStateEvent(context, kAcl, "")->event_id();
  auto& events = *context.mutable_events();
  events.erase(std::ranges::find_if(events, [&](const auto& event) { return event.event_id() == acl; }));
  EXPECT_EQ(Said(CheckRoomAccess(context, Server("b.example"))), Reason::kInternal);
}

TEST(RememberedAccess, SaysWhatWouldBeSaidAnewWhateverChangesInBetween) {
  std::vector<matrix::v1::JudgingContext> contexts;
  for (const char* acl : {"", R"({"allow":["*"]})", R"({"allow":["*"],"deny":["b.*"]})", R"({"allow":["b.example"]})",
                          R"({"allow":[]})", R"({"allow":["*"],"allow_ip_literals":false})"}) {
    contexts.push_back(ContextOf(RoomWith(acl).Build()));
    contexts.push_back(ContextOf(RoomWith(acl, "1").CreateContent(R"({"m.federate":false})").Build()));
  }
  auto& without_create = contexts.emplace_back(contexts.front());
  without_create.clear_state_now();
  const std::vector<matrix::ServerName> servers{Server("b.example"), Server("c.example"), Server("1.2.3.4")};
  RememberedAccess access(7);
  std::mt19937 random(6);
  std::map<Reason, int> seen;
  for (int i = 0; i < 2000; ++i) {
    const auto& context = contexts[random() % contexts.size()];
    const auto& server = servers[random() % servers.size()];
    const absl::Status expected = CheckRoomAccess(context, server);
    ASSERT_EQ(access.Check(context, server), expected) << context.ShortDebugString() << server.text();
    ++seen[Said(expected)];
  }
  EXPECT_EQ(access.size(), 7U);
  EXPECT_EQ(seen.size(), 3U);  // let in, refused, and no answer
}

TEST(RememberedAccess, ReadsAnEventOfTheStateOnce) {
  auto context = ContextOf(RoomWith(R"({"allow":["*"],"deny":["b.example"]})").Build());
  RememberedAccess access;
  EXPECT_EQ(Said(access.Check(context, Server("b.example"))), Reason::kFederationForbidden);
  for (auto& event : *context.mutable_events()) event.set_pdu("cannot be read");
  EXPECT_EQ(Said(access.Check(context, Server("b.example"))), Reason::kFederationForbidden);
  EXPECT_EQ(Said(access.Check(context, Server("c.example"))), Reason::kInternal);
  EXPECT_EQ(access.size(), 1U);  // what is nobody's fault is asked again
}

TEST(ServerAcl, IsLeftOutOfWhatIsJudged) {
  auto context = ContextOf(RoomWith(R"({"allow":["*"]})").Build());
  const int events = context.events_size(), before = context.state_before_size(), now = context.state_now_size();
  LeaveOutServerAcl(context);
  EXPECT_EQ(context.events_size(), events - 1);
  EXPECT_EQ(context.state_before_size(), before - 1);
  EXPECT_EQ(context.state_now_size(), now - 1);
  EXPECT_EQ(CurrentStateEvent(context, kAcl, ""), nullptr);
  const std::string rest = context.SerializeAsString();
  LeaveOutServerAcl(context);
  EXPECT_EQ(context.SerializeAsString(), rest);
}

TEST(ServerAcl, StaysWhereEventsCarryTheirIds) {
  for (const char* version : {"1", "2"}) {
    auto context = ContextOf(RoomWith(R"({"allow":["*"]})", version).Build());
    const std::string whole = context.SerializeAsString();
    LeaveOutServerAcl(context);
    EXPECT_EQ(context.SerializeAsString(), whole) << version;
  }
}

TEST(ServerAcl, StaysAmongTheEventsWhereItIsCitedAndWhereThereAreBranches) {
  const TestRoom room = RoomBuilder("10").Member(kAnn, "invite").State(kAcl, "", R"({"allow":["*"]})").Build();
  auto cited = ContextOf(room);
  const int events = cited.events_size();
  LeaveOutServerAcl(cited);
  EXPECT_EQ(cited.events_size(), events);
  auto forked = ContextOf(room);
  forked.mutable_branches();
  const std::string whole = forked.SerializeAsString();
  LeaveOutServerAcl(forked);
  EXPECT_EQ(forked.SerializeAsString(), whole);
}

TEST(ServerAcl, ChangesNoVerdictThatItIsLeftOutOf) {
  int verdicts = 0;
  for (const char* version : {"3", "6", "8", "10", "11", "12"}) {
    for (const char* membership : {"invite", "join", "leave", "ban", "knock", ""}) {
      for (const bool acl_last : {false, true}) {
        RoomBuilder builder(version);
        if (!acl_last) builder.State(kAcl, "", R"({"allow":["*"]})");
        builder.Member(kAnn, membership);
        if (acl_last) builder.State(kAcl, "", R"({"allow":["*"]})");
        const TestRoom room = builder.Build();
        for (const char* to : {"leave", "join", "knock"}) {
          auto request = support::ValidateRequestFor(room, room.Member(kAnn, to));
          validator::v1::ValidateResponse whole, without;
          const absl::Status status = validator::Validate(request, whole);
          LeaveOutServerAcl(*request.mutable_context());
          EXPECT_EQ(validator::Validate(request, without), status);
          EXPECT_EQ(without.SerializeAsString(), whole.SerializeAsString()) << version << membership << to;
          ++verdicts;
        }
      }
    }
  }
  EXPECT_EQ(verdicts, 216);
}

}  // namespace
}  // namespace postern::gateway
