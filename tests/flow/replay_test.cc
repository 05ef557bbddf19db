// One signed leave, join, knock or transaction, many times at once, at two gateways: every answer is 200 and the same,
// it is in the room once, and other servers are told of it once, or, by a transaction, not at all.
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <iterator>
#include <latch>
#include <memory>
#include <vector>

#include "absl/time/clock.h"
#include "matrix/event_id.h"
#include "tests/flow/handshake.h"
#include "tests/flow/leave_attempt.h"
#include "tests/flow/must.h"
#include "tests/flow/played_destination.h"

namespace postern::flow {
namespace {

using matrix::Json;
using matrix::JsonObject;

constexpr std::size_t kCopies = 50;
constexpr absl::Duration kPatience = absl::Seconds(60);
constexpr absl::Duration kPoll = absl::Milliseconds(20);
constexpr int kUnderWay = 503;

class Replay : public testing::TestWithParam<const char*> {
 protected:
  static void SetUpTestSuite() {
    scene_ = std::make_unique<Scene>(StackOptions{.gateways = 2});
    other_ = std::make_unique<PlayedDestination>();
    other_->Listen();
  }
  static void TearDownTestSuite() {
    scene_.reset();
    other_.reset();
  }

  /// A transaction that is under way at a gateway is answered 503 there until it is done.
  static http::Response SendUntilDone(const http::Request& request, const std::string& gateway) {
    const absl::Time deadline = absl::Now() + kPatience;
    while (true) {
      http::Response response = scene_->remote.Send(request, gateway);
      if (response.status != kUnderWay || absl::Now() > deadline) return response;
      absl::SleepFor(kPoll);
    }
  }
  /// Many times at once, at both gateways by turns; what all of them were answered, and once more afterwards.
  static std::string TheAnswerToAll(const http::Request& request) {
    std::latch all_are_there(kCopies);
    std::vector<std::future<http::Response>> answers;
    const auto& gateways = scene_->stack.gateways();
    for (std::size_t copy = 0; copy < kCopies; ++copy) {
      answers.push_back(std::async(std::launch::async, [&, copy] {
        all_are_there.arrive_and_wait();
        return SendUntilDone(request, gateways[copy % gateways.size()].federation);
      }));
    }
    const std::string later = SendUntilDone(request, gateways.front().federation).body;
    for (auto& answer : answers) {
      const http::Response response = answer.get();
      EXPECT_EQ(response.status, 200) << response.body;
      EXPECT_EQ(response.body, later);
    }
    EXPECT_EQ(SendUntilDone(request, gateways.back().federation).body, later);
    return later;
  }

  std::string IdOf(const JsonObject& event) const { return matrix::ComputeEventId(event, rules_); }
  JsonObject Template(std::string_view make, const std::string& room_id, const std::string& user) const {
    return DraftOf(scene_->remote.Send(MakeRequest(scene_->remote, make, room_id, user, rules_)));
  }
  void ExpectStoredOnce(const std::string& room_id, const JsonObject& event, std::string_view membership,
                        std::int64_t outbox) const {
    const LeaveRows rows = scene_->database.RowsOfLeave(room_id, IdOf(event), *event.Find("sender")->AsString());
    EXPECT_EQ(rows.events, 1);
    EXPECT_EQ(rows.event_ids, 1);
    EXPECT_EQ(rows.outbox, outbox);
    EXPECT_EQ(rows.refusals, 0);
    EXPECT_EQ(rows.membership, membership);
    EXPECT_EQ(scene_->database.HalfWritten(), std::vector<std::string>());
  }
  /// How often the other server of the room is told of an event, until it has been told of what was stored after it.
  int TimesTold(const std::string& room_id, const JsonObject& event) const {
    scene_->room_operator.SetState(room_id, "m.room.topic", R"({"called":"the end"})");
    other_->AwaitFirstTold(
        [&](const JsonObject& pdu) {
          const Json* called = pdu.Find("content")->AsObject()->Find("called");
          const bool here = called != nullptr && pdu.Find("room_id") && *pdu.Find("room_id")->AsString() == room_id;
          return here ? "the end" : "";
        },
        1);
    int times = 0;
    for (const ToldTransaction& told : other_->told()) {
      for (const Json& pdu : told.pdus()) times += IdOf(*pdu.AsObject()) == IdOf(event) ? 1 : 0;
    }
    return times;
  }

