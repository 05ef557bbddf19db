// The audit that crash tests rely on sees each kind of thing that is only half there.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "matrix/event_id.h"
#include "tests/flow/handshake.h"
#include "tests/flow/leave_attempt.h"
#include "tests/flow/must.h"

namespace postern::flow {
namespace {

/// What is done to a whole leave, and how the audit's line begins. In `sql`, $1 and $2 are the room and the event.
struct Damage {
  std::string name;
  std::string sql;
  std::string line;
};
void PrintTo(const Damage& damage, std::ostream* out) { *out << damage.name; }

class HalfWritten : public testing::TestWithParam<Damage> {
 protected:
  static void SetUpTestSuite() { scene_ = std::make_unique<Scene>(); }
  static void TearDownTestSuite() { scene_.reset(); }

  static std::unique_ptr<Scene> scene_;
};
std::unique_ptr<Scene> HalfWritten::scene_;

std::string Filled(std::string sql, const LeaveAttempt& attempt) {
  for (const auto& [place, value] : {std::pair{"$1", attempt.room_id}, std::pair{"$2", attempt.EventId()}}) {
    // Goes on behind what was put in: an event's id may itself begin with "$1" or "$2".
    const std::string quoted = "'" + value + "'";
    for (auto at = sql.find(place); at != std::string::npos; at = sql.find(place, at + quoted.size())) {
      sql.replace(at, 2, quoted);
    }
  }
  return sql;
}

TEST_P(HalfWritten, IsSeen) {
  LeaveAttempt attempt(*scene_, scene_->remote, *matrix::FindRoomRules("10"));
  ASSERT_EQ(attempt.Send().status, 200);
  const auto before = scene_->database.HalfWritten();
  scene_->database.Execute(Filled(GetParam().sql, attempt));
  std::vector<std::string> lines = scene_->database.HalfWritten();
  for (const std::string& line : before) std::erase(lines, line);
  EXPECT_TRUE(std::ranges::any_of(lines, [](const auto& line) { return line.starts_with(GetParam().line); }))
      << testing::PrintToString(lines);
}

TEST(WhatItsOriginTellsOf, IsWholeWithoutAnOutboxRow) {
  Scene scene;
  const SeededRoom room = scene.room_operator.Seed("10", scene.remote.name(), "join", 1);
  const matrix::RoomRules& rules = *matrix::FindRoomRules("10");
  const auto message =
      scene.remote.Complete(MessageFrom(scene.remote.Template(room.room_id, room.users.front()), "hello"), rules);
  ASSERT_EQ(scene.remote.Send(TransactionRequest(scene.remote, "one", {message})).status, 200);
  const LeaveRows rows =
      scene.database.RowsOfLeave(room.room_id, matrix::ComputeEventId(message, rules), room.users.front());
  EXPECT_EQ(rows.events, 1);
  EXPECT_EQ(rows.outbox, 0);
  EXPECT_EQ(scene.database.HalfWritten(), std::vector<std::string>());
}

INSTANTIATE_TEST_SUITE_P(
    Damages, HalfWritten,
    testing::ValuesIn(std::vector<Damage>{
        {"NoEvent", "delete from events where room_id = $1 and event_id = $2", "an id without its event"},
        {"NoId", "delete from event_ids where room_id = $1 and event_id = $2", "an event without its id"},
        {"NoOutboxRow", "delete from outbox where room_id = $1 and event_id = $2", "an event without its outbox row"},
        {"NoMembership", "delete from memberships where room_id = $1 and event_id = $2",
         "a state event that is not in the state"},
        {"AnotherMembership", "update memberships set membership = 'join' where room_id = $1 and event_id = $2",
         "a membership that its event does not say"},
        {"NoEntryOfTheState", "delete from current_state where room_id = $1 and type = 'm.room.join_rules'",
         "a state event that is not in the state"},
        {"NoExtremity", "update rooms set extremities = '{}' where room_id = $1", "a tip that is no extremity"},
        {"AnotherCount", "update rooms set stream_ordering = stream_ordering + 1 where room_id = $1",
         "a room that counts other events"},
    }),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace postern::flow
