// Forward extremities are gathered: by whom, when, and what stands in the way.
#include "services/gateway/dummy_events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "matrix/event.h"
#include "matrix/refusal.h"
#include "tests/gateway/hand_moved_alarm.h"
#include "tests/gateway/on_fakes.h"

namespace postern::gateway {
namespace {

using matrix::JsonObject;
using matrix::Reason;
using testing::Each;
using testing::IsEmpty;
using testing::Le;
using testing::SizeIs;

constexpr std::string_view kDeputy = "@deputy:here.example";

/// A room that many have left, from templates of one tip.
class Gathering : public OnFakes {
 protected:
  Gathering() { Begin(); }
  explicit Gathering(const std::string& version) : OnFakes(version) { Begin(); }

  void Begin() {
    rig_.committed_ = [this](const std::string& room_id, std::uint32_t extremities) {
      dummy_events_.Notice(room_id, extremities);
    };
  }

  CreatedRoom RoomThatManyLeave(int users) {
    const CreatedRoom room = MakeRoom("public");
    LeaveAtOnce(room, Fill(room, users, "join"));
    return room;
  }
  void LeaveAtOnce(const CreatedRoom& room, const std::vector<std::string>& users) {
    rig_.clock_.Advance(absl::Seconds(5));
    std::vector<JsonObject> leaves;
    for (const std::string& user : users) leaves.push_back(Leave(room.room_id, user));
    for (const JsonObject& leave : leaves) EXPECT_EQ(Submit(room.room_id, leave).status, 200);
  }

  /// Lets what is due within `time` happen.
  void Pass(absl::Duration time) {
    rig_.clock_.Advance(time);
    for (int round = 0; round < 10; ++round) {
      alarm_.RunUntil(rig_.clock_.now());
      dummy_events_.Drain();
    }
  }

  std::vector<std::string> Extremities(const CreatedRoom& room) {
    store::v1::GetRoomRequest request;
    request.set_room_id(room.room_id);
    const auto found = store_.GetRoom(call_, request);
    EXPECT_TRUE(found.ok());
    return {found->forward_extremities().begin(), found->forward_extremities().end()};
  }
  matrix::Event EventOf(const std::string& event_id) {
    store::v1::GetEventRequest request;
    request.set_event_id(event_id);
    const auto found = store_.GetEvent(call_, request);
    EXPECT_TRUE(found.ok());
    return *matrix::Event::Parse(found->pdu(), rig_.rules());
  }
  std::vector<matrix::Event> DummiesAmong(const std::vector<std::string>& event_ids) {
    std::vector<matrix::Event> dummies;
    for (const std::string& id : event_ids) {
      if (matrix::Event event = EventOf(id); event.type() == DummyEvents::kType) dummies.push_back(std::move(event));
    }
    return dummies;
  }
  void SetPowerLevels(const CreatedRoom& room, std::string_view content) {
    EventIntent intent{"m.room.power_levels", "", std::string(kCreator), ObjectOrDie(content)};
    ASSERT_TRUE(author_.AddAsOurs(call_, room.room_id, std::move(intent)).ok());
  }

  /// "" if there is not one.
  std::string SenderOfTheOneDummy(const CreatedRoom& room) {
    const auto dummies = DummiesAmong(Extremities(room));
    EXPECT_THAT(dummies, SizeIs(1));
    return dummies.size() == 1 ? dummies.front().sender() : "";
  }
  void JoinDeputy(const CreatedRoom& room) {
    const std::string deputy(kDeputy);
    EventIntent join{"m.room.member", deputy, deputy, ObjectOrDie(R"({"membership":"join"})")};
    ASSERT_TRUE(author_.AddAsOurs(call_, room.room_id, std::move(join)).ok());
  }

