// What docs/decisions/0007 decides, where the specification can be read in two ways or the peers differ from it.
#include <gtest/gtest.h>

#include <deque>
#include <map>

#include "matrix/auth_rules.h"
#include "matrix/canonical_json.h"
#include "matrix/content_hash.h"
#include "matrix/state_resolution.h"
#include "tests/matrix/sample_events.h"
#include "tests/support/room_builder.h"

namespace postern::matrix {
namespace {

using support::Object;
using support::RoomBuilder;
using support::TestRoom;

constexpr char kAnn[] = "@ann:b.example";
constexpr char kBob[] = "@bob:c.example";
constexpr std::int64_t kSecond = 1000;

struct AbsenceCase {
  std::string name = {};
  std::string before;
  std::string after;
  bool allowed;
};

/// Ann, who has 40, changes levels of which one side is absent.
class AbsentLevel : public testing::TestWithParam<AbsenceCase> {};

std::string Levels(std::string_view more) {
  return R"({"users":{"@creator:a.example":100,"@ann:b.example":40},"events":{"m.room.power_levels":40})" +
         std::string(more) + "}";
}

INSTANTIATE_TEST_SUITE_P(OpenPoints, AbsentLevel,
                         testing::ValuesIn(std::vector<AbsenceCase>{
                             {"AddedWithinReachThoughTheDefaultIsAbove", Levels(""), Levels(R"(,"ban":40)"), true},
                             {"AddedAboveReach", Levels(""), Levels(R"(,"invite":41)"), false},
                             {"RemovedWithinReachThoughTheDefaultIsAbove", Levels(R"(,"kick":40)"), Levels(""), true},
                             {"RemovedAboveReach", Levels(R"(,"invite":41)"), Levels(""), false},
                             {"AUserAddedWhoseDefaultIsAbove", Levels(R"(,"users_default":60)"),
                              R"({"users":{"@creator:a.example":100,"@ann:b.example":40,"@bob:c.example":40},
                                  "events":{"m.room.power_levels":40},"users_default":60})",
                              true},
                         }),
                         [](const auto& tested) { return tested.param.name; });

TEST_P(AbsentLevel, HasNoValueToCompare) {
  const AbsenceCase& c = GetParam();
  for (const char* version : {"1", "6", "10", "11"}) {
    const TestRoom room = RoomBuilder(version).PowerLevels(c.before).Member(kAnn, "join").Build();
    const Event change =
        room.Mint({.type = "m.room.power_levels", .state_key = "", .sender = kAnn, .content = Object(c.after)});
    const RuleResult result = CheckAuthRules(change, room.state());
    EXPECT_EQ(result.allowed(), c.allowed) << version << ": " << result.rule << ", " << result.text;
  }
}

TEST(ClosedRooms, AskForTheSendersServerAlone) {
  for (const char* version : {"1", "11", "12"}) {
    const TestRoom room = RoomBuilder(version).CreateContent(R"({"m.federate":false})").Build();
    EXPECT_TRUE(CheckAuthRules(room.Member(kAnn, "invite", room.creator()), room.state()).allowed()) << version;
    const TestRoom invited =
        RoomBuilder(version).CreateContent(R"({"m.federate":false})").Member(kAnn, "invite").Build();
    EXPECT_FALSE(CheckAuthRules(invited.Member(kAnn, "join"), invited.state()).allowed()) << version;
    EXPECT_FALSE(CheckAuthRules(invited.Leave(kAnn), invited.state()).allowed()) << version;
  }
}

TEST(OddNumbersBeforeV6, AreHashedAsWritten) {
  std::map<std::string, std::string> texts;
  for (const char* number : {"0", "-0", "1000", "1e3", "1E3", "1000.0", "9223372036854775808"}) {
    JsonObject fields = samples::EventOf("5");
    fields.Set("content", *ParseJson(std::string(R"({"membership":"leave","n":)") + number + "}"));
    const auto event = Event::FromJson(fields, samples::Rules("5"));
    ASSERT_TRUE(event.ok()) << number;
    EXPECT_NE(CanonicalJson(event->json()).find(std::string(R"("n":)") + number + "}"), std::string::npos) << number;
    texts.emplace(ContentHash(event->json()), number);
    if (std::string_view(number) == "0" || std::string_view(number) == "1000") continue;
    EXPECT_FALSE(Event::FromJson(fields, samples::Rules("6")).ok()) << number;
  }
  EXPECT_EQ(texts.size(), 7);
}