  static std::unique_ptr<Scene> scene_;
  /// A user of which is in each room.
  static std::unique_ptr<PlayedDestination> other_;
  const matrix::RoomRules& rules_ = *matrix::FindRoomRules(GetParam());
};
std::unique_ptr<Scene> Replay::scene_;
std::unique_ptr<PlayedDestination> Replay::other_;

TEST_P(Replay, OfALeaveIsAcceptedEachTimeAndWrittenOnce) {
  LeaveAttempt attempt(*scene_, scene_->remote, rules_);
  EXPECT_EQ(TheAnswerToAll(attempt.Build()), "{}");
  ExpectStored(attempt);
  EXPECT_TRUE(scene_->database.HalfWritten().empty());
}

TEST_P(Replay, OfAJoinIsAcceptedEachTimeWrittenOnceAndToldOnce) {
  const SeededRoom room =
      scene_->room_operator.Seed(rules_.version, scene_->remote.name(), "join", 2, {other_->name()});
  const JsonObject join =
      scene_->remote.Complete(Template("make_join", room.room_id, scene_->remote.User("new")), rules_);
  const JsonObject answer =
      ObjectOf(TheAnswerToAll(SendRequest(scene_->remote, "v2/send_join", room.room_id, join, rules_)));
  EXPECT_EQ(IdOf(*answer.Find("event")->AsObject()), IdOf(join));
  ExpectStoredOnce(room.room_id, join, "join", 1);
  EXPECT_EQ(TimesTold(room.room_id, join), 1);
}

/// Of the versions that know knocks.
class ReplayOfKnocks : public Replay {};

std::vector<const char*> FamiliesWithKnocks() {
  std::vector<const char*> families;
  std::ranges::copy_if(kFamilies, std::back_inserter(families),
                       [](const char* version) { return matrix::FindRoomRules(version)->knocking; });
  return families;
}

TEST_P(ReplayOfKnocks, IsAcceptedEachTimeWrittenOnceAndToldOnce) {
  const SeededRoom room =
      scene_->room_operator.Seed(rules_.version, scene_->remote.name(), "join", 2, {other_->name()});
  scene_->room_operator.SetState(room.room_id, "m.room.join_rules", R"({"join_rule":"knock"})");
  const JsonObject knock =
      scene_->remote.Complete(Template("make_knock", room.room_id, scene_->remote.User("new")), rules_);
  TheAnswerToAll(SendRequest(scene_->remote, "v1/send_knock", room.room_id, knock, rules_));
  ExpectStoredOnce(room.room_id, knock, "knock", 1);
  EXPECT_EQ(TimesTold(room.room_id, knock), 1);
}

TEST_P(Replay, OfATransactionIsAnsweredTheSameEachTimeWrittenOnceAndToldByItsOriginAlone) {
  const SeededRoom room =
      scene_->room_operator.Seed(rules_.version, scene_->remote.name(), "join", 2, {other_->name()});
  const JsonObject draft = Template("make_leave", room.room_id, room.users.front());
  const JsonObject message = scene_->remote.Complete(MessageFrom(draft, "last words"), rules_);
  const JsonObject leave = scene_->remote.Complete(Following(message, draft, rules_), rules_);
  const std::string id = "many-" + std::string(rules_.version);
  const JsonObject answer = ObjectOf(TheAnswerToAll(TransactionRequest(scene_->remote, id, {message, leave})));
  for (const auto& [event_id, result] : *answer.Find("pdus")->AsObject()) {
    EXPECT_TRUE(result.AsObject()->empty()) << event_id;
  }
  ExpectStoredOnce(room.room_id, message, "leave", 0);
  ExpectStoredOnce(room.room_id, leave, "leave", 0);
  EXPECT_EQ(TimesTold(room.room_id, leave), 0);
}

std::string NameOf(const testing::TestParamInfo<const char*>& test) { return "V" + std::string(test.param); }

INSTANTIATE_TEST_SUITE_P(Families, Replay, testing::ValuesIn(kFamilies), NameOf);
INSTANTIATE_TEST_SUITE_P(Families, ReplayOfKnocks, testing::ValuesIn(FamiliesWithKnocks()), NameOf);

}  // namespace
}  // namespace postern::flow
