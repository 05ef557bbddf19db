// Leaves that are judged on what was read for their templates: one round trip less, and no other answer.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <random>

#include "tests/gateway/on_fakes.h"
#include "tests/support/case_count.h"

namespace postern::gateway {
namespace {

using matrix::JsonObject;

/// Versions whose events carry no ids: others are never judged so.
const std::array<std::string, 3> kVersions{"6", "10", "12"};

class RememberedLeaves : public OnFakes {
 protected:
  RememberedLeaves() {
    const auto usual = rig_.store_.on_context;
    rig_.store_.on_context = [this, usual](const auto& request) {
      ++contexts_read_;
      return usual(request);
    };
  }
  int contexts_read_ = 0;
};

TEST_P(RememberedLeaves, AreStoredWithoutAnotherLookAtTheRoom) {
  const CreatedRoom room = MakeRoom();
  ASSERT_EQ(SetMember(room.room_id, kAnn, "invite"), matrix::Reason::kNone);
  contexts_read_ = 0;
  EXPECT_EQ(Submit(room.room_id, Leave(room.room_id, kAnn)).status, 200);
  EXPECT_EQ(contexts_read_, 0);
  EXPECT_EQ(MembershipOf(room.room_id, std::string(kAnn)), "leave");
}

TEST_P(RememberedLeaves, ThatComeAgainAreFoundStored) {
  const CreatedRoom room = MakeRoom();
  ASSERT_EQ(SetMember(room.room_id, kAnn, "invite"), matrix::Reason::kNone);
  const JsonObject leave = Leave(room.room_id, kAnn);
  const std::size_t before = rig_.store_.persists().size();
  EXPECT_EQ(Submit(room.room_id, leave).status, 200);
  EXPECT_EQ(Submit(room.room_id, leave).status, 200);
  EXPECT_EQ(rig_.store_.persists().size(), before + 1);
}

TEST_P(RememberedLeaves, AfterOneThatCommutesStand) {
  const CreatedRoom room = MakeRoom();
  const std::vector<std::string> users = Fill(room, 3, "join");
  rig_.clock_.Advance(absl::Seconds(1));  // else their ids decide whether they are newer than the joins
  std::vector<JsonObject> leaves;
  for (const std::string& user : users) leaves.push_back(Leave(room.room_id, user));
  contexts_read_ = 0;
  for (const JsonObject& leave : leaves) EXPECT_EQ(Submit(room.room_id, leave).status, 200);
  EXPECT_EQ(contexts_read_, 0);
  for (const std::string& user : users) EXPECT_EQ(MembershipOf(room.room_id, user), "leave");
}

TEST_P(RememberedLeaves, ThatAreRefusedAreJudgedOnTheRoomAsItIs) {
  const CreatedRoom room = MakeRoom();
  ASSERT_EQ(SetMember(room.room_id, kAnn, "invite"), matrix::Reason::kNone);
  JsonObject leave = Leave(room.room_id, kAnn);
  leave.Find("signatures")->AsObject()->Erase(kRemoteName);
  contexts_read_ = 0;
  EXPECT_NE(Submit(room.room_id, leave).status, 200);
  EXPECT_LE(contexts_read_, 1);
  EXPECT_EQ(MembershipOf(room.room_id, std::string(kAnn)), "invite");
}

INSTANTIATE_TEST_SUITE_P(Versions, RememberedLeaves, testing::ValuesIn(kVersions),
                         [](const auto& instance) { return "Version" + instance.param; });

/// A room with what its creator and the users of another server do in it.
class Stage : public OnFakes {
 public:
  Stage(const std::string& version, const TemplateLimits& templates) : OnFakes(version, templates), room_(MakeRoom()) {}
  void TestBody() override {}

  /// The same for the same numbers, on whatever stage. What came of it, in words.
  std::string Act(int what, const std::string& user) {
    rig_.clock_.Advance(absl::Seconds(1));
    switch (what) {
      case 0:
      case 1:
      case 2:
        return TakeTemplate(user);
      case 3:
      case 4:
      case 5:
        return SubmitLeave(user);
      case 6:
        return std::string(NameOf(SetMember(room_.room_id, user, "invite")));
      case 7:
        return std::string(NameOf(SetMember(room_.room_id, user, "ban")));
      case 8:
        return std::string(NameOf(SetMember(room_.room_id, user, "leave")));
      case 9:
        return Set("m.room.server_acl", std::string(R"({"allow":["*"],"deny":[")") + std::string(kRemoteName) + "\"]}");
      case 10:
        return Set("m.room.server_acl", R"({"allow":["*"]})");
      default:
        return Set("m.room.topic", R"({"topic":"so"})");
    }
  }
  std::string Membership(const std::string& user) { return MembershipOf(room_.room_id, user); }

 private:
  static std::string NameOf(matrix::Reason reason) { return std::to_string(static_cast<int>(reason)); }

  std::string TakeTemplate(const std::string& user) {
    const auto response = MakeLeave(room_.room_id, user);
    if (response.status == 200) {
      leaves_[user] = rig_.remote_.Complete(*ObjectOrDie(response.body).Find("event")->AsObject(), rig_.rules());
    }
    return "template " + std::to_string(response.status) + ErrcodeOf(response);
  }
  std::string SubmitLeave(const std::string& user) {
    if (!leaves_.contains(user)) return "no leave";
    const auto response = Submit(room_.room_id, leaves_.at(user));
    return "leave " + std::to_string(response.status) + ErrcodeOf(response);
  }
  std::string Set(const char* type, const std::string& content) {
    return NameOf(
        matrix::ReasonOf(author_.AddAsOurs(call_, room_.room_id, {type, "", "", ObjectOrDie(content)}).status()));
  }

  const CreatedRoom room_;
  std::map<std::string, JsonObject> leaves_;
};

TEST(RememberedLeavesAndOthers, AreAnsweredAlike) {
  std::mt19937 random(7);
  const auto below = [&random](int limit) { return std::uniform_int_distribution(0, limit - 1)(random); };
  int left = 0, refused = 0;
  for (int trial = 0; trial < support::CaseCount(60); ++trial) {
    const std::string& version = kVersions[static_cast<std::size_t>(trial) % kVersions.size()];
    Stage remembers(version, {}), reads(version, {.most_bytes = 0});
    std::string told;
    for (int i = 0; i < 60; ++i) {
      const int what = i < 6 ? 6 : below(12);
      const std::string user = "@u" + std::to_string(below(4)) + ":" + std::string(kRemoteName);
      const std::string came = remembers.Act(what, user);
      told += std::to_string(what) + " " + user + ": " + came + "\n";
      ASSERT_EQ(came, reads.Act(what, user)) << version << "\n" << told;
      ASSERT_EQ(remembers.Membership(user), reads.Membership(user)) << told;
      left += came == "leave 200";
      refused += what >= 3 && what <= 5 && came != "leave 200" && came != "no leave";
    }
  }
  EXPECT_GE(left, support::CaseCount(150));
  EXPECT_GE(refused, support::CaseCount(100));
}

}  // namespace
}  // namespace postern::gateway
