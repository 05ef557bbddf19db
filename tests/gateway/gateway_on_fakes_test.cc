// Rooms made here, users of another server in them, and their leaves, on the honest fakes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "matrix/base64.h"
#include "matrix/event.h"
#include "matrix/event_id.h"
#include "matrix/refusal.h"
#include "tests/gateway/on_fakes.h"

namespace postern::gateway {
namespace {

using matrix::JsonObject;
using matrix::Reason;

TEST_P(OnFakes, AnInviteIsRejectedAndTheSameLeaveAgainIsTheSameAnswer) {
  const CreatedRoom room = MakeRoom();
  ASSERT_EQ(SetMember(room.room_id, kAnn, "invite"), Reason::kNone);
  const JsonObject leave = Leave(room.room_id, kAnn);
  for (int i = 0; i < 3; ++i) {
    const auto response = Submit(room.room_id, leave);
    EXPECT_EQ(response.status, 200) << response.body;
  }
  EXPECT_EQ(MembershipOf(room.room_id, std::string(kAnn)), "leave");
  EXPECT_EQ(MakeLeave(room.room_id, kAnn).status, 403);
}

TEST_P(OnFakes, AnotherLeaveOfWhoHasLeftIsBadState) {
  const CreatedRoom room = MakeRoom();
  ASSERT_EQ(SetMember(room.room_id, kAnn, "invite"), Reason::kNone);
  const JsonObject first = Leave(room.room_id, kAnn);
  rig_.clock_.Advance(absl::Seconds(1));
  const JsonObject second = Leave(room.room_id, kAnn);
  EXPECT_EQ(Submit(room.room_id, first).status, 200);
  const auto response = Submit(room.room_id, second);
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(ErrcodeOf(response), "M_BAD_STATE");
}

TEST_P(OnFakes, ABanThatLandsFirstIsForbidden) {
  const CreatedRoom room = MakeRoom();
  ASSERT_EQ(SetMember(room.room_id, kAnn, "invite"), Reason::kNone);
  const JsonObject leave = Leave(room.room_id, kAnn);
  ASSERT_EQ(SetMember(room.room_id, kAnn, "ban"), Reason::kNone);
  const auto response = Submit(room.room_id, leave);
  EXPECT_EQ(response.status, 403);
  EXPECT_EQ(MembershipOf(room.room_id, std::string(kAnn)), "ban");
}

/// Pitfall R06: only what is resolved and live shuts a server out, and an accepted one does so at once.
TEST_P(OnFakes, AnAclBindsWhereItWasAcceptedAndOnlyThere) {
  const CreatedRoom room = MakeRoom();
  ASSERT_EQ(SetMember(room.room_id, kAnn, "invite"), Reason::kNone);
  const JsonObject leave = Leave(room.room_id, kAnn);
  const auto set_acl = [&](const char* content, matrix::v1::Outcome outcome) {
    rig_.store_.on_persist = [&](auto request) {
      request.mutable_verdict()->set_outcome(outcome);
      return client_.PersistEvent(call_, request);
    };
    static_cast<void>(author_.AddAsOurs(call_, room.room_id, {"m.room.server_acl", "", "", ObjectOrDie(content)}));
    rig_.store_.on_persist = [this](const auto& request) { return client_.PersistEvent(call_, request); };
  };
  const char* everybody = R"({"allow":["*"],"deny":[]})";
  const char* nobody_of_there = R"({"allow":["*"],"deny":["remote.*"]})";
  set_acl(nobody_of_there, matrix::v1::OUTCOME_SOFT_FAILED);
  EXPECT_EQ(MakeLeave(room.room_id, kAnn).status, 200);
  rig_.clock_.Advance(absl::Seconds(1));
  set_acl(nobody_of_there, matrix::v1::OUTCOME_REJECTED);
  EXPECT_EQ(MakeLeave(room.room_id, kAnn).status, 200);
  rig_.clock_.Advance(absl::Seconds(1));
  set_acl(nobody_of_there, matrix::v1::OUTCOME_ACCEPTED);
  EXPECT_EQ(MakeLeave(room.room_id, kAnn).status, 403);
  EXPECT_EQ(Submit(room.room_id, leave).status, 403);
  rig_.clock_.Advance(absl::Seconds(1));
  set_acl(everybody, matrix::v1::OUTCOME_SOFT_FAILED);
  EXPECT_EQ(MakeLeave(room.room_id, kAnn).status, 403);
  rig_.clock_.Advance(absl::Seconds(1));
  set_acl(everybody, matrix::v1::OUTCOME_ACCEPTED);
  EXPECT_EQ(MakeLeave(room.room_id, kAnn).status, 200);
  EXPECT_EQ(Submit(room.room_id, leave).status, 200);
}

TEST_P(OnFakes, LeavesMadeFromOneTipAreAllTaken) {
  for (const std::string membership : {"invite", "join", "knock"}) {
    if (membership == "knock" && !rig_.rules().knocking) continue;
    const CreatedRoom room = MakeRoom(membership == "join" ? "public" : membership);
    const auto users = Fill(room, 12, membership);
    rig_.clock_.Advance(absl::Seconds(5));
    std::vector<JsonObject> leaves;
    for (const std::string& user : users) leaves.push_back(Leave(room.room_id, user));
    for (std::size_t i = 0; i < leaves.size(); ++i) {
      const auto response = Submit(room.room_id, leaves[i]);
      EXPECT_EQ(response.status, 200) << membership << " " << i << ": " << response.body;
      EXPECT_EQ(MembershipOf(room.room_id, users[i]), "leave");
    }
  }
}

/// More tips than an event may cite: what a template cites is no set of extremities that the room ever had.
TEST_P(OnFakes, AfterMoreLeavesFromOneTipThanATemplateCitesTheNextOnesAreTakenToo) {
  const CreatedRoom room = MakeRoom("public");
  const auto users = Fill(room, 40, "join");
  rig_.clock_.Advance(absl::Seconds(5));
  std::vector<JsonObject> leaves;
  for (std::size_t i = 0; i < 30; ++i) leaves.push_back(Leave(room.room_id, users[i]));
  for (const JsonObject& leave : leaves) EXPECT_EQ(Submit(room.room_id, leave).status, 200);
  for (std::size_t i = 30; i < users.size(); ++i) {
    rig_.clock_.Advance(absl::Seconds(1));
    const auto response = Submit(room.room_id, Leave(room.room_id, users[i]));
    EXPECT_EQ(response.status, 200) << i << ": " << response.body;
  }
  for (const std::string& user : users) EXPECT_EQ(MembershipOf(room.room_id, user), "leave");
  // What is minted here then, too.
  for (const char* other : {"@other:remote.example", "@another:remote.example"}) {
    EXPECT_EQ(SetMember(room.room_id, other, "invite"), Reason::kNone);
    EXPECT_EQ(MembershipOf(room.room_id, other), "invite");
  }
}

TEST_P(OnFakes, WhatRestsOnARefusedEventIsRefused) {
  const CreatedRoom room = MakeRoom();
  const auto users = Fill(room, 3, "invite");
  JsonObject refused = Template(room.room_id, users[0]);
  refused.Set("auth_events", matrix::JsonArray());
  refused = rig_.remote_.Complete(std::move(refused), rig_.rules());
  EXPECT_EQ(Submit(room.room_id, refused).status, 403);
  matrix::Json reference(rig_.EventId(refused));
  if (rig_.rules().event_id_format == matrix::EventIdFormat::kCarried) {
    JsonObject hashes;
    hashes.Set("sha256", matrix::EncodeBase64(matrix::ReferenceHash(refused, rig_.rules())));
    reference = matrix::JsonArray{std::move(reference), matrix::Json(std::move(hashes))};
  }

  JsonObject by_it = Template(room.room_id, users[1]);
  by_it.Find("auth_events")->AsArray()->push_back(reference);
  const auto not_allowed = Submit(room.room_id, rig_.remote_.Complete(std::move(by_it), rig_.rules()));
  EXPECT_EQ(not_allowed.status, 403);
  EXPECT_THAT(not_allowed.body, testing::HasSubstr("itself rejected"));
  JsonObject after_it = Template(room.room_id, users[2]);
  after_it.Set("prev_events", matrix::JsonArray{reference});
  EXPECT_EQ(Submit(room.room_id, rig_.remote_.Complete(std::move(after_it), rig_.rules())).status, 400);
  for (const std::string& user : users) EXPECT_EQ(MembershipOf(room.room_id, user), "invite");
}

/// Each leave is from a template that is older than what the room's own server has changed since.
TEST_P(OnFakes, LeavesThatCrossOtherChangesAreResolvedWithThem) {
  const CreatedRoom room = MakeRoom();
  const auto users = Fill(room, 8, "invite");
  rig_.clock_.Advance(absl::Seconds(5));
  std::vector<JsonObject> leaves;
  for (std::size_t i = 0; i < users.size(); ++i) {
    leaves.push_back(Leave(room.room_id, users[i]));
    rig_.clock_.Advance(absl::Seconds(1));
    const std::string other = "@other" + std::to_string(i) + ":" + std::string(kRemoteName);
    ASSERT_EQ(SetMember(room.room_id, other, "invite"), Reason::kNone);
    // The one before: two changes lie between its template and now.
    if (i == 0) continue;
    const auto response = Submit(room.room_id, leaves[i - 1]);
    EXPECT_EQ(response.status, 200) << i << ": " << response.body;
    EXPECT_EQ(MembershipOf(room.room_id, users[i - 1]), "leave");
    EXPECT_EQ(MembershipOf(room.room_id, other), "invite");
  }
}

TEST_P(OnFakes, OneLeaveFiftyTimesAtOnceIsFiftyEqualAnswers) {
  const CreatedRoom room = MakeRoom();
  ASSERT_EQ(SetMember(room.room_id, kAnn, "invite"), Reason::kNone);
  const JsonObject leave = Leave(room.room_id, kAnn);
  std::atomic<int> ok = 0;
  for (int i = 0; i < 50; ++i) {
    rig_.router_->OnRequest(Put(room.room_id, leave), [&](http::Response response) {
      ok += response.status == 200 && response.body == "{}" ? 1 : 0;
    });
  }
  rig_.workers_.Drain();
  EXPECT_EQ(ok, 50);
  store::v1::ListOutboxRequest request;
  request.set_room_id(room.room_id);
  const auto outbox = store_.ListOutbox(call_, request);
  ASSERT_TRUE(outbox.ok());
  int of_the_leave = 0;
  for (const auto& row : outbox->rows()) of_the_leave += row.event_id() == rig_.EventId(leave);
  EXPECT_EQ(of_the_leave, 1);
}

INSTANTIATE_TEST_SUITE_P(Versions, OnFakes,
                         testing::Values("1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"),
                         [](const auto& test) { return "V" + test.param; });

}  // namespace
}  // namespace postern::gateway
