// The DOT text of a small graph, held against the one that was looked at when it was written: tests/posternctl/golden.
// After a change that is meant, look at the picture and write it anew: POSTERN_WRITE_GOLDEN=1.
#include "posternctl/graph_drawing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

namespace postern::posternctl {
namespace {

using store::v1::NeighbourEvent;
using testing::HasSubstr;
using testing::Not;

struct Sketch {
  const char* id;
  const char* type;
  const char* state_key;
  const char* sender;
  const char* membership;
  int depth;
  matrix::v1::Outcome outcome;
  std::vector<const char*> prev;
  std::vector<const char*> auth;
  bool extremity = false;
};

GraphPicture PictureOf(const std::vector<Sketch>& sketches, std::set<std::string> in_question) {
  GraphPicture picture;
  picture.room_id = "!hall:here.example";
  picture.room_version = "10";
  picture.in_question = std::move(in_question);
  for (const Sketch& sketch : sketches) {
    NeighbourEvent& event = *picture.neighbourhood.add_events();
    event.set_event_id(sketch.id);
    event.set_type(sketch.type);
    if (sketch.state_key != nullptr) event.set_state_key(sketch.state_key);
    event.set_sender(sketch.sender);
    event.set_membership(sketch.membership);
    event.set_depth(sketch.depth);
    event.set_outcome(sketch.outcome);
    event.set_extremity(sketch.extremity);
    for (const char* id : sketch.prev) event.add_prev_events(id);
    for (const char* id : sketch.auth) event.add_auth_events(id);
  }
  return picture;
}

/// A fork: Ann's leave was refused, Bob's stands beside a topic, Cat's soft-failed; the last event cites both tips.
GraphPicture Fork() {
  using matrix::v1::OUTCOME_ACCEPTED;
  using matrix::v1::OUTCOME_REJECTED;
  using matrix::v1::OUTCOME_SOFT_FAILED;
  const char* boss = "@boss:here.example";
  return PictureOf(
      {{"$create00000000000000000000", "m.room.create", "", boss, "", 1, OUTCOME_ACCEPTED, {}, {}},
       {"$levels00000000000000000000", "m.room.power_levels", "", boss, "", 3, OUTCOME_ACCEPTED, {"$gone"}, {}},
       {"$bob-joins", "m.room.member", "@bob:there.example", "@bob:there.example", "join", 8, OUTCOME_ACCEPTED, {}, {}},
       {"$before", "m.room.message", nullptr, boss, "", 9, OUTCOME_ACCEPTED, {}, {}},
       {"$topic", "m.room.topic", "", boss, "", 10, OUTCOME_ACCEPTED, {"$before"}, {}},
       {"$bob-leaves",
        "m.room.member",
        "@bob:there.example",
        "@bob:there.example",
        "leave",
        10,
        OUTCOME_ACCEPTED,
        {"$before"},
        {"$create00000000000000000000", "$levels00000000000000000000", "$bob-joins", "$never-had"}},
       {"$ann-leaves",
        "m.room.member",
        "@ann:there.example",
        "@ann:there.example",
        "leave",
        10,
        OUTCOME_REJECTED,
        {"$before"},
        {}},
       {"$cat-leaves",
        "m.room.member",
        "@cat:third.example",
        "@cat:third.example",
        "leave",
        10,
        OUTCOME_SOFT_FAILED,
        {"$before"},
        {}},
       {"$kick",
        "m.room.member",
        "@mal:bad.example",
        boss,
        "leave",
        11,
        OUTCOME_ACCEPTED,
        {"$topic", "$bob-leaves"},
        {},
        true}},
      {"$bob-leaves"});
}

TEST(GraphDrawing, IsTheOneThatWasLookedAt) {
  const std::string drawn = DrawGraph(Fork());
  const std::string path = POSTERN_GOLDEN "/fork.dot";
  if (std::getenv("POSTERN_WRITE_GOLDEN") != nullptr) std::ofstream(path, std::ios::binary) << drawn;
  std::ifstream file(path, std::ios::binary);
  EXPECT_EQ(drawn, std::string(std::istreambuf_iterator<char>(file), {}));
}

TEST(GraphDrawing, LetsNoStrangerWriteIntoThePicture) {
  GraphPicture picture = PictureOf(
      {{"$\"]; evil [\"", "m.room.x>\"", "<b>&\\", "@a\n:\"x\"", "", 1, matrix::v1::OUTCOME_ACCEPTED, {}, {}}}, {});
  picture.room_id = "!\"}{<\\";
  const std::string drawn = DrawGraph(picture);
  EXPECT_THAT(drawn, HasSubstr("tooltip=\"$&quot;]; evil [&quot;\""));
  EXPECT_THAT(drawn, HasSubstr("&lt;b&gt;&amp;&#92;"));
  EXPECT_THAT(drawn, HasSubstr("digraph \"!&quot;}{&lt;&#92;\""));
  EXPECT_THAT(drawn, Not(HasSubstr("evil [\"")));
}

TEST(GraphDrawing, SaysThatThereIsMore) {
  GraphPicture picture = Fork();
  EXPECT_THAT(DrawGraph(picture), Not(HasSubstr("more than is drawn")));
  picture.neighbourhood.set_truncated(true);
  EXPECT_THAT(DrawGraph(picture), HasSubstr("more than is drawn"));
}

TEST(GraphDrawing, MarksWhatIsInNoStore) {
  GraphPicture picture = Fork();
  picture.judged_only = "$bob-leaves";
  EXPECT_THAT(DrawGraph(picture), HasSubstr("not stored"));
}

}  // namespace
}  // namespace postern::posternctl