  HandMovedAlarm alarm_;
  DummyEvents dummy_events_{*matrix::ServerName::Parse(kOurName), author_,      rig_.store_, alarm_,
                            [this] { return rig_.clock_.now(); }, rig_.metrics_};
};

class GatheringV10 : public Gathering {
 protected:
  GatheringV10() : Gathering("10") {}
};

INSTANTIATE_TEST_SUITE_P(Versions, Gathering,
                         testing::Values("1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"),
                         [](const auto& tested) { return "V" + tested.param; });

TEST_P(Gathering, ManyExtremitiesBecomeOneOfOursAndTheRest) {
  const CreatedRoom room = RoomThatManyLeave(30);
  ASSERT_THAT(Extremities(room), SizeIs(30));
  Pass(absl::Seconds(1));
  const auto left = Extremities(room);
  EXPECT_THAT(left, SizeIs(Le(kMostForwardExtremities)));
  const auto dummies = DummiesAmong(left);
  ASSERT_THAT(dummies, testing::Not(IsEmpty()));
  for (const matrix::Event& dummy : dummies) {
    EXPECT_EQ(dummy.sender(), kCreator);
    EXPECT_FALSE(dummy.is_state());
    EXPECT_EQ(dummy.content().size(), 0U);
    EXPECT_THAT(dummy.prev_events(), SizeIs(Le(20U)));
  }
}

TEST_P(Gathering, ALeaveFromATemplateAfterThatIsTaken) {
  const CreatedRoom room = MakeRoom("public");
  auto users = Fill(room, 30, "join");
  const std::string last = users.back();
  users.pop_back();
  LeaveAtOnce(room, users);
  Pass(absl::Seconds(1));
  EXPECT_EQ(Submit(room.room_id, Leave(room.room_id, last)).status, 200);
  EXPECT_EQ(MembershipOf(room.room_id, last), "leave");
}

TEST_P(Gathering, ALargeBurstIsGatheredByEventsThatFollowEachOther) {
  const CreatedRoom room = RoomThatManyLeave(100);
  Pass(absl::Seconds(1));
  const auto left = Extremities(room);
  EXPECT_THAT(left, SizeIs(5));
  auto last = DummiesAmong(left);
  ASSERT_THAT(last, SizeIs(1));
  std::size_t events = 1;
  for (matrix::Event event = std::move(last.front());; ++events) {
    EXPECT_THAT(event.prev_events(), SizeIs(20));
    auto before = DummiesAmong({event.prev_events().begin(), event.prev_events().end()});
    if (before.empty()) break;
    ASSERT_THAT(before, SizeIs(1));
    EXPECT_EQ(event.depth(), before.front().depth() + 1);
    event = std::move(before.front());
  }
  EXPECT_EQ(events, 5U);
}

TEST_P(Gathering, BranchesThatDisagreeAboutStateAreGatheredToo) {
  const CreatedRoom room = MakeRoom("public");
  const auto users = Fill(room, 14, "join");
  rig_.clock_.Advance(absl::Seconds(5));
  std::vector<JsonObject> leaves;
  for (const std::string& user : users) leaves.push_back(Leave(room.room_id, user));
  rig_.clock_.Advance(absl::Seconds(1));
  ASSERT_EQ(SetMember(room.room_id, "@other:remote.example", "invite"), Reason::kNone);
  for (const JsonObject& leave : leaves) EXPECT_EQ(Submit(room.room_id, leave).status, 200);
  Pass(absl::Seconds(1));
  EXPECT_THAT(Extremities(room), SizeIs(Le(kMostForwardExtremities)));
  for (const std::string& user : users) EXPECT_EQ(MembershipOf(room.room_id, user), "leave");
  EXPECT_EQ(MembershipOf(room.room_id, "@other:remote.example"), "invite");
}

TEST_F(GatheringV10, TenExtremitiesAreLeftAlone) {
  const CreatedRoom room = RoomThatManyLeave(static_cast<int>(kMostForwardExtremities));
  Pass(absl::Minutes(5));
  EXPECT_THAT(Extremities(room), SizeIs(kMostForwardExtremities));
}

TEST_F(GatheringV10, ABurstIsGatheredOnceItHasPaused) {
  int leases = 0;
  const auto usual = rig_.store_.on_lease;
  rig_.store_.on_lease = [&](const auto& request) {
    if (request.milliseconds() > 0) ++leases;
    return usual(request);
  };
  const CreatedRoom room = RoomThatManyLeave(20);
  EXPECT_EQ(leases, 0);
  Pass(absl::Seconds(1));
  EXPECT_EQ(leases, 1);
  EXPECT_THAT(Extremities(room), SizeIs(1));
}

TEST_F(GatheringV10, MoreThanOneChainTakesAreGatheredAtOnce) {
  const CreatedRoom room = RoomThatManyLeave(200);
  Pass(absl::Milliseconds(150));
  EXPECT_THAT(Extremities(room), SizeIs(Le(kMostForwardExtremities)));
}

TEST_F(GatheringV10, WhatFollowsAnEventThatIsNotStoredIsMadeAnew) {
  const CreatedRoom room = RoomThatManyLeave(100);
  const auto usual = rig_.store_.on_persist;
  int asked = 0;
  rig_.store_.on_persist = [&](const auto& request) -> absl::StatusOr<store::v1::PersistEventResponse> {
    if (++asked != 3) return usual(request);
    store::v1::PersistEventResponse conflict;
    conflict.mutable_fresh_context();
    return conflict;
  };
  Pass(absl::Seconds(1));
  EXPECT_GT(asked, 3);
  EXPECT_THAT(Extremities(room), SizeIs(Le(kMostForwardExtremities)));
}

TEST_F(GatheringV10, AStoreOfAnEarlierReleaseIsAskedForOneEventAfterAnother) {
  const auto usual = rig_.store_.on_template;
  rig_.store_.on_template = [&](auto request) {
    request.clear_most_prev_events();
    auto context = usual(request);
    if (context.ok()) context->clear_prev_depths();
    return context;
  };
  const CreatedRoom room = RoomThatManyLeave(100);
  Pass(absl::Seconds(1));
  EXPECT_THAT(Extremities(room), SizeIs(Le(kMostForwardExtremities)));
}

TEST_F(GatheringV10, TheMostPowerfulWhoIsJoinedSends) {
  const CreatedRoom room = MakeRoom("public");
  const auto users = Fill(room, 15, "join");
  JoinDeputy(room);
  SetPowerLevels(room, R"({"users":{"@boss:here.example":100,"@deputy:here.example":99,"@absent:here.example":100,
                                    "@ann:remote.example":100}})");
  LeaveAtOnce(room, users);
  Pass(absl::Seconds(1));
  EXPECT_EQ(SenderOfTheOneDummy(room), kCreator);
}

