// The gateway with the real judgement: what it mints is allowed, and a leave goes its whole way, in every room version.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "matrix/event.h"
#include "matrix/redaction.h"
#include "matrix/refusal.h"
#include "services/gateway/room_author.h"
#include "tests/gateway/judging_validator.h"
#include "tests/gateway/leave_rig.h"

namespace postern::gateway {
namespace {

using matrix::JsonObject;
using matrix::Reason;

/// The rig, its validator being the real one and its store answering for the one room that there is.
class JudgedRig {
 public:
  explicit JudgedRig(const std::string& version) : rig_({.version = version}) {
    rig_.validator_.on_validate = [this](const auto& request) { return judge_.Validate({}, request); };
    rig_.validator_.on_authorize = [this](const auto& request) { return judge_.Authorize({}, request); };
    rig_.store_.on_context = [this](const store::v1::GetEventContextRequest& request) {
      store::v1::EventContext context = rig_.context_;
      Fill(*context.mutable_judging()->mutable_prev_events(), request.prev_events());
      Fill(*context.mutable_judging()->mutable_auth_events(), request.auth_events());
      return context;
    };
  }

  JsonObject Template() {
    const auto response = rig_.Send(rig_.remote_.Request("GET", rig_.MakeLeavePath(), nullptr));
    EXPECT_EQ(response.status, 200) << response.body;
    JsonObject event = *ObjectOrDie(response.body).Find("event")->AsObject();
    event.Erase("origin");
    if (rig_.rules().event_id_format == matrix::EventIdFormat::kCarried) {
      event.Set("event_id", "$ann-leaves:" + std::string(kRemoteName));
    }
    return event;
  }

  LeaveRig rig_;

 private:
  template <typename References, typename Ids>
  void Fill(References& references, const Ids& ids) {
    references.Clear();
    for (const std::string& id : ids) {
      auto* reference = references.Add();
      reference->set_event_id(id);
      for (const MintedEvent& event : rig_.room_.events()) {
        if (event.event_id == id) reference->set_known(true);
      }
    }
  }

  JudgingValidator judge_;
};

class Way : public testing::TestWithParam<std::string> {};

TEST_P(Way, FromTemplateToCommit) {
  JudgedRig judged(GetParam());
  LeaveRig& rig = judged.rig_;
  const JsonObject leave = rig.remote_.Complete(judged.Template(), rig.rules());
  const auto response = rig.SendLeave(leave);
  ASSERT_EQ(response.status, 200) << response.body;
  ASSERT_EQ(rig.store_.persists().size(), 1U);
  const auto write = rig.store_.persists()[0];
  EXPECT_EQ(write.verdict().outcome(), matrix::v1::OUTCOME_ACCEPTED);
  EXPECT_EQ(write.verdict().steps_size(), 6);
  const auto stored = matrix::Event::Parse(write.pdu(), rig.rules());
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_EQ(stored->event_id(), rig.EventId(leave));
  EXPECT_TRUE(matrix::VerifyJson(matrix::JsonObject(matrix::Redact(stored->json(), rig.rules())), kOurName,
                                 "ed25519:h1", KeyOf('h', "ed25519:h1").public_key()));
}

TEST_P(Way, ATamperedSignatureIsInvalid) {
  JudgedRig judged(GetParam());
  LeaveRig& rig = judged.rig_;
  JsonObject leave = rig.remote_.Complete(judged.Template(), rig.rules());
  matrix::HashAndSignEvent(leave, kRemoteName, KeyOf('x', "ed25519:r1"), rig.rules());  // another key, the known id
  const auto response = rig.SendLeave(leave);
  EXPECT_EQ(response.status, 400) << response.body;
  EXPECT_EQ(ErrcodeOf(response), "M_INVALID_PARAM");
  EXPECT_TRUE(rig.store_.persists().empty());
}

TEST_P(Way, AHashThatDoesNotMatchMeansTheRedactedCopy) {
  JudgedRig judged(GetParam());
  LeaveRig& rig = judged.rig_;
  JsonObject event = judged.Template();
  event.Find("content")->AsObject()->Set("reason", "as I said");
  JsonObject leave = rig.remote_.Complete(event, rig.rules());
  leave.Find("content")->AsObject()->Set("reason", "as I never said");
  const auto response = rig.SendLeave(leave);
  ASSERT_EQ(response.status, 200) << response.body;
  const auto stored = ObjectOrDie(rig.store_.persists().at(0).pdu());
  EXPECT_FALSE(stored.Find("content")->AsObject()->Contains("reason"));
  EXPECT_EQ(*stored.Find("hashes"), *leave.Find("hashes"));
}

TEST_P(Way, WhatIsMintedHereIsAllowed) {
  const auto& rules = *matrix::FindRoomRules(GetParam());
  JudgingValidator judge;
  ScriptedStore store;
  store.on_create = [](const auto&) { return absl::OkStatus(); };
  const EventSigner signer = TestSigner();
  RoomAuthor author(signer, store, judge, [] { return absl::FromUnixSeconds(1700000000); });
  const rpc::CallContext call{absl::Now() + absl::Minutes(1), telemetry::NewTrace()};
  std::vector<std::string> join_rules{"invite", "public", "private"};
  if (rules.knocking) join_rules.push_back("knock");
  if (rules.restricted_joins) join_rules.push_back("restricted");
  if (rules.knock_restricted) join_rules.push_back("knock_restricted");
  for (const std::string& join_rule : join_rules) {
    NewRoom room{
        .version = GetParam(), .creator = *matrix::UserId::Parse(kCreator), .join_rule = join_rule, .state = {}};
    room.state.push_back({"m.room.server_acl", "", "", ObjectOrDie(R"({"allow":["*"]})")});
    room.state.push_back({"m.room.member", std::string(kAnn), "", ObjectOrDie(R"({"membership":"invite"})")});
    room.state.push_back({"m.room.create", "", "", ObjectOrDie(R"({"m.federate":true})")});
    const auto created = author.Create(call, room);
    EXPECT_TRUE(created.ok()) << join_rule << ": " << created.status();
  }
  NewRoom odd{.version = GetParam(), .creator = *matrix::UserId::Parse(kCreator), .join_rule = "invite", .state = {}};
  odd.state.push_back({"m.room.member", std::string(kAnn), "", ObjectOrDie(R"({"membership":"join"})")});
  EXPECT_EQ(matrix::ReasonOf(author.Create(call, odd).status()), Reason::kNotAuthorised);
}

INSTANTIATE_TEST_SUITE_P(Versions, Way, testing::Values("1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"),
                         [](const auto& test) { return "V" + test.param; });

}  // namespace
}  // namespace postern::gateway
