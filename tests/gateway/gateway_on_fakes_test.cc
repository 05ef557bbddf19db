// The gateway's routes and its minting on the honest fake store and the validator's own judgement: rooms made here,
// users of another server in them, and their leaves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "matrix/event.h"
#include "matrix/refusal.h"
#include "services/gateway/room_author.h"
#include "tests/gateway/fake_store_client.h"
#include "tests/gateway/judging_validator.h"
#include "tests/gateway/leave_rig.h"
#include "tests/support/fake_store.h"

namespace postern::gateway {
namespace {

using matrix::JsonObject;
using matrix::Reason;

class OnFakes : public testing::TestWithParam<std::string> {
 protected:
  OnFakes() : OnFakes(GetParam()) {}
  explicit OnFakes(const std::string& version) : rig_({.version = version, .workers = 8}) {
    rig_.store_.on_context = [this](const auto& request) { return client_.GetEventContext(call_, request); };
    rig_.store_.on_template = [this](const auto& request) { return client_.GetTemplateContext(call_, request); };
    rig_.store_.on_create = [this](const auto& request) { return client_.CreateRoom(call_, request); };
    rig_.store_.on_seed = [this](const auto& request) { return client_.SeedEvents(call_, request); };
    rig_.store_.on_persist = [this](const auto& request) { return client_.PersistEvent(call_, request); };
    rig_.validator_.on_validate = [this](const auto& request) { return judge_.Validate(call_, request); };
    rig_.validator_.on_authorize = [this](const auto& request) { return judge_.Authorize(call_, request); };
  }

  CreatedRoom MakeRoom(std::string_view join_rule = "invite") {
    auto room = author_.Create(call_, {.version = rig_.options_.version,
                                       .creator = *matrix::UserId::Parse(kCreator),
                                       .join_rule = std::string(join_rule),
                                       .state = {}});
    EXPECT_TRUE(room.ok()) << room.status();
    return std::move(*room);
  }
  std::vector<std::string> Fill(const CreatedRoom& room, int users, std::string_view membership) {
    auto names = author_.Seed(call_, room, rig_.options_.version,
                              {users, "u", *matrix::ServerName::Parse(kRemoteName), std::string(membership)});
    EXPECT_TRUE(names.ok()) << names.status();
    return std::move(*names);
  }
  Reason SetMember(const std::string& room_id, std::string_view user, std::string_view membership) {
    EventIntent intent{"m.room.member", std::string(user), "", {}};
    intent.content.Set("membership", membership);
    return matrix::ReasonOf(author_.AddState(call_, room_id, std::move(intent)).status());
  }

  http::Response MakeLeave(const std::string& room_id, std::string_view user) {
    return rig_.Send(rig_.remote_.Request(
        "GET", "/_matrix/federation/v1/make_leave/" + http::PercentEncode(room_id) + "/" + http::PercentEncode(user),
        nullptr));
  }
  /// The user's leave, completed by its server.
  JsonObject Leave(const std::string& room_id, std::string_view user) {
    const auto response = MakeLeave(room_id, user);
    EXPECT_EQ(response.status, 200) << response.body;
    JsonObject event = *ObjectOrDie(response.body).Find("event")->AsObject();
    if (rig_.rules().event_id_format == matrix::EventIdFormat::kCarried) {
      event.Set("event_id", "$" + RandomLetters(12) + ":" + std::string(kRemoteName));
    }
    return rig_.remote_.Complete(std::move(event), rig_.rules());
  }
  http::Request Put(const std::string& room_id, const JsonObject& leave) {
    const matrix::Json content(leave);
    return rig_.remote_.Request("PUT",
                                "/_matrix/federation/v2/send_leave/" + http::PercentEncode(room_id) + "/" +
                                    http::PercentEncode(rig_.EventId(leave)),
                                &content);
  }
  http::Response Submit(const std::string& room_id, const JsonObject& leave) { return rig_.Send(Put(room_id, leave)); }
  std::string MembershipOf(const std::string& room_id, const std::string& user) {
    store::v1::GetMemberRequest request;
    request.set_room_id(room_id);
    request.set_user_id(user);
    const auto member = store_.GetMember(call_, request);
    return member.ok() ? member->membership() : "";
  }

  const rpc::CallContext call_{absl::Now() + absl::Minutes(5), telemetry::NewTrace()};
  support::FakeStore store_{std::string(kOurName)};
  EventStoreClient client_{store_};
  JudgingValidator judge_;
  LeaveRig rig_;
  RoomAuthor author_{rig_.signer_, rig_.store_, rig_.validator_, [this] { return rig_.clock_.now(); }};
};

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