TEST_F(GatheringV10, WhereThatOneIsRefusedTheNextSends) {
  const CreatedRoom room = MakeRoom("public");
  const auto users = Fill(room, 15, "join");
  const auto usual = rig_.validator_.on_authorize;
  rig_.validator_.on_authorize = [&](const auto& request) -> absl::StatusOr<validator::v1::AuthorizeResponse> {
    if (request.pdu().find(R"("sender":"@boss)") == std::string::npos) return usual(request);
    return validator::v1::AuthorizeResponse();
  };
  JoinDeputy(room);
  LeaveAtOnce(room, users);
  Pass(absl::Seconds(1));
  EXPECT_EQ(SenderOfTheOneDummy(room), kDeputy);
}

TEST_F(GatheringV10, WhereNobodyHereMayItIsTriedAgainAfterAMinute) {
  const CreatedRoom room = MakeRoom("public");
  const auto users = Fill(room, 17, "join");
  SetPowerLevels(room, R"({"users":{"@boss:here.example":50},"events":{"org.matrix.dummy_event":100}})");
  LeaveAtOnce(room, {users.begin(), users.begin() + 15});
  Pass(absl::Seconds(1));
  EXPECT_THAT(Extremities(room), SizeIs(15));
  EXPECT_THAT(rig_.metrics_.Expose(),
              testing::HasSubstr(R"(postern_gateway_dummy_events_total{outcome="nobody_may"} 1)"));

  dummy_events_.Notice(room.room_id, 15);
  Pass(absl::Seconds(50));
  EXPECT_THAT(rig_.metrics_.Expose(),
              testing::HasSubstr(R"(postern_gateway_dummy_events_total{outcome="nobody_may"} 1)"));
  rig_.clock_.Advance(absl::Seconds(20));
  dummy_events_.Notice(room.room_id, 15);
  Pass(absl::Seconds(1));
  EXPECT_THAT(rig_.metrics_.Expose(),
              testing::HasSubstr(R"(postern_gateway_dummy_events_total{outcome="nobody_may"} 2)"));
}

TEST_F(GatheringV10, WhereAnotherGatewayGathersThisOneDoesNot) {
  store::v1::LeaseExtremitiesRequest request;
  const CreatedRoom room = RoomThatManyLeave(15);
  request.set_room_id(room.room_id);
  request.set_holder("another");
  request.set_milliseconds(60'000);
  ASSERT_TRUE(store_.LeaseExtremities(call_, request)->granted());
  Pass(absl::Seconds(1));
  EXPECT_THAT(Extremities(room), SizeIs(15));
  request.set_milliseconds(0);
  ASSERT_TRUE(store_.LeaseExtremities(call_, request).ok());
  dummy_events_.Notice(room.room_id, 15);
  Pass(absl::Seconds(1));
  EXPECT_THAT(Extremities(room), SizeIs(1));
}

TEST_F(GatheringV10, AfterAFailureItIsTriedAgain) {
  const CreatedRoom room = RoomThatManyLeave(15);
  const auto usual = rig_.store_.on_persist;
  rig_.store_.on_persist = [](const auto&) { return matrix::Refuse(Reason::kStoreDown, "scripted"); };
  Pass(absl::Seconds(1));
  EXPECT_THAT(Extremities(room), SizeIs(15));
  rig_.store_.on_persist = usual;
  Pass(absl::Seconds(10));
  EXPECT_THAT(Extremities(room), SizeIs(1));
}

TEST_F(GatheringV10, WhatIsLeftBehindWhileTheLeaseIsHeldIsGatheredToo) {
  const CreatedRoom room = MakeRoom("public");
  const auto users = Fill(room, 30, "join");
  rig_.clock_.Advance(absl::Seconds(5));
  std::vector<JsonObject> leaves;
  for (const std::string& user : users) leaves.push_back(Leave(room.room_id, user));
  for (std::size_t i = 0; i < 12; ++i) EXPECT_EQ(Submit(room.room_id, leaves[i]).status, 200);
  // The rest comes just before the lease is given back.
  const auto usual = rig_.store_.on_lease;
  bool late = false;
  rig_.store_.on_lease = [&](const auto& request) {
    if (request.milliseconds() == 0 && !std::exchange(late, true)) {
      for (std::size_t i = 12; i < leaves.size(); ++i) EXPECT_EQ(Submit(room.room_id, leaves[i]).status, 200);
    }
    return usual(request);
  };
  Pass(absl::Seconds(1));
  Pass(absl::Seconds(1));
  EXPECT_TRUE(late);
  EXPECT_THAT(Extremities(room), SizeIs(Le(kMostForwardExtremities)));
}

}  // namespace
}  // namespace postern::gateway
