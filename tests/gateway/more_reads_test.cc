// What other servers may read besides: state, backfill, query/directory, query/profile, on the honest fakes (pitfalls
// S04, A06, R03).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "matrix/canonical_json.h"
#include "matrix/redaction.h"
#include "matrix/refusal.h"
#include "tests/gateway/on_fakes.h"

namespace postern::gateway {
namespace {

using matrix::Json;
using matrix::JsonArray;
using matrix::JsonObject;
using matrix::Reason;
using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr std::string_view kFederation = "/_matrix/federation/v1/";

class MoreReads : public OnFakes {
 protected:
  MoreReads() : OnFakes("10") { rig_.source_.Set(stranger_.Keys(rig_.clock_.now() + absl::Hours(24))); }

  /// A user of the other server is joined.
  void Make(std::vector<EventIntent> state = {}) {
    room_ = MakeRoom("public", std::move(state));
    users_ = Fill(room_, 1, "join");
  }
  std::string Topic(const std::string& text) {
    rig_.clock_.Advance(absl::Seconds(1));
    EventIntent intent{"m.room.topic", "", "", {}};
    intent.content.Set("topic", text);
    const auto event = author_.AddAsOurs(call_, room_.room_id, std::move(intent));
    EXPECT_TRUE(event.ok()) << event.status();
    return event->event_id;
  }
  http::Response Get(const std::string& path, const RemoteServer* asker = nullptr) {
    return rig_.Send(
        (asker == nullptr ? rig_.remote_ : *asker).Request("GET", std::string(kFederation) + path, nullptr));
  }
  std::string StatePath(const std::string& event_id) const {
    return "state/" + http::PercentEncode(room_.room_id) + "?event_id=" + http::PercentEncode(event_id);
  }
  std::string BackfillPath(const std::vector<std::string>& from, const std::string& limit = "10") const {
    std::string path = "backfill/" + http::PercentEncode(room_.room_id) + "?limit=" + limit;
    for (const std::string& id : from) path += "&v=" + http::PercentEncode(id);
    return path;
  }
  std::vector<int> StatusesOf(const std::string& event_id, const RemoteServer& asker) {
    return {Get(StatePath(event_id), &asker).status, Get(BackfillPath({event_id}, "1"), &asker).status};
  }
  std::vector<std::string> IdsIn(const http::Response& response, std::string_view member) {
    std::vector<std::string> ids;
    EXPECT_EQ(response.status, 200) << response.body;
    if (response.status != 200) return ids;
    const JsonObject answer = ObjectOrDie(response.body);
    for (const Json& event : *answer.Find(member)->AsArray()) ids.push_back(rig_.EventId(*event.AsObject()));
    return ids;
  }
  matrix::Reason SetAlias(const std::string& alias, const std::string& room_id) {
    store::v1::SetAliasRequest request;
    request.set_alias(alias);
    request.set_room_id(room_id);
    return matrix::ReasonOf(store_.SetAlias(call_, request));
  }

