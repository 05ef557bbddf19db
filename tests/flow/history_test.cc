// A history that real processes wrote, judged again by `posternctl replay`: the same validator finds no difference, and
// what the recording says otherwise is found. Then `posternctl explain` on the same stack, which writes nothing.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <deque>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <vector>

#include "matrix/canonical_json.h"
#include "matrix/event_id.h"
#include "tests/flow/handshake.h"
#include "tests/flow/leave_rows.h"
#include "tests/posternctl/program.h"

namespace postern::flow {
namespace {

using posternctl::Ended;
using posternctl::Member;
using posternctl::Number;
using posternctl::Text;
using testing::HasSubstr;

class History : public testing::Test {
 protected:
  static void SetUpTestSuite() { scene_ = std::make_unique<Scene>(); }
  static void TearDownTestSuite() { scene_.reset(); }

  /// The leaves of every family that are stored or refused, among them one that is altered on its way.
  void Write() {
    for (const char* version : kFamilies) {
      const matrix::RoomRules& rules = *matrix::FindRoomRules(version);
      for (const LeaveRow& row : MembershipRows()) {
        if (row.written == Written::kNothing || !row.applies(rules)) continue;
        LeaveAttempt& attempt = attempts_.emplace_back(*scene_, scene_->remote, rules, row.membership);
        row.alter(attempt);
        EXPECT_EQ(attempt.Send().status, row.status) << row.name;
      }
      LeaveAttempt& altered = attempts_.emplace_back(*scene_, scene_->remote, rules);
      altered.CompleteNow();
      altered.event.Find("content")->AsObject()->Set("reason", "added on the way");
      EXPECT_EQ(altered.Send().status, 200);
    }
  }

  /// Users of every family who join, by whom is vouched for, who knock, and whose server sends what they say and a
  /// leave: of that some is good, some soft-failed and some refused.
  void WriteWhatComersDo() {
    for (const char* version : kFamilies) {
      const matrix::RoomRules& rules = *matrix::FindRoomRules(version);
      const SeededRoom room = scene_->room_operator.Seed(version, scene_->remote.name(), "join", 3);
      Comes("make_join", "v2/send_join", room.room_id, scene_->remote.User("joins"), rules);
      if (rules.restricted_joins) {
        const NewRoom restricted = scene_->room_operator.CreateRoom(version);
        scene_->room_operator.SetState(
            restricted.room_id, "m.room.join_rules",
            fmt::format(R"({{"join_rule":"restricted","allow":[{{"type":"m.room_membership","room_id":"{}"}}]}})",
                        room.room_id));
        Comes("make_join", "v2/send_join", restricted.room_id, room.users[0], rules);
      }
      Sends(room, rules);
      if (!rules.knocking) continue;
      scene_->room_operator.SetState(room.room_id, "m.room.join_rules", R"({"join_rule":"knock"})");
      Comes("make_knock", "v1/send_knock", room.room_id, scene_->remote.User("knocks"), rules);
    }
  }
  void Comes(std::string_view make, std::string_view send, const std::string& room_id, const std::string& user,
             const matrix::RoomRules& rules) {
    const PlayedHomeserver& remote = scene_->remote;
    const auto event = remote.Complete(DraftOf(remote.Send(MakeRequest(remote, make, room_id, user, rules))), rules);
    const auto response = remote.Send(SendRequest(remote, send, room_id, event, rules));
    EXPECT_EQ(response.status, 200) << response.body;
    ++came_;
  }
  /// A message and a leave; then a message on the tip before that leave, which the state now does not let in; and a
  /// topic, which no state lets in.
  void Sends(const SeededRoom& room, const matrix::RoomRules& rules) {
    const PlayedHomeserver& remote = scene_->remote;
    const auto draft = remote.Template(room.room_id, room.users[1]);
    const auto message = remote.Complete(MessageFrom(draft, "hello"), rules);
    const auto leave = remote.Complete(Following(message, draft, rules), rules);
    const auto late = remote.Complete(Following(message, MessageFrom(draft, "too late"), rules), rules);
    auto topic = MessageFrom(remote.Template(room.room_id, room.users[2]), "ours");
    topic.Set("type", "m.room.topic");
    topic.Set("state_key", "");
    const auto refused = remote.Complete(topic, rules);
    const auto response =
        remote.Send(TransactionRequest(remote, "of-" + std::string(rules.version), {message, leave, late, refused}));
    const auto results = *ObjectOf(response.body).Find("pdus")->AsObject();
    const auto result = [&](const matrix::JsonObject& event) {
      return results.Find(matrix::ComputeEventId(event, rules))->AsObject();
    };
    for (const auto& event : {message, leave, late}) EXPECT_TRUE(result(event)->empty()) << response.body;
    EXPECT_FALSE(result(refused)->empty()) << response.body;
    came_ += 4;
  }

