// A whole transaction of another server to real processes: forty good PDUs and ten that are bad in ten ways; again, at
// another gateway; and what that server may read of the room (pitfalls D01, J05, S04).
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "matrix/event_id.h"
#include "posternctl/peer/remote_server.h"
#include "tests/flow/handshake.h"
#include "tests/flow/leave_attempt.h"
#include "tests/flow/must.h"

namespace postern::flow {
namespace {

using matrix::Json;
using matrix::JsonArray;
using matrix::JsonObject;
using testing::ElementsAre;
using testing::SizeIs;

constexpr std::string_view kFederation = "/_matrix/federation/v1/";
constexpr int kGood = 40;

class Transactions : public testing::Test {
 protected:
  static void SetUpTestSuite() { scene_ = std::make_unique<Scene>(StackOptions{.gateways = 2}); }
  static void TearDownTestSuite() { scene_.reset(); }

  Transactions() : seeded_(scene_->room_operator.Seed("10", scene_->remote.name(), "join", 3)) {
    template_ = scene_->remote.Template(seeded_.room_id, seeded_.users[0]);
  }

  /// A message on the room's tip, not completed.
  JsonObject Draft() { return MessageFrom(template_, std::to_string(++messages_)); }
  /// Messages one after the other: beside each other they would be gathered by events of the stack's own.
  std::vector<JsonObject> Chain(int messages, std::size_t size = 1) {
    std::vector<JsonObject> chain;
    for (int i = 0; i < messages; ++i) {
      JsonObject event = MessageFrom(template_, std::to_string(i) + std::string(size, 'x'));
      if (!chain.empty()) event = Following(chain.back(), std::move(event), rules_);
      chain.push_back(Complete(std::move(event)));
    }
    return chain;
  }
  JsonObject Complete(JsonObject event) const { return scene_->remote.Complete(std::move(event), rules_); }
  std::string IdOf(const JsonObject& event) const { return matrix::ComputeEventId(event, rules_); }

