// Knocks of another server's users, on the honest fakes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "matrix/refusal.h"
#include "tests/gateway/on_fakes.h"

namespace postern::gateway {
namespace {

using matrix::Json;
using matrix::JsonObject;
using matrix::Reason;
using testing::Contains;
using testing::Not;

constexpr std::string_view kFederation = "/_matrix/federation/v1/";

class Knocks : public OnFakes {
 protected:
  /// Each at a time of its own, for in version 12 that is what tells them apart.
  CreatedRoom MakeRoom(std::string_view join_rule, std::vector<EventIntent> state = {}) {
    rig_.clock_.Advance(absl::Seconds(1));
    return OnFakes::MakeRoom(join_rule, std::move(state));
  }
  std::string Of(const char* what, const std::string& room_id, std::string_view id) {
    return std::string(kFederation) + what + "/" + http::PercentEncode(room_id) + "/" + http::PercentEncode(id);
  }
  http::Response MakeKnock(const std::string& room_id, std::string_view user = kAnn, std::string_view query = "") {
    const std::string versions = "?ver=1&ver=" + rig_.options_.version;
    return rig_.Send(rig_.remote_.Request(
        "GET", Of("make_knock", room_id, user) + (query.empty() ? versions : std::string(query)), nullptr));
  }
  JsonObject Knock(const std::string& room_id) {
    const auto response = MakeKnock(room_id);
    EXPECT_EQ(response.status, 200) << response.body;
    return rig_.remote_.Complete(*ObjectOrDie(response.body).Find("event")->AsObject(), rig_.rules());
  }
  http::Response SendKnock(const std::string& room_id, const JsonObject& knock) {
    const Json content(knock);
    return rig_.Send(rig_.remote_.Request("PUT", Of("send_knock", room_id, rig_.EventId(knock)), &content));
  }
};

TEST_P(Knocks, AreTakenAndAnsweredWithWhatTellsTheRoom) {
  const CreatedRoom room = MakeRoom("knock", {{"m.room.name", "", "", ObjectOrDie(R"({"name":"x"})")},
                                              {"m.room.pinned_events", "", "", ObjectOrDie(R"({"pinned":[]})")}});
  const JsonObject knock = Knock(room.room_id);
  EXPECT_EQ(*knock.Find("content"), ParseOrDie(R"({"membership":"knock"})"));
  const auto response = SendKnock(room.room_id, knock);
  ASSERT_EQ(response.status, 200) << response.body;
  std::vector<std::string> types;
  const JsonObject answer = ObjectOrDie(response.body);
  for (const Json& event : *answer.Find("knock_room_state")->AsArray()) {
    types.push_back(*event.AsObject()->Find("type")->AsString());
    // Whole events, of which the server can see itself that they are the room's.
    EXPECT_TRUE(event.AsObject()->Contains("signatures"));
    EXPECT_TRUE(event.AsObject()->Contains("hashes"));
  }
  EXPECT_EQ(types.front(), "m.room.create");
  EXPECT_THAT(types, Contains("m.room.name"));
  EXPECT_THAT(types, Contains("m.room.join_rules"));
  EXPECT_THAT(types, Not(Contains("m.room.pinned_events")));
  EXPECT_THAT(types, Not(Contains("m.room.member")));
  EXPECT_EQ(MembershipOf(room.room_id, std::string(kAnn)), "knock");
  EXPECT_EQ(SendKnock(room.room_id, knock).body, response.body);
}

TEST_P(Knocks, AreWithdrawnByALeaveAndMayBeRepeated) {
  const CreatedRoom room = MakeRoom("knock");
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(SendKnock(room.room_id, Knock(room.room_id)).status, 200);
    rig_.clock_.Advance(absl::Seconds(1));
    ASSERT_EQ(Submit(room.room_id, Leave(room.room_id, kAnn)).status, 200);
    EXPECT_EQ(MembershipOf(room.room_id, std::string(kAnn)), "leave");
    rig_.clock_.Advance(absl::Seconds(1));
  }
}

TEST_P(Knocks, AreForWhomTheJoinRuleAndTheMembershipLetKnock) {
  struct Case {
    std::string rule, membership;
    int status;
  };
  const int restricted = rig_.rules().knock_restricted ? 200 : 403;
  for (const Case& c : std::vector<Case>{{"knock", "", 200},
                                         {"knock", "invite", 403},
                                         {"knock", "ban", 403},
                                         {"knock_restricted", "", restricted},
                                         {"public", "", 403},
                                         {"invite", "", 403}}) {
    const CreatedRoom room = MakeRoom("invite");
    JsonObject join_rules;
    join_rules.Set("join_rule", c.rule);
    ASSERT_TRUE(author_.AddAsOurs(call_, room.room_id, {"m.room.join_rules", "", "", std::move(join_rules)}).ok());
    if (!c.membership.empty()) {
      ASSERT_EQ(SetMember(room.room_id, kAnn, c.membership), Reason::kNone);
    }
    const auto response = MakeKnock(room.room_id);
    EXPECT_EQ(response.status, c.status) << c.rule << " " << c.membership << ": " << response.body;
    EXPECT_EQ(ErrcodeOf(response), c.status == 200 ? "" : "M_FORBIDDEN");
  }
}

TEST_P(Knocks, ABanThatLandsFirstIsForbidden) {
  const CreatedRoom room = MakeRoom("knock");
  const JsonObject knock = Knock(room.room_id);
  ASSERT_EQ(SetMember(room.room_id, kAnn, "ban"), Reason::kNone);
  EXPECT_EQ(SendKnock(room.room_id, knock).status, 403);
  EXPECT_EQ(MembershipOf(room.room_id, std::string(kAnn)), "ban");
}

TEST_P(Knocks, TheAskingServerHasToKnowTheVersion) {
  const CreatedRoom room = MakeRoom("knock");
  const auto incompatible = MakeKnock(room.room_id, kAnn, "?ver=1&ver=6");
  EXPECT_EQ(incompatible.status, 400);
  EXPECT_EQ(ErrcodeOf(incompatible), "M_INCOMPATIBLE_ROOM_VERSION");
  EXPECT_EQ(*ObjectOrDie(incompatible.body).Find("room_version")->AsString(), rig_.options_.version);
  const auto silent = MakeKnock(room.room_id, kAnn, "?");
  EXPECT_EQ(silent.status, 400);
  EXPECT_EQ(ErrcodeOf(silent), "M_INVALID_PARAM");
}

INSTANTIATE_TEST_SUITE_P(Versions, Knocks, testing::Values("7", "8", "9", "10", "11", "12"),
                         [](const auto& test) { return "V" + test.param; });

/// Versions that know no knocks.
class BeforeKnocks : public Knocks {};
TEST_P(BeforeKnocks, AreForbidden) {
  const CreatedRoom room = MakeRoom("invite");
  ASSERT_TRUE(
      author_.AddAsOurs(call_, room.room_id, {"m.room.join_rules", "", "", ObjectOrDie(R"({"join_rule":"knock"})")})
          .ok());
  const auto response = MakeKnock(room.room_id);
  EXPECT_EQ(response.status, 403);
  EXPECT_EQ(ErrcodeOf(response), "M_FORBIDDEN");
}
INSTANTIATE_TEST_SUITE_P(Versions, BeforeKnocks, testing::Values("1", "3", "6"),
                         [](const auto& test) { return "V" + test.param; });

}  // namespace
}  // namespace postern::gateway