  static Ended Ctl(std::vector<std::string> arguments) {
    return posternctl::RunPosternctl(arguments, {"POSTERN_STORE=" + scene_->stack.store().grpc,
                                                 "POSTERN_VALIDATOR=" + scene_->stack.validator().grpc,
                                                 "POSTERN_GATEWAY=" + scene_->stack.gateway().grpc});
  }
  static matrix::Json Replay(int status) {
    const Ended ended = Ctl({"--json", "replay", "--since", "0"});
    EXPECT_EQ(ended.status, status) << ended.errors << ended.output;
    return ended.json();
  }

  static std::unique_ptr<Scene> scene_;
  std::deque<LeaveAttempt> attempts_;
  std::int64_t came_ = 0;
};
std::unique_ptr<Scene> History::scene_;

// First, for the next leaves a recording behind that is not as it was.
TEST_F(History, OfWhoComesAndOfWhatOtherServersSendIsJudgedAgainAsItWasRecorded) {
  WriteWhatComersDo();
  const matrix::Json same = Replay(0);
  EXPECT_EQ(Number(same, "differing"), 0);
  EXPECT_EQ(Number(same, "not_recorded"), 0);
  EXPECT_GE(Number(same, "judged"), came_);
  std::cout << Number(same, "judged") << " decisions judged again, " << came_
            << " of them of joins, knocks and transactions\n";
}

TEST_F(History, IsJudgedAgainAsItWasRecorded) {
  Write();
  const matrix::Json same = Replay(0);
  EXPECT_EQ(Number(same, "differing"), 0);
  EXPECT_EQ(Number(same, "not_recorded"), 0);
  // Each leave, those that took a resolution too, and the invite or whatever else of ours came before it.
  EXPECT_GE(Number(same, "judged"), static_cast<std::int64_t>(attempts_.size()));

  // The recording says of one that it was soft-failed: the verdict begins with its outcome.
  const std::string altered = attempts_.front().EventId();
  scene_->database.Execute(fmt::format(
      "update events set verdict = set_byte(verdict, 1, 2) where event_id = convert_to('{}', 'UTF8')", altered));
  const matrix::Json other = Replay(1);
  ASSERT_EQ(Number(other, "differing"), 1);
  const matrix::Json& found = Member(other, "differences").AsArray()->front();
  EXPECT_EQ(Text(found, "event_id"), altered);
  const matrix::Json& difference = Member(found, "differences").AsArray()->front();
  EXPECT_EQ(Text(difference, "recorded"), "soft_failed");
  EXPECT_EQ(Text(difference, "now"), "accepted");
  scene_->database.Execute(fmt::format(
      "update events set verdict = set_byte(verdict, 1, 1) where event_id = convert_to('{}', 'UTF8')", altered));
  Replay(0);

  // And of another, that the state it was judged on had no invite: steps 5 and 6 fail on that.
  LeaveAttempt invited(*scene_, scene_->remote, *matrix::FindRoomRules("10"));
  ASSERT_EQ(invited.Send().status, 200);
  scene_->database.Execute(fmt::format(
      "update state_entries set state_key = '@gone' where event_id = convert_to('{}', 'UTF8')", invited.invite));
  const Ended people = Ctl({"replay", "--since", "0", "--room", invited.room_id});
  EXPECT_EQ(people.status, 1) << people.errors;
  EXPECT_THAT(people.output, HasSubstr("step 5 (state before)"));
  EXPECT_THAT(people.output, HasSubstr(invited.EventId()));
}

TEST_F(History, ExplainsALeaveBeforeAndAfterItIsSentWritingNothing) {
  for (const char* version : kFamilies) {
    SCOPED_TRACE(version);
    LeaveAttempt attempt(*scene_, scene_->remote, *matrix::FindRoomRules(version));
    attempt.Build();
    const std::filesystem::path file =
        std::filesystem::temp_directory_path() / fmt::format("postern-explain-{}-v{}.json", getpid(), version);
    std::ofstream(file, std::ios::binary) << matrix::CanonicalJson(attempt.sent);
    const RoomRows before = scene_->database.RowsOfRoom(attempt.room_id);
    // The keys of a server that this one has not met yet are had by the gateway.
    const Ended dry = Ctl({"--json", "explain", file.string()});
    EXPECT_EQ(dry.status, 0) << dry.errors;
    EXPECT_EQ(Text(dry.json(), "outcome"), "accepted") << dry.output;
    EXPECT_EQ(scene_->database.RowsOfRoom(attempt.room_id), before);
    std::filesystem::remove(file);

    ASSERT_EQ(attempt.Send().status, 200);
    const Ended stored = Ctl({"--json", "explain", attempt.EventId(), "--room", attempt.room_id});
    EXPECT_EQ(stored.status, 0) << stored.errors;
    const matrix::Json explained = stored.json();
    EXPECT_EQ(Text(explained, "outcome"), "accepted");
    EXPECT_EQ(Member(explained, "state").AsArray()->size(), 3U) << stored.output;
  }
}

}  // namespace
}  // namespace postern::flow