/// A room that forks: events are made on given states, and states are put together from events.
class Fork {
 public:
  explicit Fork(TestRoom room) : room_(std::move(room)) {
    for (const Event& event : room_.events()) known_.Add(event);
  }

  const TestRoom& room() const { return room_; }
  const RoomState& base() const { return room_.state(); }

  static RoomState With(RoomState state, std::initializer_list<const Event*> events) {
    for (const Event* event : events) state.Set(*event);
    return state;
  }

  const Event& Make(const RoomState& state, std::string type, std::string key, std::string sender,
                    std::string_view content, std::int64_t seconds, std::vector<const Event*> prev_events = {}) {
    made_.push_back(room_.Mint({.type = std::move(type),
                                .state_key = std::move(key),
                                .sender = std::move(sender),
                                .content = Object(content),
                                .prev_events = std::move(prev_events),
                                .state = &state,
                                .origin_server_ts = room_.tip().origin_server_ts() + seconds * kSecond}));
    known_.Add(made_.back());
    return made_.back();
  }

  void Reject(const Event& event) { known_.Add(event, true); }

  /// The id of what `key` has after resolving.
  std::string Resolved(const std::vector<RoomState>& states, const StateKey& key) const {
    std::vector<StateMap> maps;
    for (const RoomState& state : states) {
      StateMap& map = maps.emplace_back();
      for (const auto& [entry, event] : state) {
        map[{std::string(entry.first), std::string(entry.second)}] = event->event_id();
      }
    }
    const auto resolved = ResolveState(maps, known_, room_.rules());
    return resolved.ok() ? resolved->at(key) : resolved.status().ToString();
  }

 private:
  TestRoom room_;
  std::deque<Event> made_;
  ResolutionEvents known_;
};

/// The creator takes Ann's level in both states; only one of them has an event that cites the new levels. Ann's topic
/// of before, with a later clock, is in the other. The levels are in the auth difference, so they come back first.
TEST(AuthDifference, CountsAStatesEventOnlyWhereAnotherCitesIt) {
  Fork fork(RoomBuilder("12").PowerLevels(R"({"users":{"@ann:b.example":50}})").Member(kAnn, "join").Build());
  const std::string creator = fork.room().creator();
  const Event& anns = fork.Make(fork.base(), "m.room.topic", "", kAnn, R"({"topic":"Ann's"})", 60);
  const Event& levels = fork.Make(fork.base(), "m.room.power_levels", "", creator, R"({"users":{}})", 10);
  const RoomState lowered = Fork::With(fork.base(), {&levels});
  const Event& creators = fork.Make(lowered, "m.room.topic", "", creator, R"({"topic":"the creator's"})", 20);
  EXPECT_EQ(fork.Resolved({Fork::With(lowered, {&creators}), Fork::With(lowered, {&anns})}, {"m.room.topic", ""}),
            creators.event_id());
}

/// A ban cites power levels that all agree on, and those cite a join that is disputed: the join is ordered with the
/// ban, before Ann's later member event, whatever its clock says.
TEST(PowerEvents, BringWhatTheirChainReachesThroughEventsOutsideTheConflictedSet) {
  Fork fork(RoomBuilder("11")
                .PowerLevels(R"({"users":{"@creator:a.example":100,"@ann:b.example":50},
                                 "events":{"m.room.power_levels":50}})")
                .JoinRule("public")
                .Build());
  const std::string creator = fork.room().creator();
  const Event& join = fork.Make(fork.base(), "m.room.member", kAnn, kAnn, R"({"membership":"join"})", 60);
  const RoomState joined = Fork::With(fork.base(), {&join});
  const Event& named =
      fork.Make(joined, "m.room.member", kAnn, kAnn, R"({"membership":"join","displayname":"Ann"})", 30);
  const Event& levels = fork.Make(joined, "m.room.power_levels", "", kAnn,
                                  R"({"users":{"@creator:a.example":100,"@ann:b.example":50},
                                      "events":{"m.room.power_levels":50},"ban":40})",
                                  70);
  const RoomState levelled = Fork::With(joined, {&levels});
  const Event& topic = fork.Make(levelled, "m.room.topic", "", creator, R"({"topic":"all agree"})", 75);
  const Event& ban = fork.Make(levelled, "m.room.member", kBob, creator, R"({"membership":"ban"})", 80);
  const RoomState agreed = Fork::With(levelled, {&topic});
  EXPECT_EQ(fork.Resolved({Fork::With(agreed, {&ban}), Fork::With(agreed, {&named})}, {"m.room.member", kAnn}),
            named.event_id());
}

