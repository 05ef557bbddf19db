// The lease under which a room's forward extremities are gathered.
#include <gmock/gmock.h>

#include "tests/contract/store_contract.h"

namespace postern::contract {
namespace {

namespace v1 = store::v1;
using matrix::Reason;
using store::v1::Store;
using support::RoomBuilder;
using support::TestRoom;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::uint32_t kMinute = 60'000;

v1::LeaseExtremitiesRequest Request(const TestRoom& room, std::string_view holder, std::uint32_t milliseconds) {
  v1::LeaseExtremitiesRequest request;
  request.set_room_id(room.room_id());
  request.set_holder(std::string(holder));
  request.set_milliseconds(milliseconds);
  return request;
}

}  // namespace

TEST_P(StoreContract, ACommitSaysHowManyExtremitiesThereAre) {
  const TestRoom room = MakeRoom();
  EXPECT_EQ(Judge(room.Leave("@ann:b.example")).stored().forward_extremities(), 1U);
  const auto second = room.Leave("@bob:c.example");
  EXPECT_EQ(Judge(second).stored().forward_extremities(), 2U);
  EXPECT_EQ(Judge(second).stored().forward_extremities(), 2U) << "of a replay, too";
}

TEST_P(StoreContract, OneHolderAtATimeHasTheLease) {
  const TestRoom room = MakeRoom();
  v1::LeaseExtremitiesResponse response;
  const auto lease = [&](std::string_view holder, std::uint32_t milliseconds) {
    EXPECT_TRUE(Call(&Store::Stub::LeaseExtremities, Request(room, holder, milliseconds), response).ok());
    return response.granted();
  };
  EXPECT_TRUE(lease("one", kMinute));
  EXPECT_FALSE(lease("two", kMinute));
  EXPECT_THAT(response.joined_users(), IsEmpty());
  EXPECT_TRUE(lease("one", kMinute)) << "its holder may take it again";
  EXPECT_FALSE(lease("two", 0)) << "nobody gives back what is another's";
  EXPECT_FALSE(lease("two", kMinute));
  EXPECT_FALSE(lease("one", 0));
  EXPECT_TRUE(lease("two", kMinute));
}

TEST_P(StoreContract, ALeaseThatHasRunOutIsAnybodys) {
  const TestRoom room = MakeRoom();
  v1::LeaseExtremitiesResponse response;
  ASSERT_TRUE(Call(&Store::Stub::LeaseExtremities, Request(room, "one", 1), response).ok());
  ASSERT_TRUE(response.granted());
  // By its own clock, of which nothing else is known here.
  for (int attempt = 0; attempt < 10'000; ++attempt) {
    ASSERT_TRUE(Call(&Store::Stub::LeaseExtremities, Request(room, "two", kMinute), response).ok());
    if (response.granted()) return;
  }
  FAIL() << "it was never had";
}

TEST_P(StoreContract, WithTheLeaseComesWhoOfThisServerIsJoined) {
  const TestRoom room = RoomBuilder("10")
                            .Member("@zoe:a.example", "join")
                            .Member("@gone:a.example", "leave")
                            .Member("@bob:c.example", "join")
                            .Member("@like:xa.example", "join")
                            .Build();
  Create(room);
  auto request = Request(room, "one", kMinute);
  for (const char* user : {"@gone:a.example", "@zoe:a.example", "@nobody:a.example"}) request.add_candidates(user);
  v1::LeaseExtremitiesResponse response;
  ASSERT_TRUE(Call(&Store::Stub::LeaseExtremities, request, response).ok());
  EXPECT_EQ(response.forward_extremities(), 1U);
  EXPECT_THAT(response.joined_users(), ElementsAre("@zoe:a.example", "@creator:a.example"));
}

TEST_P(StoreContract, RefusesLeasesThatCannotBeMeant) {
  const TestRoom room = MakeRoom();
  v1::LeaseExtremitiesResponse response;
  const auto reason = [&](const v1::LeaseExtremitiesRequest& request) {
    return ReasonOf(Call(&Store::Stub::LeaseExtremities, request, response));
  };
  EXPECT_EQ(reason(Request(room, "", kMinute)), Reason::kInvalidArgument);
  EXPECT_EQ(reason(Request(room, std::string(101, 'x'), kMinute)), Reason::kInvalidArgument);
  EXPECT_EQ(reason(Request(room, "one", kMinute + 1)), Reason::kInvalidArgument);
  auto many = Request(room, "one", kMinute);
  for (int i = 0; i < 1001; ++i) many.add_candidates("@u:a.example");
  EXPECT_EQ(reason(many), Reason::kInvalidArgument);
  auto nowhere = Request(room, "one", kMinute);
  nowhere.set_room_id("!nowhere:a.example");
  EXPECT_EQ(reason(nowhere), Reason::kUnknownRoom);
}

}  // namespace postern::contract
