// Who may become what: every transition of a membership, with the rule's number on that version's own page.
#include "matrix/member_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "matrix/base64.h"
#include "matrix/canonical_json.h"
#include "matrix/third_party_invite.h"
#include "tests/support/room_builder.h"

namespace postern::matrix {
namespace {

using support::Draft;
using support::KeyOf;
using support::Object;
using support::RoomBuilder;
using support::TestRoom;

constexpr char kAnn[] = "@ann:b.example";
constexpr char kMod[] = "@mod:c.example";
constexpr char kCreator[] = "@creator:a.example";

/// A member event about Ann, judged in a room in which Ann and a moderator are what the case says.
struct MemberCase {
  std::string name = {};
  std::string version = "10";
  std::string ann = {};  // Ann's membership before
  std::string mod = "join";
  std::string levels = R"({"users":{"@creator:a.example":100,"@mod:c.example":50}})";
  std::string join_rule = "invite";
  std::string becomes = {};
  std::string by = kAnn;
  std::string more = "{}";   // more content of the event
  std::string refused = {};  // the rule that refuses; "" if allowed
};

std::string CaseName(const testing::TestParamInfo<MemberCase>& tested) { return tested.param.name; }

class MemberRules : public testing::TestWithParam<MemberCase> {};

RuleResult JudgeCase(const MemberCase& c) {
  const TestRoom room = RoomBuilder(c.version)
                            .PowerLevels(c.levels)
                            .JoinRule(c.join_rule)
                            .Member(kMod, c.mod)
                            .Member(kAnn, c.ann)
                            .Build();
  JsonObject content = Object(c.more);
  content.Set("membership", Json(c.becomes));
  const Event event =
      room.Mint({.type = "m.room.member", .state_key = kAnn, .sender = c.by, .content = std::move(content)});
  return CheckAuthRules(event, room.state());
}

TEST_P(MemberRules, AllowOrRefuseByNumber) {
  const MemberCase& c = GetParam();
  const RuleResult result = JudgeCase(c);
  EXPECT_EQ(result.allowed() ? "" : result.rule, c.refused) << result.rule << ": " << result.text;
  EXPECT_EQ(result.reason, c.refused.empty() ? Reason::kNone : Reason::kNotAuthorised);
  EXPECT_FALSE(result.rule.empty());
  EXPECT_FALSE(result.text.empty());
}

INSTANTIATE_TEST_SUITE_P(
    OwnLeave, MemberRules,
    testing::ValuesIn(std::vector<MemberCase>{
        {.name = "Joined", .ann = "join", .becomes = "leave"},
        {.name = "Invited", .ann = "invite", .becomes = "leave"},
        {.name = "KnockedInV7", .version = "7", .ann = "knock", .becomes = "leave"},
        {.name = "KnockedInV6", .version = "6", .ann = "knock", .becomes = "leave", .refused = "auth rule 4.4.1"},
        {.name = "Left", .ann = "leave", .becomes = "leave", .refused = "auth rule 4.5.1"},
        {.name = "Stranger", .ann = "", .becomes = "leave", .refused = "auth rule 4.5.1"},
        {.name = "BannedInV1", .version = "1", .ann = "ban", .becomes = "leave", .refused = "auth rule 5.4.1"},
        {.name = "BannedInV3", .version = "3", .ann = "ban", .becomes = "leave", .refused = "auth rule 5.4.1"},
        {.name = "BannedInV7", .version = "7", .ann = "ban", .becomes = "leave", .refused = "auth rule 4.4.1"},
        {.name = "BannedInV8", .version = "8", .ann = "ban", .becomes = "leave", .refused = "auth rule 4.5.1"},
        {.name = "BannedInV11", .version = "11", .ann = "ban", .becomes = "leave", .refused = "auth rule 4.5.1"},
        {.name = "BannedInV12",
         .version = "12",
         .ann = "ban",
         .levels = R"({"users":{"@mod:c.example":50}})",
         .becomes = "leave",
         .refused = "auth rule 5.5.1"},
    }),
    CaseName);

INSTANTIATE_TEST_SUITE_P(
    KickAndBan, MemberRules,
    testing::ValuesIn(std::vector<MemberCase>{
        {.name = "Kick", .ann = "join", .becomes = "leave", .by = kMod},
        {.name = "KickOfAnInvite", .ann = "invite", .becomes = "leave", .by = kMod},
        {.name = "KickByWhoIsGone",
         .ann = "join",
         .mod = "leave",
         .becomes = "leave",
         .by = kMod,
         .refused = "auth rule 4.5.2"},
        {.name = "KickBelowTheLevel",
         .ann = "join",
         .levels = R"({"kick":51,"users":{"@mod:c.example":50}})",
         .becomes = "leave",
         .by = kMod,
         .refused = "auth rule 4.5.5"},
        {.name = "KickOfAnEqual",
         .ann = "join",
         .levels = R"({"users":{"@mod:c.example":50,"@ann:b.example":50}})",
         .becomes = "leave",
         .by = kMod,
         .refused = "auth rule 4.5.5"},
        {.name = "Unban", .ann = "ban", .becomes = "leave", .by = kMod},
        {.name = "UnbanBelowTheBanLevel",
         .ann = "ban",
         .levels = R"({"ban":60,"users":{"@mod:c.example":50}})",
         .becomes = "leave",
         .by = kMod,
         .refused = "auth rule 4.5.3"},
        {.name = "Ban", .ann = "join", .becomes = "ban", .by = kMod},
        {.name = "BanOfAStranger", .ann = "", .becomes = "ban", .by = kMod},
        {.name = "BanByWhoIsGone", .mod = "leave", .becomes = "ban", .by = kMod, .refused = "auth rule 4.6.1"},
        {.name = "BanBelowTheLevel",
         .levels = R"({"ban":51,"users":{"@mod:c.example":50}})",
         .becomes = "ban",
         .by = kMod,
         .refused = "auth rule 4.6.3"},
        {.name = "BanBelowTheLevelInV1",
         .version = "1",
         .levels = R"({"ban":"051","users":{"@mod:c.example":50}})",
         .becomes = "ban",
         .by = kMod,
         .refused = "auth rule 5.5.3"},
    }),
    CaseName);

INSTANTIATE_TEST_SUITE_P(
    Join, MemberRules,
    testing::ValuesIn(std::vector<MemberCase>{
        {.name = "AfterAnInvite", .ann = "invite", .becomes = "join"},
        {.name = "WithoutAnInvite", .ann = "", .becomes = "join", .refused = "auth rule 4.3.7"},
        {.name = "WithoutAnInviteInV6", .version = "6", .becomes = "join", .refused = "auth rule 4.2.6"},
        {.name = "InPublic", .join_rule = "public", .becomes = "join"},
        {.name = "BannedInPublic",
         .ann = "ban",
         .join_rule = "public",
         .becomes = "join",
         .refused = "auth rule 4.3.3"},
        {.name = "ForAnother", .ann = "invite", .becomes = "join", .by = kMod, .refused = "auth rule 4.3.2"},
        {.name = "RestrictedWithVoucher",
         .join_rule = "restricted",
         .becomes = "join",
         .more = R"({"join_authorised_via_users_server":"@mod:c.example"})"},
        {.name = "RestrictedWithoutVoucher",
         .join_rule = "restricted",
         .becomes = "join",
         .refused = "auth rule 4.3.5.2"},
        {.name = "RestrictedWithAVoucherWhoMayNotInvite",
         .levels = R"({"invite":51})",
         .join_rule = "restricted",
         .becomes = "join",
         .more = R"({"join_authorised_via_users_server":"@mod:c.example"})",
         .refused = "auth rule 4.3.5.2"},
        {.name = "RestrictedInV7",
         .version = "7",
         .join_rule = "restricted",
         .becomes = "join",
         .more = R"({"join_authorised_via_users_server":"@mod:c.example"})",
         .refused = "auth rule 4.2.6"},
        {.name = "KnockRestrictedInV9",
         .version = "9",
         .ann = "invite",
         .join_rule = "knock_restricted",
         .becomes = "join",
         .refused = "auth rule 4.3.7"},
        {.name = "KnockRestrictedInV10", .ann = "invite", .join_rule = "knock_restricted", .becomes = "join"},
    }),
    CaseName);

INSTANTIATE_TEST_SUITE_P(
    InviteAndKnock, MemberRules,
    testing::ValuesIn(std::vector<MemberCase>{
        {.name = "Invite", .becomes = "invite", .by = kMod},
        {.name = "InviteByWhoIsGone", .mod = "leave", .becomes = "invite", .by = kMod, .refused = "auth rule 4.4.2"},
        {.name = "InviteOfAMember", .ann = "join", .becomes = "invite", .by = kMod, .refused = "auth rule 4.4.3"},
        {.name = "InviteOfTheBanned", .ann = "ban", .becomes = "invite", .by = kMod, .refused = "auth rule 4.4.3"},
        {.name = "InviteBelowTheLevel",
         .levels = R"({"invite":51})",
         .becomes = "invite",
         .by = kMod,
         .refused = "auth rule 4.4.5"},
        {.name = "Knock", .join_rule = "knock", .becomes = "knock"},
        {.name = "KnockAgain", .ann = "knock", .join_rule = "knock", .becomes = "knock"},
        {.name = "KnockAtAClosedDoor", .join_rule = "invite", .becomes = "knock", .refused = "auth rule 4.7.1"},
        {.name = "KnockOfTheInvited",
         .ann = "invite",
         .join_rule = "knock",
         .becomes = "knock",
         .refused = "auth rule 4.7.4"},
        {.name = "KnockOfTheBanned",
         .ann = "ban",
         .join_rule = "knock",
         .becomes = "knock",
         .refused = "auth rule 4.7.4"},
        {.name = "KnockForAnother", .join_rule = "knock", .becomes = "knock", .by = kMod, .refused = "auth rule 4.7.2"},
        {.name = "KnockInV6", .version = "6", .join_rule = "knock", .becomes = "knock", .refused = "auth rule 4.6"},
        {.name = "Nonsense", .becomes = "lurk", .refused = "auth rule 4.8"},
        {.name = "NonsenseInV12",
         .version = "12",
         .levels = R"({"users":{"@mod:c.example":50}})",
         .becomes = "lurk",
         .refused = "auth rule 5.8"},
    }),
    CaseName);

TEST(MemberRules, TheCreatorsFirstJoinNeedsNoJoinRule) {
  for (const std::string version : {"1", "10", "11", "12"}) {
    TestRoom room = RoomBuilder(version).Build();
    EXPECT_EQ(CheckAuthRules(room.events()[1], room.state()).rule, version == "1"    ? "auth rule 5.2.1"
                                                                   : version == "12" ? "auth rule 5.3.1"
                                                                                     : "auth rule 4.3.1");
  }
}

TEST(MemberRules, InV12ACreatorOutranksEveryLevel) {
  const TestRoom room = RoomBuilder("12")
                            .PowerLevels(R"({"users":{"@mod:c.example":9007199254740991},"kick":100})")
                            .Member(kMod, "join")
                            .Build();
  EXPECT_TRUE(CheckAuthRules(room.Member(kMod, "leave", kCreator), room.state()).allowed());
  EXPECT_EQ(CheckAuthRules(room.Member(kCreator, "leave", kMod), room.state()).rule, "auth rule 5.5.5");
}

TEST(MemberRules, AnInviteWithoutStateKeyOrMembershipIsRefusedFirst) {
  const TestRoom room = RoomBuilder("10").Build();
  const Event event =
      room.Mint({.type = "m.room.member", .state_key = std::nullopt, .sender = kCreator, .content = {}});
  EXPECT_EQ(CheckAuthRules(event, room.state()).rule, "auth rule 4.1");
}

class ThirdPartyInvite : public testing::Test {
 protected:
  /// An invite that names `signed_by` as who vouches, in a room whose promise has the keys of `trusted`.
  RuleResult Judge(const std::vector<std::string>& trusted, const std::string& signed_by, std::string_view mxid = kAnn,
                   std::string_view ann = "") {
    JsonArray keys;
    for (const std::string& name : trusted) {
      JsonObject key;
      key.Set("public_key", Json(EncodeBase64(KeyOf(name).public_key())));
      keys.push_back(Json(std::move(key)));
    }
    JsonObject promise;
    promise.Set("public_keys", Json(std::move(keys)));
    const TestRoom room =
        RoomBuilder("10").Member(kAnn, ann).State("m.room.third_party_invite", "token", CanonicalJson(promise)).Build();
    JsonObject signed_part = Object(R"({"token":"token"})");
    signed_part.Set("mxid", Json(mxid));
    SignJson(signed_part, signed_by, KeyOf(signed_by));
    JsonObject third_party;
    third_party.Set("signed", Json(std::move(signed_part)));
    JsonObject content = Object(R"({"membership":"invite"})");
    content.Set("third_party_invite", Json(std::move(third_party)));
    return CheckAuthRules(
        room.Mint({.type = "m.room.member", .state_key = kAnn, .sender = kCreator, .content = std::move(content)}),
        room.state());
  }
};

TEST_F(ThirdPartyInvite, CountsWhenAnyTrustedKeySignedIt) {
  EXPECT_EQ(Judge({"other.example", "id.example"}, "id.example").rule, "auth rule 4.4.1.7");
  EXPECT_EQ(Judge({"other.example"}, "id.example").rule, "auth rule 4.4.1.8");
  EXPECT_EQ(Judge({"id.example"}, "id.example", "@bob:b.example").rule, "auth rule 4.4.1.4");
  EXPECT_EQ(Judge({"id.example"}, "id.example", kAnn, "ban").rule, "auth rule 4.4.1.1");
}

TEST(ThirdPartySignature, BoundsTheWorkThatAStrangerCanAskFor) {
  const auto promise = [](std::size_t others) {
    JsonArray keys(others, Json(Object(R"({"public_key":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"})")));
    JsonObject last;
    last.Set("public_key", Json(EncodeBase64(KeyOf("id.example").public_key())));
    keys.push_back(Json(std::move(last)));
    JsonObject content;
    content.Set("public_keys", Json(std::move(keys)));
    return content;
  };
  JsonObject signed_part = Object(R"({"mxid":"@ann:b.example","token":"token"})");
  SignJson(signed_part, "id.example", KeyOf("id.example"));
  EXPECT_TRUE(HasThirdPartySignature(signed_part, promise(1000)));
  EXPECT_FALSE(HasThirdPartySignature(signed_part, promise(2000)));
}

}  // namespace
}  // namespace postern::matrix
