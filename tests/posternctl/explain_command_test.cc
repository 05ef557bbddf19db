// posternctl explain, as a process: of a stored event what was recorded, of a file what would be; never a thing
// written.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "matrix/canonical_json.h"
#include "tests/posternctl/explain_rig.h"

namespace postern::posternctl {
namespace {

using matrix::Event;
using support::RoomBuilder;
using support::TestRoom;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr char kAnn[] = "@ann:b.example";

/// One member of every element.
std::vector<std::string> Column(const matrix::Json& array, const char* name) {
  std::vector<std::string> column;
  for (const matrix::Json& element : *array.AsArray()) column.push_back(Text(element, name));
  return column;
}

class Explain : public testing::Test {
 protected:
  Explain()
      : directory_(std::filesystem::temp_directory_path() /
                   fmt::format("posternctl-explain-{}-{}", getpid(),
                               testing::UnitTest::GetInstance()->current_test_info()->name())) {
    std::filesystem::create_directory(directory_);
    rig_.Create(room_);
  }
  ~Explain() override { std::filesystem::remove_all(directory_); }

  std::string File(const std::string& name, const std::string& text) const {
    std::ofstream(directory_ / name, std::ios::binary) << text;
    return directory_ / name;
  }
  std::string FileOf(const Event& event) const { return File("event.json", TestRoom::Text(event)); }
  static std::string Whole(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  const std::filesystem::path directory_;
  ExplainRig rig_;
  TestRoom room_ = RoomBuilder("10").Member(kAnn, "invite").Member("@bob:c.example", "join").Build();
};

TEST_F(Explain, SaysOfAStoredEventWhatItWasJudgedOn) {
  const Event leave = room_.Leave(kAnn);
  rig_.Decide(room_, leave);
  rig_.Mint(room_.Member(kAnn, "ban", room_.creator()));  // the state of today is another one
  const matrix::Json explained = rig_.Json({"explain", leave.event_id()});
  EXPECT_EQ(Text(explained, "outcome"), "accepted");
  EXPECT_EQ(Member(Member(explained, "verdict"), "steps").AsArray()->size(), 6U);
  const matrix::Json& state = Member(explained, "state");
  EXPECT_THAT(Column(state, "type"), testing::ElementsAre("m.room.create", "m.room.member", "m.room.power_levels"));
  const std::string invite = room_.state().Find("m.room.member", kAnn)->event_id();
  EXPECT_EQ(Column(state, "before")[1], invite);
  EXPECT_EQ(Column(state, "now")[1], invite);
  EXPECT_THAT(rig_.Ctl({"explain", leave.event_id()}).output,
              AllOf(HasSubstr("auth rule 4.5.1"), HasSubstr("invite by @creator:a.example"), HasSubstr(invite),
                    HasSubstr("the same"), HasSubstr("ed25519:test")));
}

TEST_F(Explain, SaysWhyAnEventWasRefused) {
  const TestRoom banned = RoomBuilder("10", "@other:z.example").Member(kAnn, "ban").Build();
  rig_.Create(banned);
  const Event leave = banned.Leave(kAnn);
  ASSERT_EQ(rig_.Decide(banned, leave).outcome(), matrix::v1::OUTCOME_REJECTED);
  const matrix::Json explained = rig_.Json({"explain", leave.event_id()});
  EXPECT_EQ(Text(explained, "outcome"), "rejected");
  EXPECT_EQ(Member(explained, "state").AsArray()->size(), 3U);
  EXPECT_THAT(rig_.Ctl({"explain", leave.event_id()}).output,
              AllOf(HasSubstr("rejected"), HasSubstr("ban by @other:z.example")));
}

TEST_F(Explain, SaysOfAFileHowItWouldBeJudgedAndWritesNothing) {
  rig_.StoreKeys(room_);
  const Event leave = room_.Leave(kAnn);
  const std::string before = rig_.Written();
  const matrix::Json explained = rig_.Json({"explain", FileOf(leave), "--graph", directory_ / "graph.dot"});
  EXPECT_EQ(Text(explained, "outcome"), "accepted");
  EXPECT_EQ(Text(explained, "event_id"), leave.event_id());
  EXPECT_TRUE(*Member(explained, "dry_run").AsBool());
  EXPECT_EQ(Member(explained, "state").AsArray()->size(), 3U);
  EXPECT_TRUE(Member(explained, "notes").AsArray()->empty());
  EXPECT_THAT(rig_.Ctl({"explain", FileOf(leave)}).output, HasSubstr("dry run"));
  EXPECT_THAT(Whole(directory_ / "graph.dot"), HasSubstr("not stored"));
  EXPECT_EQ(rig_.Written(), before);
  EXPECT_EQ(rig_.validator().validated(), 0);  // nobody took it for an event
}

TEST_F(Explain, AsksTheGatewayForKeysThatTheStoreHasNot) {
  const Event leave = room_.Leave(kAnn);
  const matrix::Json unknown = rig_.Json({"explain", FileOf(leave)});
  EXPECT_EQ(Text(unknown, "outcome"), "invalid");
  EXPECT_THAT(*Member(unknown, "notes").AsArray()->front().AsString(), HasSubstr("b.example"));
  rig_.admin().Know("b.example", absl::Now() + absl::Hours(1));
  EXPECT_EQ(Text(rig_.Json({"explain", FileOf(leave)}), "outcome"), "accepted");
}

TEST_F(Explain, SaysThatAnEventIsStoredAlready) {
  rig_.StoreKeys(room_);
  const Event leave = room_.Leave(kAnn);
  rig_.Decide(room_, leave);
  const matrix::Json explained = rig_.Json({"explain", FileOf(leave)});
  EXPECT_THAT(*Member(explained, "notes").AsArray()->front().AsString(), HasSubstr("accepted"));
}

TEST_F(Explain, TakesWhatEventShowPrints) {
  rig_.StoreKeys(room_);
  const Event leave = room_.Leave(kAnn);
  rig_.Decide(room_, leave);
  const Ended shown = rig_.Ctl({"--json", "event", "show", leave.event_id()});
  EXPECT_EQ(Text(rig_.Json({"explain", File("shown.json", shown.output)}), "event_id"), leave.event_id());
}

TEST_F(Explain, JudgesWhatIsNoEventToo) {
  const matrix::Json explained = rig_.Json({"explain", File("x", "{\"type\":1}"), "--room", room_.room_id()});
  EXPECT_EQ(Text(explained, "outcome"), "invalid");
  EXPECT_EQ(Text(Member(explained, "verdict"), "reason"), "bad_format");
  EXPECT_EQ(Text(rig_.Json({"explain", File("y", "{"), "--room", room_.room_id()}), "outcome"), "invalid");
}

TEST_F(Explain, SaysWhatIsWrongWithTheQuestion) {
  EXPECT_EQ(rig_.Ctl({"explain", "/nowhere"}).status, 2);
  EXPECT_EQ(rig_.Ctl({"explain", File("x", "{}")}).status, 2);
  EXPECT_EQ(rig_.Ctl({"explain", "$nobody-has-it"}).status, 1);
  EXPECT_EQ(rig_.Ctl({"explain", File("x", "{}"), "--room", "!nowhere:a.example"}).status, 1);
  EXPECT_EQ(rig_.Ctl({"explain", room_.tip().event_id(), "--graph", "picture.png"}).status, 2);
}

TEST_F(Explain, SaysThatARoomsFirstEventsWereJudgedByNobody) {
  EXPECT_THAT(rig_.Ctl({"explain", room_.tip().event_id()}).output, HasSubstr("without a verdict"));
  EXPECT_TRUE(Member(rig_.Json({"explain", room_.tip().event_id()}), "verdict").IsNull());
}

TEST_F(Explain, DrawsTheGraph) {
  const Event leave = room_.Leave(kAnn);
  rig_.Decide(room_, leave);
  const std::string dot = directory_ / "graph.dot", svg = directory_ / "graph.svg";
  const Ended drawn = rig_.Ctl({"explain", leave.event_id(), "--graph", dot, "--hops", "1"});
  EXPECT_EQ(drawn.status, 0) << drawn.errors;
  EXPECT_THAT(drawn.errors, HasSubstr(dot));
  EXPECT_THAT(Whole(dot), AllOf(HasSubstr("digraph"), HasSubstr(leave.event_id()), HasSubstr("dashed")));
  EXPECT_EQ(rig_.Ctl({"explain", leave.event_id(), "--graph", svg}).status, 0);
  EXPECT_THAT(Whole(svg), AllOf(HasSubstr("<svg"), HasSubstr("accepted"), Not(HasSubstr("digraph"))));
  EXPECT_EQ(rig_.Ctl({"explain", leave.event_id(), "--graph", "/nowhere/graph.dot"}).status, 1);
}

}  // namespace
}  // namespace postern::posternctl
