// What is kept of the templates of leaves, and of which leaves it tells the context.
#include "services/gateway/remembered_templates.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "matrix/auth_events.h"
#include "tests/gateway/leave_rig.h"

namespace postern::gateway {
namespace {

using store::v1::GetEventContextRequest;
using store::v1::TemplateContext;

constexpr char kRoom[] = "!room:here.example";
const std::string kUser(kAnn);

/// Of a room with two extremities, a create event, and the user's invite.
TemplateContext Given() {
  TemplateContext given;
  matrix::v1::JudgingContext& room = *given.mutable_judging();
  room.set_room_id(kRoom);
  room.set_room_version("10");
  room.set_extends_all_extremities(true);
  for (const char* tip : {"$one", "$other"}) {
    auto& reference = *room.add_prev_events();
    reference.set_event_id(tip);
    reference.set_known(true);
  }
  const auto entry = [&room](const char* type, const std::string& key, const char* id) {
    auto& told = *room.add_state_now();
    told.set_type(type);
    told.set_state_key(key);
    told.set_event_id(id);
  };
  entry("m.room.create", "", "$create");
  entry("m.room.member", kUser, "$invite");
  *room.mutable_state_before() = room.state_now();
  given.set_user_membership("invite");
  given.set_token("token");
  return given;
}

GetEventContextRequest RequestOf(const std::string& user = kUser) {
  GetEventContextRequest request;
  request.set_room_id(kRoom);
  request.set_event_id("$leave");
  request.set_sender(user);
  for (const char* tip : {"$one", "$other"}) request.add_prev_events(tip);
  for (const char* id : {"$invite", "$create"}) request.add_auth_events(id);
  for (const matrix::StateKey& key : matrix::KeysForLeave(user)) {
    auto& wanted = *request.add_state_keys();
    wanted.set_type(key.type);
    wanted.set_state_key(key.state_key);
  }
  return request;
}

TEST(ContextByTemplate, IsTheTemplatesWithTheAuthEventsThatTheLeaveCites) {
  RememberedTemplates templates;
  templates.Keep(kUser, Given(), absl::UnixEpoch());
  const auto context = templates.Take(RequestOf(), absl::UnixEpoch());
  ASSERT_TRUE(context);
  matrix::v1::JudgingContext expected = Given().judging();
  for (const char* id : {"$invite", "$create"}) {
    auto& reference = *expected.add_auth_events();
    reference.set_event_id(id);
    reference.set_known(true);
  }
  EXPECT_EQ(context->judging().DebugString(), expected.DebugString());
  EXPECT_EQ(context->sender_membership(), "invite");
  EXPECT_EQ(context->token(), "token");
  EXPECT_FALSE(context->has_existing());
}

struct Other {
  std::string name;
  std::function<void(TemplateContext&, GetEventContextRequest&)> alter;
};

class NoContextByTemplate : public testing::TestWithParam<Other> {};

TEST_P(NoContextByTemplate, WhereItDoesNotFollow) {
  TemplateContext given = Given();
  GetEventContextRequest request = RequestOf();
  GetParam().alter(given, request);
  RememberedTemplates templates;
  templates.Keep(kUser, given, absl::UnixEpoch());
  EXPECT_FALSE(templates.Take(request, absl::UnixEpoch()));
}

INSTANTIATE_TEST_SUITE_P(
    Of, NoContextByTemplate,
    testing::Values(
        Other{"AnotherPrevEvent", [](auto&, auto& request) { request.set_prev_events(1, "$older"); }},
        Other{"FewerPrevEvents", [](auto&, auto& request) { request.mutable_prev_events()->RemoveLast(); }},
        Other{"MorePrevEvents", [](auto&, auto& request) { request.add_prev_events("$older"); }},
        Other{"PrevEventsInAnotherOrder",
              [](auto&, auto& request) { request.mutable_prev_events()->SwapElements(0, 1); }},
        Other{"MoreExtremitiesThanATemplateCites",
              [](auto& given, auto&) { given.mutable_judging()->set_extends_all_extremities(false); }},
        Other{"AnExtremityThatIsNotHeld",
              [](auto& given, auto&) { given.mutable_judging()->mutable_prev_events(0)->set_known(false); }},
        Other{"AnAuthEventThatIsNotInTheState", [](auto&, auto& request) { request.add_auth_events("$join_rules"); }},
        Other{"AnotherRoom", [](auto&, auto& request) { request.set_room_id("!other:here.example"); }},
        Other{"OtherKeysOfState", [](auto&, auto& request) { request.mutable_state_keys()->RemoveLast(); }},
        Other{"Branches", [](auto&, auto& request) { request.set_with_branches(true); }},
        Other{"AVersionWhoseEventsCarryTheirIds",
              [](auto& given, auto&) { given.mutable_judging()->set_room_version("2"); }},
        Other{"AVersionThatIsNotKnown", [](auto& given, auto&) { given.mutable_judging()->set_room_version("99"); }}),
    [](const auto& instance) { return instance.param.name; });

class Remembered : public testing::Test {
 protected:
  void Keep(const std::string& user, absl::Time now = absl::UnixEpoch()) { templates_.Keep(user, Given(), now); }
  bool Has(const std::string& user, absl::Time now = absl::UnixEpoch()) {
    return templates_.Take(RequestOf(user), now).has_value();
  }

