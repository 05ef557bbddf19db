// Auth events selection: the vectors hold it for every version (tests/vectors/auth_types.jsonl); here is what a leave
// cites.
#include "matrix/auth_events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/room_builder.h"

namespace postern::matrix {
namespace {

using support::Object;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::IsSubsetOf;

const RoomRules& RulesOf(std::string_view version) { return *FindRoomRules(version); }

struct SelectionCase {
  std::string name = {};
  std::string version = "10";
  std::string type = "m.room.member";
  std::string sender = "@ann:a.example";
  std::string state_key = "@ann:a.example";
  std::string content = {};
  std::vector<StateKey> selected = {};
};

class Selection : public testing::TestWithParam<SelectionCase> {};

const StateKey kCreate{"m.room.create", ""};
const StateKey kLevels{"m.room.power_levels", ""};
const StateKey kJoinRules{"m.room.join_rules", ""};
const StateKey kAnn{"m.room.member", "@ann:a.example"};
const StateKey kBob{"m.room.member", "@bob:b.example"};

INSTANTIATE_TEST_SUITE_P(
    AuthEvents, Selection,
    testing::ValuesIn(std::vector<SelectionCase>{
        {.name = "Leave", .content = R"({"membership":"leave"})", .selected = {kCreate, kAnn, kLevels}},
        {.name = "LeaveInV12", .version = "12", .content = R"({"membership":"leave"})", .selected = {kAnn, kLevels}},
        {.name = "Join", .content = R"({"membership":"join"})", .selected = {kCreate, kJoinRules, kAnn, kLevels}},
        {.name = "KickOfAnother",
         .state_key = "@bob:b.example",
         .content = R"({"membership":"leave"})",
         .selected = {kCreate, kAnn, kBob, kLevels}},
        {.name = "RestrictedJoin",
         .content = R"({"membership":"join","join_authorised_via_users_server":"@bob:b.example"})",
         .selected = {kCreate, kJoinRules, kAnn, kBob, kLevels}},
        {.name = "NoRestrictedJoinBeforeV8",
         .version = "7",
         .content = R"({"membership":"join","join_authorised_via_users_server":"@bob:b.example"})",
         .selected = {kCreate, kJoinRules, kAnn, kLevels}},
        {.name = "ThirdPartyInvite",
         .state_key = "@bob:b.example",
         .content = R"({"membership":"invite","third_party_invite":{"signed":{"token":"t"}}})",
         .selected = {kCreate, kJoinRules, kAnn, kBob, kLevels, {"m.room.third_party_invite", "t"}}},
        {.name = "Create", .type = "m.room.create", .state_key = "", .content = "{}", .selected = {}},
        {.name = "AnythingElse",
         .type = "m.room.name",
         .state_key = "",
         .content = "{}",
         .selected = {kCreate, kAnn, kLevels}},
    }),
    [](const auto& tested) { return tested.param.name; });

TEST_P(Selection, NamesTheKeysInOrder) {
  const SelectionCase& c = GetParam();
  EXPECT_EQ(SelectAuthEvents(c.type, &c.state_key, c.sender, Object(c.content), RulesOf(c.version)), c.selected);
}

TEST(KeysForLeave, CoverWhatALeaveCitesInEveryVersionAndTheAcl) {
  const std::string ann = "@ann:a.example";
  const std::vector<StateKey> keys = KeysForLeave(ann);
  for (const RoomRules& rules : AllRoomRules()) {
    const auto cited = SelectAuthEvents("m.room.member", &ann, ann, Object(R"({"membership":"leave"})"), rules);
    EXPECT_THAT(cited, IsSubsetOf(keys)) << rules.version;
  }
  EXPECT_THAT(keys, Contains(StateKey{"m.room.server_acl", ""}));
  EXPECT_THAT(keys, Contains(StateKey{"m.room.policy", ""}));
}

}  // namespace
}  // namespace postern::matrix
