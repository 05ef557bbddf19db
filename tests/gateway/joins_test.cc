// Joins of another server's users, on the honest fakes: the template, what is answered to the join, and who may not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <set>

#include "matrix/canonical_json.h"
#include "matrix/event_id.h"
#include "matrix/refusal.h"
#include "services/gateway/join_answer.h"
#include "tests/gateway/on_fakes.h"

namespace postern::gateway {
namespace {

using matrix::Json;
using matrix::JsonArray;
using matrix::JsonObject;
using matrix::Reason;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing::UnorderedElementsAreArray;

constexpr std::string_view kFederation = "/_matrix/federation/";

class Joins : public OnFakes {
 protected:
  using OnFakes::OnFakes;
  /// Each at a time of its own, for in version 12 that is what tells them apart.
  CreatedRoom MakeRoom(std::string_view join_rule, std::vector<EventIntent> state = {}) {
    rig_.clock_.Advance(absl::Seconds(1));
    return OnFakes::MakeRoom(join_rule, std::move(state));
  }
  std::string version() const { return rig_.options_.version; }

  http::Response MakeJoin(const std::string& room_id, std::string_view user, std::string query) {
    return rig_.Send(rig_.remote_.Request("GET",
                                          std::string(kFederation) + "v1/make_join/" + http::PercentEncode(room_id) +
                                              "/" + http::PercentEncode(user) + query,
                                          nullptr));
  }
  http::Response MakeJoin(const std::string& room_id, std::string_view user = kAnn) {
    return MakeJoin(room_id, user, "?ver=org.example&ver=" + version());
  }
  /// The user's join, completed by its server.
  JsonObject Join(const std::string& room_id, std::string_view user = kAnn) {
    const auto response = MakeJoin(room_id, user);
    EXPECT_EQ(response.status, 200) << response.body;
    return Complete(*ObjectOrDie(response.body).Find("event")->AsObject());
  }
  JsonObject Complete(JsonObject event) {
    if (rig_.rules().event_id_format == matrix::EventIdFormat::kCarried) {
      event.Set("event_id", "$" + RandomLetters(12) + ":" + std::string(kRemoteName));
    }
    return rig_.remote_.Complete(std::move(event), rig_.rules());
  }
  http::Response SendJoin(const std::string& room_id, const JsonObject& join, std::string_view query = "",
                          std::string_view api = "v2") {
    const Json content(join);
    return rig_.Send(rig_.remote_.Request("PUT",
                                          std::string(kFederation) + std::string(api) + "/send_join/" +
                                              http::PercentEncode(room_id) + "/" +
                                              http::PercentEncode(rig_.EventId(join)) + std::string(query),
                                          &content));
  }
  JsonObject Joined(const std::string& room_id, const JsonObject& join, std::string_view query = "") {
    const auto response = SendJoin(room_id, join, query);
    const auto body = WholeBody(response);
    EXPECT_EQ(response.status, 200) << response.body;
    EXPECT_TRUE(body);
    return ObjectOrDie(*body);
  }
  std::vector<std::string> IdsIn(const JsonObject& answer, std::string_view member) {
    std::vector<std::string> ids;
    for (const Json& event : *answer.Find(member)->AsArray()) ids.push_back(rig_.EventId(*event.AsObject()));
    return ids;
  }
  /// As state_ids would have it.
  store::v1::GetStateIdsResponse StateBefore(const std::string& room_id, const std::string& event_id) {
    store::v1::GetStateIdsRequest request;
    request.set_room_id(room_id);
    request.set_event_id(event_id);
    request.set_asker(std::string(kRemoteName));
    return *store_.GetStateIds(call_, request);
  }
  void SetJoinRules(const std::string& room_id, std::string_view content) {
    EXPECT_TRUE(author_.AddAsOurs(call_, room_id, {"m.room.join_rules", "", "", ObjectOrDie(content)}).ok());
  }
  /// A room whose members may be vouched for are those of the others.
  CreatedRoom MakeRestricted(const std::vector<std::string>& others, std::string_view rule = "restricted") {
    const CreatedRoom room = MakeRoom("invite");
    JsonArray allow;
    for (const std::string& other : others) {
      allow.push_back(ParseOrDie(R"({"type":"m.room_membership","room_id":")" + other + "\"}"));
    }
    JsonObject content;
    content.Set("join_rule", rule);
    content.Set("allow", std::move(allow));
    SetJoinRules(room.room_id, matrix::CanonicalJson(content));
    return room;
  }
  std::vector<std::string> ServersOf(const JsonObject& answer) {
    std::vector<std::string> servers;
    for (const Json& server : *answer.Find("servers_in_room")->AsArray()) servers.push_back(*server.AsString());
    return servers;
  }
};

TEST_P(Joins, ATemplateIsCompletedAndTaken) {
  const CreatedRoom room = MakeRoom("public");
  const auto response = MakeJoin(room.room_id);
  ASSERT_EQ(response.status, 200) << response.body;
  const JsonObject answer = ObjectOrDie(response.body);
  EXPECT_EQ(*answer.Find("room_version")->AsString(), version());
  const JsonObject& event = *answer.Find("event")->AsObject();
  EXPECT_EQ(*event.Find("content"), ParseOrDie(R"({"membership":"join"})"));
  EXPECT_EQ(*event.Find("sender")->AsString(), kAnn);
  EXPECT_EQ(*event.Find("state_key")->AsString(), kAnn);
  const JsonObject join = Complete(event);
  EXPECT_EQ(SendJoin(room.room_id, join).status, 200);
  EXPECT_EQ(MembershipOf(room.room_id, std::string(kAnn)), "join");
}

TEST_P(Joins, AreAnsweredWithTheStateBeforeThemAndItsAuthChain) {
  const CreatedRoom room = MakeRoom("public", {{"m.room.name", "", "", ObjectOrDie(R"({"name":"x"})")}});
  Fill(room, 5, "join");
  rig_.clock_.Advance(absl::Seconds(5));
  const JsonObject join = Join(room.room_id);
  const JsonObject answer = Joined(room.room_id, join);
  EXPECT_EQ(*answer.Find("origin")->AsString(), kOurName);
  EXPECT_EQ(*answer.Find("members_omitted")->AsBool(), false);
  const JsonObject& event = *answer.Find("event")->AsObject();
  EXPECT_EQ(rig_.EventId(event), rig_.EventId(join));
  EXPECT_NE(event.Find("signatures")->AsObject()->Find(kOurName), nullptr);
  EXPECT_NE(event.Find("signatures")->AsObject()->Find(kRemoteName), nullptr);

  const auto state = StateBefore(room.room_id, rig_.EventId(join));
  EXPECT_THAT(IdsIn(answer, "state"), UnorderedElementsAreArray(state.state()));
  store::v1::GetAuthChainRequest of_the_join;
  of_the_join.set_room_id(room.room_id);
  of_the_join.set_event_id(rig_.EventId(join));
  std::set<std::string> chain(state.auth_chain().begin(), state.auth_chain().end());
  const auto chain_of_the_join = *store_.GetAuthChain(call_, of_the_join);
  for (const auto& pdu : chain_of_the_join.pdus()) chain.insert(rig_.EventId(ObjectOrDie(pdu)));
  EXPECT_THAT(IdsIn(answer, "auth_chain"), UnorderedElementsAreArray(chain));
  EXPECT_THAT(ServersOf(answer), UnorderedElementsAreArray({std::string(kOurName), std::string(kRemoteName)}));
}

TEST_P(Joins, OfTheFirstUserOfAServerDoNotNameItAmongTheServersBefore) {
  const CreatedRoom room = MakeRoom("public");
  EXPECT_THAT(ServersOf(Joined(room.room_id, Join(room.room_id))), ElementsAre(std::string(kOurName)));
}

TEST_P(Joins, MembersAreLeftOutWhereTheServerSaysThatItCanDoWithout) {
  const CreatedRoom named = MakeRoom("public", {{"m.room.name", "", "", ObjectOrDie(R"({"name":"x"})")}});
  const CreatedRoom nameless = MakeRoom("public");
  for (const CreatedRoom* room : {&named, &nameless}) {
    Fill(*room, 8, "join");
    rig_.clock_.Advance(absl::Seconds(5));
    const JsonObject answer = Joined(room->room_id, Join(room->room_id), "?omit_members=true");
    EXPECT_EQ(*answer.Find("members_omitted")->AsBool(), true);
    int members = 0;
    for (const Json& event : *answer.Find("state")->AsArray()) {
      const bool member = *event.AsObject()->Find("type")->AsString() == "m.room.member";
      members += member;
      EXPECT_FALSE(member && *event.AsObject()->Find("state_key")->AsString() == kAnn);
    }
    EXPECT_EQ(members, room == &named ? 0 : 5);
    // What is in the state is not told twice, what it rests on is told.
    const auto state = IdsIn(answer, "state"), chain = IdsIn(answer, "auth_chain");
    for (const std::string& id : state) EXPECT_THAT(chain, Not(Contains(id)));
    for (const char* list : {"state", "auth_chain"}) {
      for (const Json& event : *answer.Find(list)->AsArray()) {
        for (const Json& reference : *event.AsObject()->Find("auth_events")->AsArray()) {
          const std::string& id = *(reference.AsArray() ? reference.AsArray()->front() : reference).AsString();
          EXPECT_TRUE(std::ranges::count(state, id) + std::ranges::count(chain, id) == 1) << id;
        }
      }
    }
  }
}

TEST_P(Joins, OfLargeRoomsAreAnsweredInPieces) {
  const CreatedRoom room = MakeRoom("public");
  const std::string large(60'000, 'x');
  for (int i = 0; i < 30; ++i) {
    JsonObject content;
    content.Set("x", large);
    const EventIntent intent{"org.example.large", std::to_string(i), "", std::move(content)};
    ASSERT_TRUE(author_.AddAsOurs(call_, room.room_id, intent).ok());
  }
  rig_.clock_.Advance(absl::Seconds(5));
  const JsonObject join = Join(room.room_id);
  const auto first = SendJoin(room.room_id, join);
  EXPECT_NE(first.rest, nullptr);
  EXPECT_LT(first.body.size(), 1'300'000U);
  const auto whole = WholeBody(first);
  ASSERT_TRUE(whole);
  EXPECT_THAT(IdsIn(ObjectOrDie(*whole), "state"),
              UnorderedElementsAreArray(StateBefore(room.room_id, rig_.EventId(join)).state()));

  // The rig lets two be sent at once; each of them until it has been sent. The join stands all the same.
  auto second = SendJoin(room.room_id, join);
  EXPECT_EQ(second.status, 200);
  const auto third = SendJoin(room.room_id, join);
  EXPECT_EQ(third.status, 503);
  EXPECT_EQ(MembershipOf(room.room_id, std::string(kAnn)), "join");
  second = {};
  EXPECT_EQ(SendJoin(room.room_id, join).status, 200);
}

TEST_P(Joins, AnAnswerThatBreaksOffIsNotTakenForTheWhole) {
  const CreatedRoom room = MakeRoom("public");
  const JsonObject join = Join(room.room_id);
  ASSERT_EQ(SendJoin(room.room_id, join).status, 200);
  JoinAnswer answer(rig_.store_, {.room_id = room.room_id, .event_id = rig_.EventId(join)});
  rig_.store_.on_room_servers = [](const auto&) { return matrix::Refuse(Reason::kStoreDown, "scripted"); };
  absl::StatusOr<std::string> part;
  do part = answer.Next(call_);
  while (part.ok() && !part->empty());
  EXPECT_EQ(matrix::ReasonOf(part.status()), Reason::kStoreDown);
  EXPECT_EQ(SendJoin(room.room_id, join).status, 503);
}

TEST_P(Joins, TheSameAgainIsTheSameAnswerAndStoredOnce) {
  const CreatedRoom room = MakeRoom("public");
  const JsonObject join = Join(room.room_id);
  const auto first = SendJoin(room.room_id, join);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(SendJoin(room.room_id, join).body, first.body);
  store::v1::ListOutboxRequest request;
  request.set_room_id(room.room_id);
  const auto outbox = *store_.ListOutbox(call_, request);
  int rows = 0;
  for (const auto& row : outbox.rows()) rows += row.event_id() == rig_.EventId(join);
  EXPECT_EQ(rows, 1);
}

TEST_P(Joins, MadeFromOneTipAtOnceAreAllTaken) {
  const CreatedRoom room = MakeRoom("public");
  std::vector<std::string> users;
  std::vector<JsonObject> joins;
  for (int i = 0; i < 15; ++i) {
    users.push_back("@u" + std::to_string(i) + ":" + std::string(kRemoteName));
    joins.push_back(Join(room.room_id, users.back()));
  }
  std::atomic<int> ok = 0;
  for (const JsonObject& join : joins) {
    const Json content(join);
    rig_.router_->OnRequest(
        rig_.remote_.Request("PUT",
                             std::string(kFederation) + "v2/send_join/" + http::PercentEncode(room.room_id) + "/" +
                                 http::PercentEncode(rig_.EventId(join)),
                             &content),
        [&](const http::Response& response) { ok += response.status == 200; });
  }
  rig_.workers_.Drain();
  EXPECT_EQ(ok, 15);
  for (const std::string& user : users) EXPECT_EQ(MembershipOf(room.room_id, user), "join");
}

TEST_P(Joins, V1WrapsSuccessAlone) {
  const CreatedRoom room = MakeRoom("public");
  const JsonObject join = Join(room.room_id);
  const auto response = SendJoin(room.room_id, join, "", "v1");
  ASSERT_EQ(response.status, 200);
  const Json answer = ParseOrDie(response.body);
  ASSERT_NE(answer.AsArray(), nullptr);
  ASSERT_THAT(*answer.AsArray(), SizeIs(2));
  EXPECT_EQ((*answer.AsArray())[0], Json(200));
  EXPECT_EQ(matrix::CanonicalJson((*answer.AsArray())[1]),
            matrix::CanonicalJson(ParseOrDie(SendJoin(room.room_id, join).body)));
  ASSERT_EQ(SetMember(room.room_id, "@bob:remote.example:8448", "ban"), Reason::kNone);
  EXPECT_EQ(MakeJoin(room.room_id, "@bob:remote.example:8448").status, 403);
}

TEST_P(Joins, GoToTheOtherServersAndAreOfTheRoomFromThenOn) {
  const CreatedRoom room = MakeRoom("public");
  ASSERT_EQ(SetMember(room.room_id, "@cat:remote.example:8448", "invite"), Reason::kNone);
  const JsonObject first = Join(room.room_id, "@cat:remote.example:8448");
  ASSERT_EQ(SendJoin(room.room_id, first).status, 200);
  rig_.clock_.Advance(absl::Seconds(1));
  ASSERT_EQ(SetMember(room.room_id, "@x:else.example", "invite"), Reason::kNone);
  store::v1::ListOutboxRequest request;
  request.set_room_id(room.room_id);
  const auto outbox = store_.ListOutbox(call_, request);
  std::map<std::string, std::vector<std::string>> told;
  for (const auto& row : outbox->rows()) {
    told[row.event_id()] = {row.destinations().begin(), row.destinations().end()};
  }
  EXPECT_THAT(told[rig_.EventId(first)], IsEmpty());  // only its own server and this one are there
  EXPECT_THAT(told[outbox->rows().rbegin()->event_id()], ElementsAre(std::string(kRemoteName)));
}

TEST_P(Joins, AreForWhomTheJoinRuleAndTheMembershipLetIn) {
  struct Case {
    std::string rule, membership;
    int status;
  };
  for (const Case& c : std::vector<Case>{{"public", "", 200},
                                         {"public", "invite", 200},
                                         {"public", "ban", 403},
                                         {"invite", "", 403},
                                         {"invite", "invite", 200},
                                         {"invite", "ban", 403},
                                         {"private", "", 403}}) {
    const CreatedRoom room = MakeRoom(c.rule);
    if (!c.membership.empty()) {
      ASSERT_EQ(SetMember(room.room_id, kAnn, c.membership), Reason::kNone);
    }
    const auto response = MakeJoin(room.room_id);
    EXPECT_EQ(response.status, c.status) << c.rule << " " << c.membership << ": " << response.body;
    EXPECT_EQ(ErrcodeOf(response), c.status == 200 ? "" : "M_FORBIDDEN");
  }
}

TEST_P(Joins, ABanThatLandsFirstIsForbidden) {
  const CreatedRoom room = MakeRoom("public");
  const JsonObject join = Join(room.room_id);
  ASSERT_EQ(SetMember(room.room_id, kAnn, "ban"), Reason::kNone);
  const auto response = SendJoin(room.room_id, join);
  EXPECT_EQ(response.status, 403);
  EXPECT_EQ(ErrcodeOf(response), "M_FORBIDDEN");
  EXPECT_EQ(SendJoin(room.room_id, join).status, 403);
  EXPECT_EQ(MembershipOf(room.room_id, std::string(kAnn)), "ban");
}

TEST_P(Joins, AServerThatDoesNotKnowTheVersionIsToldWhichItIs) {
  const CreatedRoom room = MakeRoom("public");
  for (const std::string& query : {std::string(), std::string("?ver="), std::string("?ver=org.example&ver=99")}) {
    const auto response = MakeJoin(room.room_id, kAnn, query);
    const bool known = query.empty() && version() == "1";  // what a server can do that does not say
    EXPECT_EQ(response.status, known ? 200 : 400) << query;
    if (known) continue;
    EXPECT_EQ(ErrcodeOf(response), "M_INCOMPATIBLE_ROOM_VERSION");
    EXPECT_EQ(*ObjectOrDie(response.body).Find("room_version")->AsString(), version());
  }
}

/// From version 8 on.
class RestrictedRooms : public Joins {};

TEST_P(RestrictedRooms, JoinsOfAMemberOfAnAllowedRoomAreVouchedFor) {
  const CreatedRoom club = MakeRoom("public");
  for (const std::string rule : {"restricted", "knock_restricted"}) {
    if (rule == "knock_restricted" && !rig_.rules().knock_restricted) continue;
    const CreatedRoom room = MakeRestricted({"!elsewhere:else.example", club.room_id}, rule);
    if (MembershipOf(club.room_id, std::string(kAnn)) != "join") {
      ASSERT_EQ(SendJoin(club.room_id, Join(club.room_id)).status, 200);
    }
    const JsonObject join = Join(room.room_id);
    EXPECT_EQ(*join.Find("content")->AsObject()->Find("join_authorised_via_users_server")->AsString(), kCreator);
    const JsonObject answer = Joined(room.room_id, join);
    EXPECT_NE(answer.Find("event")->AsObject()->Find("signatures")->AsObject()->Find(kOurName), nullptr);
    EXPECT_EQ(MembershipOf(room.room_id, std::string(kAnn)), "join");
    // Of who is in the room already nothing is asked.
    rig_.clock_.Advance(absl::Seconds(1));
    EXPECT_EQ(Join(room.room_id).Find("content")->AsObject()->Find("join_authorised_via_users_server"), nullptr);
  }
}

TEST_P(RestrictedRooms, WhoMeetsNoConditionIsToldWhetherAnotherServerMayKnowMore) {
  const CreatedRoom club = MakeRoom("public");
  struct Case {
    std::vector<std::string> rooms;
    int status;
    std::string errcode;
  };
  for (const Case& c :
       std::vector<Case>{{{club.room_id}, 403, "M_FORBIDDEN"},
                         {{}, 403, "M_FORBIDDEN"},
                         {{"!elsewhere:else.example"}, 400, "M_UNABLE_TO_AUTHORISE_JOIN"},
                         {{club.room_id, "!elsewhere:else.example"}, 400, "M_UNABLE_TO_AUTHORISE_JOIN"}}) {
    const CreatedRoom room = MakeRestricted(c.rooms);
    const auto response = MakeJoin(room.room_id);
    EXPECT_EQ(response.status, c.status) << response.body;
    EXPECT_EQ(ErrcodeOf(response), c.errcode);
    ASSERT_EQ(SetMember(room.room_id, kAnn, "invite"), Reason::kNone);
    EXPECT_EQ(MakeJoin(room.room_id).status, 200);
  }
  const CreatedRoom odd = MakeRoom("invite");
  SetJoinRules(odd.room_id, R"({"join_rule":"restricted","allow":[{"type":"org.example","room_id":"!a:b"},1,{}]})");
  EXPECT_EQ(MakeJoin(odd.room_id).status, 403);
}

TEST_P(RestrictedRooms, WhomNobodyHereMayInviteIsSentToAnotherServer) {
  const CreatedRoom club = MakeRoom("public");
  ASSERT_EQ(SendJoin(club.room_id, Join(club.room_id)).status, 200);
  const CreatedRoom room = MakeRestricted({club.room_id});
  // From version 12 on the creator may do anything: only one who has left may not.
  JsonObject levels = ObjectOrDie(R"({"invite":60,"users":{}})");
  if (!rig_.rules().room_id_is_create_hash) levels.Find("users")->AsObject()->Set(kCreator, 50);
  const bool creators_count = rig_.rules().room_id_is_create_hash;
  ASSERT_TRUE(author_.AddAsOurs(call_, room.room_id, {"m.room.power_levels", "", "", std::move(levels)}).ok());
  const auto response = MakeJoin(room.room_id);
  EXPECT_EQ(response.status, creators_count ? 200 : 400) << response.body;
  EXPECT_EQ(ErrcodeOf(response), creators_count ? "" : "M_UNABLE_TO_GRANT_JOIN");
}

TEST_P(RestrictedRooms, ConditionsAreCheckedAgainWhenTheJoinComes) {
  const CreatedRoom club = MakeRoom("public");
  ASSERT_EQ(SendJoin(club.room_id, Join(club.room_id)).status, 200);
  const CreatedRoom room = MakeRestricted({club.room_id});
  const JsonObject join = Join(room.room_id);
  ASSERT_EQ(SetMember(club.room_id, kAnn, "ban"), Reason::kNone);
  const auto response = SendJoin(room.room_id, join);
  EXPECT_EQ(response.status, 403);
  EXPECT_EQ(ErrcodeOf(response), "M_FORBIDDEN");
  EXPECT_EQ(MembershipOf(room.room_id, std::string(kAnn)), "");
}

TEST_P(RestrictedRooms, NobodyIsVouchedForWithoutACondition) {
  const CreatedRoom club = MakeRoom("public");
  const CreatedRoom room = MakeRestricted({club.room_id});
  ASSERT_EQ(SetMember(room.room_id, kAnn, "invite"), Reason::kNone);
  JsonObject event = *ObjectOrDie(MakeJoin(room.room_id).body).Find("event")->AsObject();
  rig_.clock_.Advance(absl::Seconds(1));
  ASSERT_EQ(SetMember(room.room_id, kAnn, "leave"), Reason::kNone);
  EXPECT_EQ(SendJoin(room.room_id, Complete(event)).status, 403);
  const auto send_with = [&](std::string_view voucher) {
    event.Find("content")->AsObject()->Set("join_authorised_via_users_server", voucher);
    return SendJoin(room.room_id, Complete(event));
  };
  EXPECT_EQ(send_with(kCreator).status, 403);
  // Another server's user: that server has not signed.
  EXPECT_EQ(send_with("@x:else.example").status, 400);
  EXPECT_EQ(send_with("nobody").status, 400);
  EXPECT_EQ(MembershipOf(room.room_id, std::string(kAnn)), "leave");
}

INSTANTIATE_TEST_SUITE_P(Versions, RestrictedRooms, testing::Values("8", "9", "10", "11", "12"),
                         [](const auto& test) { return "V" + test.param; });
INSTANTIATE_TEST_SUITE_P(Versions, Joins,
                         testing::Values("1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"),
                         [](const auto& test) { return "V" + test.param; });

}  // namespace
}  // namespace postern::gateway