  const std::size_t bytes_ = Given().ByteSizeLong();
  RememberedTemplates templates_{
      {.most = 3, .most_bytes = 2 * bytes_, .most_bytes_of_one = bytes_, .longest = absl::Minutes(1)}};
};

TEST_F(Remembered, TemplatesAreGivenOnce) {
  Keep(kUser);
  EXPECT_TRUE(Has(kUser));
  EXPECT_FALSE(Has(kUser));
  EXPECT_EQ(templates_.size(), 0U);
}

TEST_F(Remembered, TemplatesStayForTheirLeaveWhateverElseComes) {
  Keep(kUser);
  GetEventContextRequest other = RequestOf();
  other.set_prev_events(0, "$older");
  EXPECT_FALSE(templates_.Take(other, absl::UnixEpoch()));
  EXPECT_TRUE(Has(kUser));
}

TEST_F(Remembered, TemplatesAreTheirUsersAlone) {
  Keep(kUser);
  EXPECT_FALSE(Has("@bob:there.example"));
  EXPECT_TRUE(Has(kUser));
}

TEST_F(Remembered, TemplatesHoldForAMinute) {
  Keep(kUser);
  EXPECT_FALSE(Has(kUser, absl::UnixEpoch() + absl::Seconds(61)));
  EXPECT_EQ(templates_.size(), 0U);
  Keep(kUser);
  EXPECT_TRUE(Has(kUser, absl::UnixEpoch() + absl::Minutes(1)));
}

TEST_F(Remembered, TheNewestOfAUserIsKept) {
  Keep(kUser);
  Keep(kUser, absl::UnixEpoch() + absl::Minutes(1));
  EXPECT_EQ(templates_.size(), 1U);
  EXPECT_TRUE(Has(kUser, absl::UnixEpoch() + absl::Minutes(2)));
}

TEST_F(Remembered, BeyondTheirBytesTheOldestGoes) {
  for (const char* user : {"@a:there.example", "@b:there.example", "@c:there.example"}) Keep(user);
  EXPECT_EQ(templates_.size(), 2U);
  EXPECT_FALSE(Has("@a:there.example"));
  EXPECT_TRUE(Has("@b:there.example"));
  EXPECT_TRUE(Has("@c:there.example"));
}

TEST_F(Remembered, WhatIsTooLargeReplacesWhatWasKept) {
  Keep(kUser);
  TemplateContext large = Given();
  large.mutable_judging()->add_events()->set_pdu("more");
  templates_.Keep(kUser, large, absl::UnixEpoch());
  EXPECT_EQ(templates_.size(), 0U);
}

TEST(RememberedTemplates, AreNoMoreThanTheirNumber) {
  RememberedTemplates templates({.most = 2});
  for (int i = 0; i < 5; ++i) templates.Keep("@" + std::to_string(i) + ":there.example", Given(), absl::UnixEpoch());
  EXPECT_EQ(templates.size(), 2U);
}

}  // namespace
}  // namespace postern::gateway