  /// Bad in ten ways, each with an id.
  std::vector<JsonObject> TenBadOnes() {
    std::vector<JsonObject> bad;
    const auto completed = [&](auto change) {
      JsonObject event = Draft();
      change(event);
      bad.push_back(Complete(std::move(event)));
    };
    const auto spoilt = [&](auto change) {
      bad.push_back(Complete(Draft()));
      change(bad.back());
    };
    completed([](auto& event) { event.Set("room_id", "!none:there.example"); });
    completed([](auto& event) { event.Erase("room_id"); });
    completed([](auto& event) { event.Set("depth", "7"); });
    completed([](auto& event) { event.Set("more", std::string(70'000, 'x')); });
    completed([](auto& event) { event.Set("auth_events", JsonArray{"$unknown"}); });
    completed([](auto& event) { event.Set("prev_events", JsonArray{"$unknown"}); });
    completed([](auto& event) {
      event.Set("type", "m.room.topic");
      event.Set("state_key", "");
    });
    completed([](auto& event) { event.Set("sender", "@nobody:" + scene_->remote.name()); });
    spoilt([](auto& event) { event.Set("origin_server_ts", 7); });
    spoilt([](auto& event) { event.Set("signatures", JsonObject()); });
    return bad;
  }

  http::Request Transaction(const std::string& id, const JsonArray& pdus) const {
    return TransactionRequest(scene_->remote, id, pdus);
  }
  static http::Response SendTo(std::size_t gateway, const http::Request& request) {
    return scene_->remote.Send(request, scene_->stack.gateway(gateway).federation);
  }
  static JsonObject ResultsIn(const http::Response& response) {
    Must("a 200: " + response.body, response.status == 200);
    return *ObjectOf(response.body).Find("pdus")->AsObject();
  }
  http::Response Get(const std::string& target, const PlayedHomeserver& asker) const {
    return asker.Send(asker.Request("GET", std::string(kFederation) + target, nullptr));
  }
  std::string Room() const { return http::PercentEncode(seeded_.room_id); }
  std::vector<std::string> IdsIn(const http::Response& response, std::string_view member) const {
    std::vector<std::string> ids;
    EXPECT_EQ(response.status, 200) << response.body;
    if (response.status != 200) return ids;
    const JsonObject answer = ObjectOf(response.body);
    for (const Json& event : *answer.Find(member)->AsArray()) ids.push_back(IdOf(*event.AsObject()));
    return ids;
  }

  static std::unique_ptr<Scene> scene_;
  const matrix::RoomRules& rules_ = *matrix::FindRoomRules("10");
  const SeededRoom seeded_;
  JsonObject template_;
  int messages_ = 0;
};
std::unique_ptr<Scene> Transactions::scene_;

TEST_F(Transactions, D01_FortyOfFiftyAreStoredAndARepeatAtAnotherGatewayChangesNothing) {
  const std::vector<JsonObject> bad = TenBadOnes();
  ASSERT_THAT(bad, SizeIs(50 - kGood));
  JsonArray pdus;
  std::vector<std::string> good;
  for (const JsonObject& message : Chain(kGood)) {
    if (good.size() % 4 == 0) pdus.emplace_back(bad[good.size() / 4]);
    good.push_back(IdOf(message));
    pdus.emplace_back(message);
  }
  ASSERT_THAT(pdus, SizeIs(50));
  const std::int64_t before = scene_->database.EventsOfRoom(seeded_.room_id);
  const http::Request transaction = Transaction("fifty", pdus);
  const http::Response first = SendTo(0, transaction);
  const JsonObject results = ResultsIn(first);
  EXPECT_THAT(results, SizeIs(50));
  for (const std::string& id : good) {
    const Json* result = results.Find(id);
    ASSERT_NE(result, nullptr) << id;
    EXPECT_TRUE(result->AsObject()->empty()) << first.body;
  }
  for (const JsonObject& event : bad) {
    const Json* result = results.Find(IdOf(event));
    ASSERT_NE(result, nullptr) << IdOf(event);
    EXPECT_TRUE(result->AsObject()->Contains("error")) << first.body;
  }
  EXPECT_EQ(scene_->database.EventsOfRoom(seeded_.room_id), before + kGood);
  const RoomRows rows = scene_->database.RowsOfRoom(seeded_.room_id);

  const http::Response again = SendTo(1, transaction);
  EXPECT_EQ(again.status, 200);
  EXPECT_EQ(again.body, first.body);
  EXPECT_EQ(scene_->database.RowsOfRoom(seeded_.room_id), rows);
  const LeaveRows one = scene_->database.RowsOfLeave(seeded_.room_id, good.front(), seeded_.users[0]);
  EXPECT_EQ(one.events, 1);
  EXPECT_EQ(one.outbox, 0) << "its origin tells the others";
}

TEST_F(Transactions, D01_TheSameAtBothGatewaysAtOnceIsStoredOnce) {
  const std::vector<JsonObject> messages = Chain(kGood);
  const JsonArray pdus(messages.begin(), messages.end());
  const std::int64_t before = scene_->database.EventsOfRoom(seeded_.room_id);
  const http::Request transaction = Transaction("at-once", pdus);
  std::vector<http::Response> answers(2);
  std::thread other([&] { answers[1] = SendTo(1, transaction); });
  answers[0] = SendTo(0, transaction);
  other.join();
  EXPECT_EQ(answers[0].body, answers[1].body);
  EXPECT_THAT(ResultsIn(answers[0]), SizeIs(kGood));
  for (const auto& [id, result] : ResultsIn(answers[1])) EXPECT_TRUE(result.AsObject()->empty()) << id;
  EXPECT_EQ(scene_->database.EventsOfRoom(seeded_.room_id), before + kGood);
}

TEST_F(Transactions, ABodyOfMegabytesIsTaken) {
  const std::vector<JsonObject> messages = Chain(50, 60'000);
  const JsonArray pdus(messages.begin(), messages.end());
  const http::Request transaction = Transaction("large", pdus);
  ASSERT_GT(transaction.body.size(), 3'000'000U);
  for (const auto& [id, result] : ResultsIn(SendTo(0, transaction))) EXPECT_TRUE(result.AsObject()->empty()) << id;
}

TEST_F(Transactions, WhatWasSentIsReadByOthersOfTheRoomAlone) {
  const std::vector<JsonObject> messages = Chain(2);
  const JsonObject &first = messages[0], &second = messages[1];
  ResultsIn(SendTo(0, Transaction("two", {first, second})));
  const std::string id = http::PercentEncode(IdOf(second));
  const std::string state = fmt::format("state/{}?event_id={}", Room(), id);
  const std::string backfill = fmt::format("backfill/{}?v={}&limit=2", Room(), id);
  const PlayedHomeserver& remote = scene_->remote;
  EXPECT_THAT(IdsIn(Get(backfill, remote), "pdus"), ElementsAre(IdOf(second), IdOf(first)));
  EXPECT_THAT(IdsIn(Get(state, remote), "pdus").size(), testing::Ge(6U));
  EXPECT_THAT(IdsIn(Get(state, remote), "auth_chain").size(), testing::Ge(3U));
  const PlayedHomeserver stranger(scene_->stack);
  ExpectRefused(Get(backfill, stranger), 403, "M_FORBIDDEN");
  ExpectRefused(Get(state, stranger), 403, "M_FORBIDDEN");
}

}  // namespace
}  // namespace postern::flow
