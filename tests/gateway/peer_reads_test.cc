// What other servers may read: event, state_ids, event_auth, get_missing_events, on the honest fakes (pitfalls S03,
// S04, L15, R03).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "matrix/event_id.h"
#include "matrix/refusal.h"
#include "tests/gateway/on_fakes.h"

namespace postern::gateway {
namespace {

using matrix::Json;
using matrix::JsonObject;
using matrix::Reason;
using testing::ElementsAre;
using testing::SizeIs;

constexpr std::string_view kFederation = "/_matrix/federation/v1/";

EventIntent StateOf(std::string_view type, std::string_view content) {
  return {std::string(type), "", std::string(kCreator), ObjectOrDie(content)};
}

class PeerReads : public OnFakes {
 protected:
  PeerReads() : PeerReads("10") {}
  explicit PeerReads(const std::string& version) : OnFakes(version) {
    rig_.source_.Set(stranger_.Keys(rig_.clock_.now() + absl::Hours(24)));
  }

  /// Ann is joined, by a leave that she did not make.
  CreatedRoom RoomWithAnn(std::vector<EventIntent> state = {}) {
    CreatedRoom room = MakeRoom("public", std::move(state));
    users_ = Fill(room, 1, "join");
    return room;
  }
  /// Its id.
  std::string Topic(const CreatedRoom& room, const std::string& text) {
    rig_.clock_.Advance(absl::Seconds(1));
    EventIntent intent = StateOf("m.room.topic", "{}");
    intent.sender = "";
    intent.content.Set("topic", text);
    const auto event = author_.AddAsOurs(call_, room.room_id, std::move(intent));
    EXPECT_TRUE(event.ok()) << event.status();
    return event->event_id;
  }

  http::Response Get(const std::string& path, const RemoteServer* asker = nullptr) {
    return rig_.Send(
        (asker == nullptr ? rig_.remote_ : *asker).Request("GET", std::string(kFederation) + path, nullptr));
  }
  http::Response GetEvent(const std::string& event_id, const RemoteServer* asker = nullptr) {
    return Get("event/" + http::PercentEncode(event_id), asker);
  }
  http::Response GetStateIds(const std::string& room_id, const std::string& event_id,
                             const RemoteServer* asker = nullptr) {
    return Get("state_ids/" + http::PercentEncode(room_id) + "?event_id=" + http::PercentEncode(event_id), asker);
  }
  http::Response GetAuth(const std::string& room_id, const std::string& event_id, const RemoteServer* asker = nullptr) {
    return Get("event_auth/" + http::PercentEncode(room_id) + "/" + http::PercentEncode(event_id), asker);
  }
  http::Response PostMissing(const std::string& room_id, const std::string& body, const RemoteServer* asker = nullptr) {
    const Json content = ParseOrDie(body);
    return rig_.Send((asker == nullptr ? rig_.remote_ : *asker)
                         .Request("POST",
                                  std::string(kFederation) + "get_missing_events/" + http::PercentEncode(room_id),
                                  &content));
  }
  http::Response MissingBefore(const std::string& room_id, const std::string& event_id,
                               const RemoteServer* asker = nullptr) {
    return PostMissing(room_id, R"({"earliest_events":[],"latest_events":[")" + event_id + R"("],"limit":1})", asker);
  }

  /// All four, about one event; but get_missing_events about the one before it.
  std::vector<int> StatusesOf(const std::string& room_id, const std::string& event_id, const RemoteServer& asker) {
    return {GetEvent(event_id, &asker).status, GetStateIds(room_id, event_id, &asker).status,
            GetAuth(room_id, event_id, &asker).status, MissingBefore(room_id, event_id, &asker).status};
  }
  std::vector<std::string> IdsIn(const http::Response& response, std::string_view member) {
    std::vector<std::string> ids;
    const JsonObject answer = ObjectOrDie(response.body);
    for (const Json& entry : *answer.Find(member)->AsArray()) {
      ids.push_back(entry.AsString() != nullptr ? *entry.AsString() : rig_.EventId(*entry.AsObject()));
    }
    return ids;
  }
  JsonObject PduIn(const http::Response& response) {
    return *ObjectOrDie(response.body).Find("pdus")->AsArray()->front().AsObject();
  }
  JsonObject Stored(const std::string& event_id) {
    store::v1::GetEventRequest request;
    request.set_event_id(event_id);
    return ObjectOrDie(store_.GetEvent(call_, request)->pdu());
  }