/// The creator takes everybody's level away; Bob joins after that, in both states, and his join is what his earlier
/// join rules cite. So those are ordered after the levels, whatever their clock says, and do not stand. (The topic
/// cites the join in both states, so that it is in no auth difference.)
TEST(PowerEvents, AreOrderedByWhatTheyReachThroughEventsOutsideTheConflictedSet) {
  Fork fork(RoomBuilder("11")
                .PowerLevels(R"({"users":{"@creator:a.example":100},"users_default":100})")
                .JoinRule("public")
                .Build());
  const Event& levels = fork.Make(fork.base(), "m.room.power_levels", "", fork.room().creator(),
                                  R"({"users":{"@creator:a.example":100},"users_default":0})", 50);
  const RoomState lowered = Fork::With(fork.base(), {&levels});
  const Event& join = fork.Make(lowered, "m.room.member", kBob, kBob, R"({"membership":"join"})", 60);
  const RoomState joined = Fork::With(fork.base(), {&join});
  const Event& rules = fork.Make(joined, "m.room.join_rules", "", kBob, R"({"join_rule":"invite"})", 10);
  const Event& topic = fork.Make(joined, "m.room.topic", "", kBob, R"({"topic":"all agree"})", 70);
  const Event* before = fork.base().Find("m.room.join_rules", "");
  ASSERT_NE(before, nullptr);
  EXPECT_EQ(fork.Resolved({Fork::With(lowered, {&join, &topic}), Fork::With(joined, {&rules, &topic})},
                          {"m.room.join_rules", ""}),
            before->event_id());
}

/// The creator's membership is disputed too, and is settled only after power levels and join rules are. By then the
/// rules allow both of her events under another state key, so that the deeper one stays, as in any type that no rule
/// looks at.
TEST(ResolutionByDepth, TakesPowerLevelsUnderAnotherStateKeyWithEverythingElse) {
  Fork fork(RoomBuilder("1").Build());
  const std::string creator = fork.room().creator();
  const Event& shallow = fork.Make(fork.base(), "m.room.power_levels", "other", creator, R"({"ban":1})", 10);
  const Event& named =
      fork.Make(fork.base(), "m.room.member", creator, creator, R"({"membership":"join","displayname":"C"})", 20);
  const Event& deep = fork.Make(fork.base(), "m.room.power_levels", "other", creator, R"({"ban":2})", 30, {&shallow});
  EXPECT_EQ(fork.Resolved({Fork::With(fork.base(), {&shallow, &named}), Fork::With(fork.base(), {&deep})},
                          {"m.room.power_levels", "other"}),
            deep.event_id());
}

/// Bob's name cites levels that would let him set it, but were rejected; without any levels only the creator may.
TEST(IterativeAuthChecks, DoNotLookAtRejectedAuthEvents) {
  Fork fork(RoomBuilder("11")
                .PowerLevels(R"({"users":{"@creator:a.example":100,"@bob:c.example":50}})")
                .Member(kBob, "join")
                .Build());
  RoomState without_levels = fork.base();
  without_levels.Erase("m.room.power_levels", "");
  const Event& creators = fork.Make(fork.base(), "m.room.name", "", fork.room().creator(), R"({"name":"ours"})", 5);
  const Event& bobs = fork.Make(fork.base(), "m.room.name", "", kBob, R"({"name":"Bob's"})", 10);
  fork.Reject(*fork.base().Find("m.room.power_levels", ""));
  EXPECT_EQ(fork.Resolved({Fork::With(without_levels, {&creators}), Fork::With(without_levels, {&bobs})},
                          {"m.room.name", ""}),
            creators.event_id());
}

}  // namespace
}  // namespace postern::matrix
