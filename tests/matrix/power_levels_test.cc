// Power levels: reading them as each version does, defaults, and who may alter them.
#include "matrix/power_levels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/room_builder.h"

namespace postern::matrix {
namespace {

using support::Object;
using support::RoomBuilder;
using support::TestRoom;

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

struct LevelCase {
  std::string name = {};
  std::string version = {};
  std::string json;
  std::optional<std::int64_t> level;
};

class ReadingALevel : public testing::TestWithParam<LevelCase> {};

INSTANTIATE_TEST_SUITE_P(PowerLevels, ReadingALevel,
                         testing::ValuesIn(std::vector<LevelCase>{
                             {"Integer", "10", "50", 50},
                             {"StringBeforeV10", "9", R"("50")", 50},
                             {"StringInV10", "10", R"("50")", std::nullopt},
                             {"LeadingZerosAndPlus", "1", R"(" +00100\t")", 100},
                             {"Minus", "1", R"("-5")", -5},
                             {"TwoSigns", "1", R"("+-5")", std::nullopt},
                             {"OnlyASign", "1", R"("-")", std::nullopt},
                             {"Empty", "1", R"("")", std::nullopt},
                             {"SpaceInside", "1", R"("1 0")", std::nullopt},
                             {"Hexadecimal", "1", R"("0x10")", std::nullopt},
                             {"FractionText", "1", R"("1.5")", std::nullopt},
                             {"LongerThanInt64", "1", R"("99999999999999999999")", kMost},
                             {"Fraction", "1", "50.57", 50},
                             {"NegativeFraction", "1", "-50.57", -50},
                             {"Exponent", "1", "5.114698E4", 51146},
                             {"BeyondDouble", "1", "1e999", std::nullopt},
                             {"BeyondInt64", "1", "1e30", kMost},
                             {"True", "1", "true", std::nullopt},
                             {"Null", "1", "null", std::nullopt},
                             {"List", "1", "[50]", std::nullopt},
                         }),
                         [](const auto& tested) { return tested.param.name; });

TEST_P(ReadingALevel, FollowsTheVersion) {
  const LevelCase& c = GetParam();
  EXPECT_EQ(ReadPowerLevel(*ParseJson(c.json), *FindRoomRules(c.version)), c.level);
}

TEST(PowerLevelDefaults, AreThoseOfTheSpecificationWithoutAnEvent) {
  const TestRoom room = RoomBuilder("10").NoPowerLevels().Build();
  const PowerLevels levels(room.state());
  EXPECT_EQ(levels.OfUser(room.creator()), 100);
  EXPECT_EQ(levels.OfUser("@ann:b.example"), 0);
  EXPECT_EQ(levels.ToInvite(), 0);
  EXPECT_EQ(levels.ToKick(), 50);
  EXPECT_EQ(levels.ToBan(), 50);
  EXPECT_EQ(levels.ToRedact(), 50);
  EXPECT_EQ(levels.ToSend("m.room.message", false), 0);
  EXPECT_EQ(levels.ToSend("m.room.name", true), 50);
}

TEST(PowerLevelDefaults, WithAnEventTheCreatorIsNobodySpecialBeforeV12) {
  const std::string without_creator = R"({"users":{"@ann:b.example":60},"users_default":7})";
  const TestRoom v11 = RoomBuilder("11").PowerLevels(without_creator).Build();
  const TestRoom v12 = RoomBuilder("12")
                           .PowerLevels(without_creator)
                           .CreateContent(R"({"additional_creators":["@bob:b.example"]})")
                           .Build();
  EXPECT_EQ(PowerLevels(v11.state()).OfUser(v11.creator()), 7);
  EXPECT_EQ(PowerLevels(v12.state()).OfUser(v12.creator()), kCreatorLevel);
  EXPECT_EQ(PowerLevels(v12.state()).OfUser("@bob:b.example"), kCreatorLevel);
  EXPECT_EQ(PowerLevels(v12.state()).OfUser("@ann:b.example"), 60);
}

/// A change of power levels by Ann, who has 50.
struct ChangeCase {
  std::string name = {};
  std::string version = "10";
  std::string before = R"({"users":{"@creator:a.example":100,"@ann:b.example":50,"@bob:b.example":40}})";
  std::string after = {};
  std::string refused = {};
};

class ChangingLevels : public testing::TestWithParam<ChangeCase> {};

constexpr char kUsers[] = R"("@creator:a.example":100,"@ann:b.example":50,"@bob:b.example":40)";

std::string With(std::string_view users, std::string_view more = "") {
  return "{\"users\":{" + std::string(users) + "},\"events\":{\"m.room.power_levels\":50}" + std::string(more) + "}";
}

INSTANTIATE_TEST_SUITE_P(
    PowerLevels, ChangingLevels,
    testing::ValuesIn(std::vector<ChangeCase>{
        {.name = "Nothing", .after = With(kUsers)},
        {.name = "OwnLevelDown", .after = With(R"("@creator:a.example":100,"@ann:b.example":10,"@bob:b.example":40)")},
        {.name = "OwnLevelUp",
         .after = With(R"("@creator:a.example":100,"@ann:b.example":51,"@bob:b.example":40)"),
         .refused = "auth rule 9.9.1"},
        {.name = "ALesserUserUp", .after = With(R"("@creator:a.example":100,"@ann:b.example":50,"@bob:b.example":50)")},
        {.name = "ALesserUserAbove",
         .after = With(R"("@creator:a.example":100,"@ann:b.example":50,"@bob:b.example":51)"),
         .refused = "auth rule 9.9.1"},
        {.name = "AGreaterUserDown",
         .after = With(R"("@creator:a.example":99,"@ann:b.example":50,"@bob:b.example":40)"),
         .refused = "auth rule 9.8.1"},
        {.name = "AGreaterUserGoneInV6",
         .version = "6",
         .after = With(R"("@ann:b.example":50,"@bob:b.example":40)"),
         .refused = "auth rule 9.6.1"},
        {.name = "ANewLevelAbove", .after = With(kUsers, R"(,"ban":51)"), .refused = "auth rule 9.5.2"},
        {.name = "ANewLevelAboveInV1",
         .version = "1",
         .after = With(kUsers, R"(,"ban":51)"),
         .refused = "auth rule 10.3.2"},
        {.name = "NotificationsAbove",
         .version = "6",
         .after = With(kUsers, R"(,"notifications":{"room":51})"),
         .refused = "auth rule 9.5.1"},
        {.name = "NotificationsBeforeV6", .version = "5", .after = With(kUsers, R"(,"notifications":{"room":51})")},
        {.name = "AString", .after = With(kUsers, R"(,"ban":"50")"), .refused = "auth rule 9.1"},
        {.name = "AStringInV9", .version = "9", .after = With(kUsers, R"(,"ban":"50")")},
        {.name = "NonsenseInV9",
         .version = "9",
         .after = With(kUsers, R"(,"ban":"many")"),
         .refused = "auth rule 9.3.2"},
        {.name = "EventsNoObject",
         .after = R"({"users":{"@creator:a.example":100,"@ann:b.example":50,"@bob:b.example":40},"events":[]})",
         .refused = "auth rule 9.2"},
        {.name = "UsersNoUserIds", .after = With(R"("ann":50)"), .refused = "auth rule 9.3"},
        {.name = "UsersNoUserIdsInV5", .version = "5", .after = With(R"("ann":50)"), .refused = "auth rule 10.1"},
        {.name = "ACreatorInV12",
         .version = "12",
         .before = R"({"users":{"@ann:b.example":50}})",
         .after = With(R"("@ann:b.example":50,"@creator:a.example":50)"),
         .refused = "auth rule 10.4"},
        {.name = "AboveInV12",
         .version = "12",
         .before = R"({"users":{"@ann:b.example":50}})",
         .after = With(R"("@ann:b.example":51)"),
         .refused = "auth rule 10.10.1"},
    }),
    [](const auto& tested) { return tested.param.name; });

TEST_P(ChangingLevels, IsBoundedByOnesOwn) {
  const ChangeCase& c = GetParam();
  const TestRoom room = RoomBuilder(c.version)
                            .PowerLevels(c.before)
                            .PowerLevels(R"({"events":{"m.room.power_levels":50}})")
                            .Member("@ann:b.example", "join")
                            .Build();
  const Event change = room.Mint(
      {.type = "m.room.power_levels", .state_key = "", .sender = "@ann:b.example", .content = Object(c.after)});
  const RuleResult result = CheckAuthRules(change, room.state());
  EXPECT_EQ(result.allowed() ? "" : result.rule, c.refused) << result.rule << ": " << result.text;
}

TEST(FirstPowerLevels, MayNotHoldNumbersBeyondADouble) {
  const TestRoom room = RoomBuilder("5").NoPowerLevels().Build();
  for (const auto& [content, allowed] : {std::pair{R"({"ban":1e300})", true},
                                         {R"({"ban":1e999})", false},
                                         {R"({"events":{"m.room.name":-1e999}})", false},
                                         {R"({"notifications":{"room":1e999}})", false},
                                         {R"({"users":{"@ann:b.example":1e999}})", false}}) {
    const Event levels = room.Mint(
        {.type = "m.room.power_levels", .state_key = "", .sender = room.creator(), .content = Object(content)});
    EXPECT_EQ(CheckAuthRules(levels, room.state()).allowed(), allowed) << content;
  }
}

}  // namespace
}  // namespace postern::matrix