  const RemoteServer stranger_{"stranger.example", 's', "ed25519:s1"};
  std::vector<std::string> users_;
};

TEST_F(PeerReads, AnEventIsATransactionOfOne) {
  const CreatedRoom room = RoomWithAnn();
  const std::string topic = Topic(room, "hello");
  const auto response = GetEvent(topic);
  ASSERT_EQ(response.status, 200) << response.body;
  const JsonObject answer = ObjectOrDie(response.body);
  EXPECT_THAT(answer, SizeIs(3));
  EXPECT_EQ(*answer.Find("origin")->AsString(), kOurName);
  EXPECT_EQ(*answer.Find("origin_server_ts")->AsInteger(), absl::ToUnixMillis(rig_.clock_.now()));
  EXPECT_THAT(*answer.Find("pdus")->AsArray(), SizeIs(1));
  EXPECT_EQ(PduIn(response), Stored(topic));
}

TEST_F(PeerReads, StateIdsAreThoseBeforeTheEvent) {
  const CreatedRoom room = RoomWithAnn();
  const std::string first = Topic(room, "first");
  const std::string second = Topic(room, "second");
  const auto response = GetStateIds(room.room_id, second);
  ASSERT_EQ(response.status, 200) << response.body;
  EXPECT_THAT(ObjectOrDie(response.body), SizeIs(2));
  EXPECT_THAT(IdsIn(response, "pdu_ids"), testing::Contains(first));
  EXPECT_THAT(IdsIn(response, "pdu_ids"), testing::Not(testing::Contains(second)));
  EXPECT_THAT(IdsIn(response, "auth_chain_ids"), testing::Contains(room.events.front().event_id));
}

TEST_F(PeerReads, TheQueryIsSignedWithThePath) {
  const CreatedRoom room = RoomWithAnn();
  const std::string topic = Topic(room, "first");
  http::Request request = rig_.remote_.Request(
      "GET", std::string(kFederation) + "state_ids/" + http::PercentEncode(room.room_id) + "?x=%20&event_id=" + topic,
      nullptr);
  EXPECT_EQ(rig_.Send(request).status, 200);
  request.target += "&y=1";
  EXPECT_EQ(rig_.Send(request).status, 401);
}

TEST_F(PeerReads, AStateWithoutAnEventIsABadQuery) {
  const CreatedRoom room = RoomWithAnn();
  for (const std::string query :
       {"", "?", "?event_id", "?event_id=", "?event_id=no-id", "?event=%24x", "?event_id=%2"}) {
    const auto response = Get("state_ids/" + http::PercentEncode(room.room_id) + query);
    EXPECT_EQ(response.status, 400) << query;
    EXPECT_EQ(ErrcodeOf(response), "M_INVALID_PARAM") << query;
  }
}

TEST_F(PeerReads, AnAuthChainIsOfWholeEvents) {
  const CreatedRoom room = RoomWithAnn();
  const std::string topic = Topic(room, "first");
  const auto response = GetAuth(room.room_id, topic);
  ASSERT_EQ(response.status, 200) << response.body;
  const JsonObject answer = ObjectOrDie(response.body);
  EXPECT_THAT(answer, SizeIs(1));
  EXPECT_EQ(IdsIn(response, "auth_chain").front(), room.events.front().event_id);
  for (const Json& event : *answer.Find("auth_chain")->AsArray()) {
    EXPECT_EQ(*event.AsObject(), Stored(rig_.EventId(*event.AsObject())));
  }
}

TEST_F(PeerReads, MissingEventsAreTheOldestFirstTenUnlessMoreAreAskedForAndTwentyAtMost) {
  const CreatedRoom room = RoomWithAnn();
  std::vector<std::string> topics;
  for (int i = 0; i < 25; ++i) topics.push_back(Topic(room, std::to_string(i)));
  const std::string ends = R"("earliest_events":[],"latest_events":[")" + topics.back() + "\"]";
  const auto ask = [&](const std::string& more) {
    const auto response = PostMissing(room.room_id, "{" + ends + more + "}");
    EXPECT_EQ(response.status, 200) << response.body;
    return IdsIn(response, "events");
  };
  const auto last = [&](int count) { return std::vector<std::string>(topics.end() - 1 - count, topics.end() - 1); };
  EXPECT_EQ(ask(""), last(10));
  EXPECT_EQ(ask(R"(,"limit":3)"), last(3));
  EXPECT_EQ(ask(R"(,"limit":20)"), last(20));
  EXPECT_EQ(ask(R"(,"limit":9007199254740991,"min_depth":0)"), last(20));
  EXPECT_THAT(ask(R"(,"min_depth":9007199254740991)"), SizeIs(0));
}

TEST_F(PeerReads, MalformedBodiesAreBadJson) {
  const CreatedRoom room = RoomWithAnn();
  for (const std::string body : {
           "{}",
           R"({"latest_events":["$a"]})",
           R"({"earliest_events":["$a"]})",
           R"({"earliest_events":{},"latest_events":[]})",
           R"({"earliest_events":[1],"latest_events":[]})",
           R"({"earliest_events":["a"],"latest_events":[]})",
           R"({"earliest_events":[],"latest_events":[null]})",
           R"({"earliest_events":[],"latest_events":[],"limit":"10"})",
           R"({"earliest_events":[],"latest_events":[],"limit":0})",
           R"({"earliest_events":[],"latest_events":[],"limit":1.5})",
           R"({"earliest_events":[],"latest_events":[],"limit":99999999999999999999})",
           R"({"earliest_events":[],"latest_events":[],"min_depth":-1})",
       }) {
    const auto response = PostMissing(room.room_id, body);
    EXPECT_EQ(response.status, 400) << body;
    EXPECT_EQ(ErrcodeOf(response), "M_BAD_JSON") << body;
  }
}

TEST_F(PeerReads, WhatIsNotKnownIsNotFound) {
  const CreatedRoom room = RoomWithAnn();
  const std::string topic = Topic(room, "first");
  const std::string elsewhere = MakeRoom().events.front().event_id;
  EXPECT_THAT(StatusesOf("!nowhere:here.example", topic, rig_.remote_), ElementsAre(200, 404, 404, 404));
  EXPECT_THAT(StatusesOf("nowhere", topic, rig_.remote_), ElementsAre(200, 404, 404, 404));
  EXPECT_THAT(StatusesOf(room.room_id, "$nothing", rig_.remote_), ElementsAre(404, 404, 404, 200));
  EXPECT_EQ(GetStateIds(room.room_id, elsewhere).status, 404) << "of another room";
  EXPECT_EQ(GetAuth(room.room_id, elsewhere).status, 404);
  EXPECT_EQ(GetEvent("nothing").status, 404);
  EXPECT_EQ(ErrcodeOf(GetAuth(room.room_id, "$nothing")), "M_NOT_FOUND");
}

TEST_F(PeerReads, AStrangerIsToldNothing) {
  const CreatedRoom room = RoomWithAnn();
  const std::string topic = Topic(room, "first");
  EXPECT_THAT(StatusesOf(room.room_id, topic, stranger_), ElementsAre(403, 403, 403, 403));
  EXPECT_EQ(ErrcodeOf(GetEvent(topic, &stranger_)), "M_FORBIDDEN");
}

TEST_F(PeerReads, NothingLargeIsReadForWhoMayNotSeeIt) {
  const CreatedRoom room = RoomWithAnn();
  const std::string topic = Topic(room, "first");
  int reads = 0;
  rig_.store_.on_state_ids = [&](const auto& request) {
    ++reads;
    return client_.GetStateIds(call_, request);
  };
  rig_.store_.on_auth_chain = [&](const auto& request) {
    ++reads;
    return client_.GetAuthChain(call_, request);
  };
  EXPECT_EQ(GetStateIds(room.room_id, topic, &stranger_).status, 403);
  EXPECT_EQ(GetAuth(room.room_id, topic, &stranger_).status, 403);
  EXPECT_EQ(reads, 0);
  EXPECT_EQ(GetStateIds(room.room_id, topic).status, 200);
  EXPECT_EQ(reads, 1);
}

TEST_F(PeerReads, AWorldReadableRoomIsToldToAnybody) {
  const CreatedRoom room =
      RoomWithAnn({StateOf("m.room.history_visibility", R"({"history_visibility":"world_readable"})")});
  Topic(room, "first");
  const std::string topic = Topic(room, "second");
  EXPECT_THAT(StatusesOf(room.room_id, topic, stranger_), ElementsAre(200, 200, 200, 200));
}

TEST_F(PeerReads, AServerAclShutsOutWhoIsInTheRoomToo) {
  const CreatedRoom room = RoomWithAnn();
  const std::string topic = Topic(room, "first");
  auto acl = StateOf("m.room.server_acl", R"({"allow":["*"],"deny":["remote.example"]})");
  acl.sender = "";
  ASSERT_TRUE(author_.AddAsOurs(call_, room.room_id, std::move(acl)).ok());
  EXPECT_THAT(StatusesOf(room.room_id, topic, rig_.remote_), ElementsAre(403, 403, 403, 403));
  // Nor does it learn what there is.
  EXPECT_THAT(StatusesOf(room.room_id, "$nothing", rig_.remote_), ElementsAre(404, 403, 403, 403));
}

TEST_F(PeerReads, ARoomThatDoesNotFederateIsToldToNobody) {
  const CreatedRoom room = MakeRoom("public", {StateOf("m.room.create", R"({"m.federate":false})")});
  EXPECT_THAT(StatusesOf(room.room_id, room.events.back().event_id, rig_.remote_), ElementsAre(403, 403, 403, 403));
}

TEST_F(PeerReads, WhatTheHistoryVisibilityHidesFromAResidentIsRedacted) {
  const CreatedRoom room =
      MakeRoom("public", {StateOf("m.room.history_visibility", R"({"history_visibility":"joined"})"),
                          StateOf("m.room.topic", R"({"topic":"secret"})")});
  const std::string hidden = room.events.back().event_id;
  Fill(room, 1, "join");
  const std::string shown = Topic(room, "open");
  const auto response = GetEvent(hidden);
  ASSERT_EQ(response.status, 200) << response.body;
  const JsonObject redacted = PduIn(response);
  EXPECT_EQ(*redacted.Find("content"), ParseOrDie("{}"));
  EXPECT_EQ(rig_.EventId(redacted), hidden);
  EXPECT_EQ(*redacted.Find("hashes"), *Stored(hidden).Find("hashes"));
  matrix::KeyDirectory keys;
  keys[std::string(kOurName)] = rig_.signer_.PublicKeys(rig_.clock_.now() + absl::Hours(1));
  EXPECT_TRUE(matrix::CheckEventSignatures(redacted, rig_.rules(), keys, rig_.clock_.now()).ok());
  EXPECT_EQ(PduIn(GetEvent(shown)), Stored(shown));

  const auto missing =
      PostMissing(room.room_id, R"({"earliest_events":[],"latest_events":[")" + shown + R"("],"limit":2})");
  ASSERT_EQ(missing.status, 200);
  EXPECT_THAT(missing.body, testing::Not(testing::HasSubstr("secret")));
  EXPECT_EQ(IdsIn(missing, "events").front(), hidden);
}

TEST_F(PeerReads, AServerThatHasLeftSeesWhatWasSentWhileItWasThere) {
  const CreatedRoom room = RoomWithAnn();
  const std::string before = Topic(room, "before");
  rig_.clock_.Advance(absl::Seconds(1));
  const JsonObject leave = Leave(room.room_id, users_.front());
  ASSERT_EQ(Submit(room.room_id, leave).status, 200);
  const std::string first_after = Topic(room, "after");
  const std::string after = Topic(room, "and more");
  EXPECT_THAT(StatusesOf(room.room_id, before, rig_.remote_), ElementsAre(200, 200, 200, 200));
  EXPECT_THAT(StatusesOf(room.room_id, rig_.EventId(leave), rig_.remote_), ElementsAre(200, 200, 200, 200));
  EXPECT_THAT(StatusesOf(room.room_id, after, rig_.remote_), ElementsAre(403, 403, 403, 403));
  // Of several, those that it may see.
  const auto missing =
      PostMissing(room.room_id, R"({"earliest_events":[],"latest_events":[")" + after + R"("],"limit":3})");
  ASSERT_EQ(missing.status, 200) << missing.body;
  EXPECT_THAT(IdsIn(missing, "events"), ElementsAre(before, rig_.EventId(leave)));
}

TEST_F(PeerReads, AfterOurLastUserHasLeftTheRoomIsStillTold) {
  const CreatedRoom room = RoomWithAnn();
  Topic(room, "before");
  const std::string topic = Topic(room, "last");
  ASSERT_EQ(SetMember(room.room_id, kCreator, "leave"), Reason::kNone);
  ASSERT_EQ(MembershipOf(room.room_id, std::string(kCreator)), "leave");
  EXPECT_THAT(StatusesOf(room.room_id, topic, rig_.remote_), ElementsAre(200, 200, 200, 200));
}

TEST_F(PeerReads, TooManyLargeAnswersAtOnceAreOverload) {
  const CreatedRoom room = RoomWithAnn();
  const std::string topic = Topic(room, "first");
  {
    const auto one = rig_.large_answers_.Take(rig_.remote_.name());
    const auto two = rig_.large_answers_.Take(rig_.remote_.name());
    const auto response = GetStateIds(room.room_id, topic);
    EXPECT_EQ(response.status, 503);
    EXPECT_TRUE(http::FindHeader(response.headers, "Retry-After"));
    EXPECT_EQ(GetAuth(room.room_id, topic).status, 503);
    EXPECT_EQ(GetEvent(topic).status, 200);
  }
  {
    const auto held = GetStateIds(room.room_id, topic);
    EXPECT_EQ(held.status, 200);
    EXPECT_NE(held.held_until_sent, nullptr) << "counts until it has been sent";
  }
  EXPECT_EQ(GetStateIds(room.room_id, topic).status, 200);
}

TEST_F(PeerReads, WhatTheStoreCannotTellIsTold) {
  const CreatedRoom room = RoomWithAnn();
  const std::string topic = Topic(room, "first");
  rig_.store_.on_state_ids = [](const auto&) { return matrix::Refuse(Reason::kAnswerTooLarge, "more"); };
  EXPECT_EQ(GetStateIds(room.room_id, topic).status, 413);
  rig_.store_.on_state_ids = [](const auto&) { return matrix::Refuse(Reason::kStateUnresolved, "no"); };
  EXPECT_EQ(GetStateIds(room.room_id, topic).status, 503);
  rig_.store_.on_auth_chain = [](const auto&) { return matrix::Refuse(Reason::kStoreDown, "down"); };
  EXPECT_EQ(GetAuth(room.room_id, topic).status, 503);
}

TEST_F(PeerReads, WhoIsNotAuthenticIsRefusedFirst) {
  http::Request request = rig_.remote_.Request("GET", std::string(kFederation) + "event/%24x", nullptr);
  request.headers.clear();
  EXPECT_EQ(rig_.Send(request).status, 401);
}

}  // namespace
}  // namespace postern::gateway