  const RemoteServer stranger_{"stranger.example", 's', "ed25519:s1"};
  CreatedRoom room_;
  std::vector<std::string> users_;
};

TEST_F(MoreReads, TheStateBeforeAnEventComesWithItsAuthChain) {
  Make();
  const std::string first = Topic("first"), second = Topic("second");
  const auto response = Get(StatePath(second));
  EXPECT_THAT(ObjectOrDie(response.body), SizeIs(2));
  EXPECT_THAT(IdsIn(response, "pdus"), Contains(first));
  EXPECT_THAT(IdsIn(response, "pdus"), Not(Contains(second)));
  EXPECT_THAT(IdsIn(response, "auth_chain"), Contains(room_.events.front().event_id));
  EXPECT_NE(response.held_until_sent, nullptr) << "counts as a large answer until it has been sent";
}

TEST_F(MoreReads, BackfillIsATransactionOfTheNewestFirst) {
  Make();
  const std::string first = Topic("first"), second = Topic("second"), third = Topic("third");
  const auto response = Get(BackfillPath({third}, "3"));
  EXPECT_THAT(IdsIn(response, "pdus"), ElementsAre(third, second, first));
  const JsonObject answer = ObjectOrDie(response.body);
  EXPECT_THAT(answer, SizeIs(3));
  EXPECT_EQ(*answer.Find("origin")->AsString(), kOurName);
  EXPECT_EQ(*answer.Find("origin_server_ts")->AsInteger(), absl::ToUnixMillis(rig_.clock_.now()));
  EXPECT_THAT(IdsIn(Get(BackfillPath({first, second}, "1")), "pdus"), SizeIs(1));
  EXPECT_THAT(IdsIn(Get(BackfillPath({"$unknown"})), "pdus"), IsEmpty()) << "it is in the room";
  EXPECT_THAT(IdsIn(Get(BackfillPath({"$unknown", second}, "2")), "pdus"), ElementsAre(second, first));
}

TEST_F(MoreReads, BackfillGivesAHundredEventsAtMost) {
  Make();
  std::string last;
  for (int i = 0; i < 105; ++i) last = Topic(std::to_string(i));
  EXPECT_THAT(IdsIn(Get(BackfillPath({last}, "1000000000000")), "pdus"), SizeIs(100));
}

TEST_F(MoreReads, AQuestionThatCannotBeMeantIsABadQuery) {
  Make();
  const std::string id = http::PercentEncode(Topic("x")), room = http::PercentEncode(room_.room_id);
  for (const std::string& path : {"state/" + room, "state/" + room + "?event_id=", "state/" + room + "?event_id=no-id",
                                  "backfill/" + room, "backfill/" + room + "?v=" + id, "backfill/" + room + "?limit=1",
                                  "backfill/" + room + "?limit=1&v=no-id", "backfill/" + room + "?limit=0&v=" + id,
                                  "backfill/" + room + "?limit=-1&v=" + id, "backfill/" + room + "?limit=x&v=" + id,
                                  std::string("query/directory"), std::string("query/directory?room_alias=x"),
                                  std::string("query/profile"), std::string("query/profile?user_id=x")}) {
    const auto response = Get(path);
    EXPECT_EQ(response.status, 400) << path;
    EXPECT_EQ(ErrcodeOf(response), "M_INVALID_PARAM") << path;
  }
}

TEST_F(MoreReads, WhatIsNotThereIsNotFound) {
  Make();
  EXPECT_EQ(Get(StatePath("$unknown")).status, 404);
  const std::string topic = Topic("x");
  room_.room_id = "!none:here.example";
  EXPECT_THAT(StatusesOf(topic, rig_.remote_), Each(404));
  room_.room_id = "none";
  EXPECT_THAT(StatusesOf(topic, rig_.remote_), Each(404));
}

TEST_F(MoreReads, S04_AStrangerIsToldNothing) {
  Make();
  const std::string topic = Topic("x");
  EXPECT_THAT(StatusesOf(topic, rig_.remote_), Each(200));
  EXPECT_THAT(StatusesOf(topic, stranger_), Each(403));
}

TEST_F(MoreReads, S04_AServerThatHasLeftIsToldWhatWasSentWhileItWasThere) {
  Make();
  const std::string before = Topic("before");
  rig_.clock_.Advance(absl::Seconds(1));
  const JsonObject leave = Leave(room_.room_id, users_.front());
  ASSERT_EQ(Submit(room_.room_id, leave).status, 200);
  const std::string after = Topic("after");
  EXPECT_THAT(StatusesOf(before, rig_.remote_), Each(200));
  EXPECT_THAT(StatusesOf(after, rig_.remote_), Each(403));
  EXPECT_THAT(IdsIn(Get(BackfillPath({after}, "3")), "pdus"), ElementsAre(rig_.EventId(leave), before));
}

TEST_F(MoreReads, S04_WhatIsHiddenFromUsersOfAResidentServerIsGivenRedacted) {
  const auto state = [](std::string_view type, std::string_view content) {
    return EventIntent{std::string(type), "", std::string(kCreator), ObjectOrDie(content)};
  };
  room_ = MakeRoom("public", {state("m.room.history_visibility", R"({"history_visibility":"joined"})"),
                              state("m.room.topic", R"({"topic":"secret"})")});
  const std::string hidden = room_.events.back().event_id;
  users_ = Fill(room_, 1, "join");
  const auto response = Get(BackfillPath({hidden}, "1"));
  EXPECT_THAT(IdsIn(response, "pdus"), ElementsAre(hidden)) << "a redacted event keeps its id";
  EXPECT_THAT(response.body, Not(testing::HasSubstr("secret")));
}

TEST_F(MoreReads, R03_ADeniedServerIsRefused) {
  Make({{"m.room.server_acl", "", std::string(kCreator), ObjectOrDie(R"({"allow":["*"],"deny":["remote.example"]})")}});
  EXPECT_THAT(StatusesOf(Topic("x"), rig_.remote_), Each(403));
}

TEST_F(MoreReads, TooManyAnswersAtOnceAreOverload) {
  Make();
  const std::string topic = Topic("x");
  std::vector<std::shared_ptr<void>> places;
  while (auto place = rig_.backfills_.Take(rig_.remote_.name())) places.push_back(std::move(place));
  EXPECT_EQ(Get(BackfillPath({topic})).status, 503);
  EXPECT_EQ(Get(StatePath(topic)).status, 200);
  places.clear();
  while (auto place = rig_.large_answers_.Take(rig_.remote_.name())) places.push_back(std::move(place));
  EXPECT_EQ(Get(StatePath(topic)).status, 503);
  EXPECT_EQ(Get(BackfillPath({topic})).status, 200);
}

TEST_F(MoreReads, WhatTheStoreCannotTellIsTold) {
  Make();
  const std::string topic = Topic("x");
  rig_.store_.on_state = [](const auto&) { return matrix::Refuse(Reason::kAnswerTooLarge, "more"); };
  EXPECT_EQ(Get(StatePath(topic)).status, 413);
  rig_.store_.on_state = [](const auto&) { return matrix::Refuse(Reason::kStateUnresolved, "not known"); };
  EXPECT_EQ(Get(StatePath(topic)).status, 503);
  rig_.store_.on_backfill = [](const auto&) { return matrix::Refuse(Reason::kStoreDown, "down"); };
  EXPECT_EQ(Get(BackfillPath({topic})).status, 503);
}

TEST_F(MoreReads, AnAliasTellsItsRoomAndTheServersThere) {
  Make();
  ASSERT_EQ(SetAlias("#lobby:here.example", room_.room_id), Reason::kNone);
  const auto response = Get("query/directory?room_alias=%23lobby:here.example", &stranger_);
  ASSERT_EQ(response.status, 200) << response.body;
  const JsonObject answer = ObjectOrDie(response.body);
  EXPECT_EQ(*answer.Find("room_id")->AsString(), room_.room_id);
  EXPECT_EQ(*answer.Find("servers"), Json(JsonArray{std::string(kOurName), std::string(kRemoteName)}));
  for (const char* alias : {"%23other:here.example", "%23lobby:there.example"}) {
    const auto none = Get(std::string("query/directory?room_alias=") + alias);
    EXPECT_EQ(none.status, 404);
    EXPECT_EQ(ErrcodeOf(none), "M_NOT_FOUND");
  }
}

TEST_F(MoreReads, AProfileHasWhatIsSetOrTheFieldThatIsAskedFor) {
  Make();
  const auto profile = [this](const std::string& query) { return Get("query/profile?user_id=" + query); };
  EXPECT_EQ(profile("%40boss:here.example").body, "{}");
  EventIntent intent{"m.room.member", std::string(kCreator), std::string(kCreator), {}};
  intent.content.Set("membership", "join");
  intent.content.Set("displayname", "The Boss");
  ASSERT_TRUE(author_.AddAsOurs(call_, room_.room_id, std::move(intent)).ok());
  EXPECT_EQ(profile("%40boss:here.example").body, R"({"displayname":"The Boss"})");
  EXPECT_EQ(profile("%40boss:here.example&field=displayname").body, R"({"displayname":"The Boss"})");
  EXPECT_EQ(profile("%40boss:here.example&field=avatar_url").body, "{}");
  for (const std::string& query : {std::string("%40boss:here.example&field=m.tz"),
                                   std::string("%40nobody:here.example"), http::PercentEncode(users_.front())}) {
    const auto none = profile(query);
    EXPECT_EQ(none.status, 404) << query;
    EXPECT_EQ(ErrcodeOf(none), "M_NOT_FOUND");
  }
}

}  // namespace
}  // namespace postern::gateway
