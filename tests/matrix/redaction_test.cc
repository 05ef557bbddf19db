#include "matrix/redaction.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "matrix/canonical_json.h"
#include "tests/matrix/sample_events.h"

namespace postern::matrix {
namespace {

using samples::EventOf;
using samples::Object;
using samples::Rules;

struct ContentCase {
  const char* name;
  const char* type;
  const char* first;  // first and last version of which this holds
  const char* last;
  const char* content;
  const char* kept;
};

class RedactedContent : public testing::TestWithParam<ContentCase> {};

TEST_P(RedactedContent, IsWhatTheVersionProtects) {
  const ContentCase& c = GetParam();
  for (int version = std::stoi(c.first); version <= std::stoi(c.last); ++version) {
    const RoomRules& rules = Rules(std::to_string(version));
    JsonObject event = EventOf(rules.version);
    event.Set("type", c.type);
    event.Set("content", Object(c.content));
    const JsonObject redacted = Redact(event, rules);
    EXPECT_EQ(CanonicalJson(*redacted.Find("content")), c.kept) << "version " << version;
    EXPECT_EQ(CanonicalRedacted(event, rules), CanonicalJsonWithout(redacted, {"signatures", "unsigned"}))
        << "version " << version;
  }
}

constexpr const char* kMemberContent =
    R"({"membership":"join","join_authorised_via_users_server":"@b:b","reason":"x","third_party_invite":{"display_name":"d","signed":{"t":1}}})";
constexpr const char* kPowerContent =
    R"({"ban":1,"events":{},"events_default":2,"invite":3,"kick":4,"notifications":{},"redact":5,"state_default":6,"users":{},"users_default":7,"x":8})";

INSTANTIATE_TEST_SUITE_P(
    Types, RedactedContent,
    testing::ValuesIn(std::vector<ContentCase>{
        {"MemberBefore9", "m.room.member", "1", "8", kMemberContent, R"({"membership":"join"})"},
        {"MemberFrom9", "m.room.member", "9", "10", kMemberContent,
         R"({"join_authorised_via_users_server":"@b:b","membership":"join"})"},
        {"MemberFrom11", "m.room.member", "11", "12", kMemberContent,
         R"({"join_authorised_via_users_server":"@b:b","membership":"join","third_party_invite":{"signed":{"t":1}}})"},
        {"ThirdPartyInviteUnsigned", "m.room.member", "11", "12", R"({"third_party_invite":{"display_name":"d"}})",
         R"({"third_party_invite":{}})"},
        {"ThirdPartyInviteOdd", "m.room.member", "11", "12", R"({"third_party_invite":"x"})", "{}"},
        {"CreateBefore11", "m.room.create", "1", "10", R"({"creator":"@a:a","room_version":"1"})",
         R"({"creator":"@a:a"})"},
        {"CreateFrom11", "m.room.create", "11", "12", R"({"creator":"@a:a","x":1})", R"({"creator":"@a:a","x":1})"},
        {"JoinRulesBefore8", "m.room.join_rules", "1", "7", R"({"join_rule":"x","allow":[]})", R"({"join_rule":"x"})"},
        {"JoinRulesFrom8", "m.room.join_rules", "8", "12", R"({"join_rule":"x","allow":[],"y":1})",
         R"({"allow":[],"join_rule":"x"})"},
        {"PowerLevelsBefore11", "m.room.power_levels", "1", "10", kPowerContent,
         R"({"ban":1,"events":{},"events_default":2,"kick":4,"redact":5,"state_default":6,"users":{},"users_default":7})"},
        {"PowerLevelsFrom11", "m.room.power_levels", "11", "12", kPowerContent,
         R"({"ban":1,"events":{},"events_default":2,"invite":3,"kick":4,"redact":5,"state_default":6,"users":{},"users_default":7})"},
        {"AliasesBefore6", "m.room.aliases", "1", "5", R"({"aliases":[],"x":1})", R"({"aliases":[]})"},
        {"AliasesFrom6", "m.room.aliases", "6", "12", R"({"aliases":[]})", "{}"},
        {"HistoryVisibility", "m.room.history_visibility", "1", "12", R"({"history_visibility":"x","y":1})",
         R"({"history_visibility":"x"})"},
        {"RedactionBefore11", "m.room.redaction", "1", "10", R"({"redacts":"$x"})", "{}"},
        {"RedactionFrom11", "m.room.redaction", "11", "12", R"({"redacts":"$x","reason":"y"})", R"({"redacts":"$x"})"},
        {"Message", "m.room.message", "1", "12", R"({"body":"x","membership":"join"})", "{}"},
    }),
    [](const auto& c) { return std::string(c.param.name); });

std::vector<std::string> KeysOf(const JsonObject& object) {
  std::vector<std::string> keys;
  for (const JsonMember& member : object) keys.push_back(member.key);
  return keys;
}

TEST(Redact, KeepsTheTopLevelOfOldVersions) {
  EXPECT_THAT(
      KeysOf(Redact(EventOf("10"), Rules("10"))),
      testing::ElementsAre("auth_events", "content", "depth", "hashes", "membership", "origin", "origin_server_ts",
                           "prev_events", "prev_state", "room_id", "sender", "signatures", "state_key", "type"));
}

TEST(Redact, DropsWhatVersion11NoLongerProtects) {
  EXPECT_THAT(KeysOf(Redact(EventOf("11"), Rules("11"))),
              testing::ElementsAre("auth_events", "content", "depth", "hashes", "origin_server_ts", "prev_events",
                                   "room_id", "sender", "signatures", "state_key", "type"));
}

TEST(Redact, TwiceIsOnce) {
  for (const RoomRules& rules : AllRoomRules()) {
    for (const char* type : {"m.room.member", "m.room.create", "m.room.power_levels", "m.room.redaction", "x"}) {
      JsonObject event = EventOf(rules.version);
      event.Set("type", type);
      const JsonObject once = Redact(event, rules);
      EXPECT_TRUE(Redact(once, rules) == once) << rules.version << " " << type;
    }
  }
}

TEST(Redact, AddsNothing) {
  EXPECT_EQ(CanonicalJson(Redact(Object(R"({"type":"x"})"), Rules("10"))), R"({"type":"x"})");
}

TEST(CanonicalRedacted, AddsNothingAndMakesOddContentAnEmptyObject) {
  EXPECT_EQ(CanonicalRedacted(Object(R"({"signatures":{},"type":"x"})"), Rules("10")), R"({"type":"x"})");
  EXPECT_EQ(CanonicalRedacted(Object(R"({"content":"x"})"), Rules("10")), R"({"content":{}})");
  EXPECT_EQ(CanonicalRedacted(Object("{}"), Rules("10")), "{}");
}

TEST(Redact, MakesOddContentAnEmptyObject) {
  EXPECT_EQ(CanonicalJson(Redact(Object(R"({"content":"x"})"), Rules("10"))), R"({"content":{}})");
}

}  // namespace
}  // namespace postern::matrix
