// What a server is told whose user has just joined: the state before the join page by page, events by their ids, the
// room's servers; and what deciding about a join by way of another room takes.
#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <set>

#include "matrix/identifiers.h"
#include "tests/contract/store_contract.h"
#include "tests/support/store_requests.h"

namespace postern::contract {
namespace {

namespace v1 = store::v1;
using matrix::Event;
using matrix::Reason;
using store::v1::Store;
using support::Object;
using support::RoomBuilder;
using support::TestRoom;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAreArray;

constexpr const char* kAnn = "@ann:b.example";
constexpr const char* kCat = "@cat:d.example";

v1::JoinConditions::Standing StandingAt(const v1::JoinConditions& conditions, int place) {
  return static_cast<v1::JoinConditions::Standing>(conditions.standings(place));
}

}  // namespace

v1::GetStatePageResponse JoinReadsContract::Page(const TestRoom& room, const Event& event, bool without_members,
                                                 const matrix::v1::StateKey* place) {
  v1::GetStatePageRequest request;
  request.set_room_id(room.room_id());
  request.set_event_id(event.event_id());
  request.set_without_members(without_members);
  if (place != nullptr) *request.mutable_place() = *place;
  v1::GetStatePageResponse page;
  const grpc::Status status = Call(&Store::Stub::GetStatePage, request, page);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return page;
}

std::vector<std::string> JoinReadsContract::StateBefore(const TestRoom& room, const Event& event,
                                                        bool without_members) {
  std::vector<std::string> ids;
  matrix::v1::StateKey place;
  const matrix::v1::StateKey* from = nullptr;
  for (;;) {
    const v1::GetStatePageResponse page = Page(room, event, without_members, from);
    for (const v1::RoomEvent& entry : page.events()) ids.push_back(entry.event_id());
    if (!page.has_next()) return ids;
    place = page.next();
    from = &place;
  }
}

TEST_P(JoinReadsContract, TheStateBeforeAnEventIsToldWithItsAuthEvents) {
  const TestRoom room = MakeRoom();
  std::map<std::pair<std::string, std::string>, const Event*> before;
  for (const Event& event : room.events()) {
    if (&event != &room.tip()) before[{event.type(), *event.state_key()}] = &event;
  }
  const v1::GetStatePageResponse page = Page(room, room.tip());
  EXPECT_FALSE(page.has_next());
  EXPECT_THAT(page.events(), SizeIs(static_cast<int>(before.size())));
  for (const auto& [key, event] : before) {
    const auto told = std::ranges::find(page.events(), event->event_id(), &v1::RoomEvent::event_id);
    ASSERT_NE(told, page.events().end()) << key.first;
    EXPECT_EQ(told->pdu(), TestRoom::Text(*event));
    EXPECT_THAT(told->auth_events(), UnorderedElementsAreArray(event->auth_events()));
  }
}

TEST_P(JoinReadsContract, TheStateStaysWhatItWas) {
  const TestRoom room = MakeRoom();
  const Event join = room.Member(kAnn, "join");
  Judge(join);
  const auto then = StateBefore(room, join);
  Judge(room.Leave(kCat));
  EXPECT_THAT(StateBefore(room, join), UnorderedElementsAreArray(then));
}

/// On another branch, and after one.
TEST_P(JoinReadsContract, AStateThatIsNotTheRoomsCurrentOneIsToldToo) {
  const TestRoom room = MakeRoom();
  const Event first =
      room.Mint({.type = "m.room.topic", .state_key = "", .sender = room.creator(), .content = Object("{}")});
  const Event second =
      room.Mint({.type = "org.example.x", .state_key = "k", .sender = room.creator(), .content = Object("{}")});
  JudgeAlone(first);
  JudgeAlone(second);
  const Event on_second = room.Mint({.type = "m.room.message",
                                     .state_key = std::nullopt,
                                     .sender = room.creator(),
                                     .content = Object(R"({"body":"x"})"),
                                     .prev_events = {&second}});
  JudgeAlone(on_second);
  v1::GetStateIdsRequest request;
  request.set_room_id(room.room_id());
  request.set_asker("d.example");
  for (const Event* event : {&first, &second, &on_second}) {
    request.set_event_id(event->event_id());
    v1::GetStateIdsResponse ids;
    ASSERT_TRUE(Call(&Store::Stub::GetStateIds, request, ids).ok());
    EXPECT_THAT(StateBefore(room, *event), UnorderedElementsAreArray(ids.state()));
  }
}

TEST_P(JoinReadsContract, ALargeStateComesInPagesEachEventOnce) {
  RoomBuilder builder("10");
  for (int i = 0; i < 1100; ++i) builder.State("org.example.x", std::to_string(i), "{}");
  const std::string large(60'000, 'x');
  for (int i = 0; i < 40; ++i) {
    builder.State("m.room.z", std::to_string(i), R"({"x":")" + large + "\"}");
  }
  builder.State("m.room.topic", "", "{}");
  const TestRoom room = builder.Build();
  Create(room);
  const v1::GetStatePageResponse page = Page(room, room.tip());
  EXPECT_TRUE(page.has_next());
  EXPECT_LE(page.ByteSizeLong(), 1'300'000U);
  const auto ids = StateBefore(room, room.tip());
  EXPECT_EQ(std::set<std::string>(ids.begin(), ids.end()).size(), ids.size());
  std::set<std::pair<std::string, std::string>> keys;
  for (const Event& event : room.events()) {
    if (&event != &room.tip()) keys.insert({event.type(), *event.state_key()});
  }
  EXPECT_EQ(ids.size(), keys.size());
  // Again, without members, from every place: the same but for these.
  const auto without = StateBefore(room, room.tip(), true);
  std::vector<std::string> others;
  for (const Event& event : room.events()) {
    const bool there = std::ranges::find(ids, event.event_id()) != ids.end();
    if (there && (event.type() != "m.room.member")) others.push_back(event.event_id());
  }
  EXPECT_THAT(without, UnorderedElementsAreArray(others));  // the creator joins first, and is the sender
}

TEST_P(JoinReadsContract, WithoutMembersANamelessRoomIsToldWithThoseItIsCalledBy) {
  for (const bool named : {false, true}) {
    RoomBuilder builder("10", named ? "@creator:named.example" : "@creator:a.example");
    for (int i = 0; i < 9; ++i) builder.Member("@u" + std::to_string(i) + ":b.example", i == 3 ? "leave" : "join");
    builder.Member("@guest:c.example", "invite");
    if (named) builder.State("m.room.name", "", R"({"name":"x"})");
    const TestRoom room = builder.Build();
    Create(room);
    const Event join = room.Member("@guest:c.example", "join");
    Judge(join);
    std::vector<std::string> members;
    const v1::GetStatePageResponse page = Page(room, join, true);
    for (const v1::RoomEvent& event : page.events()) {
      const auto json = matrix::ParseJson(event.pdu());
      if (*json->AsObject()->Find("type")->AsString() != "m.room.member") continue;
      members.push_back(*json->AsObject()->Find("state_key")->AsString());
    }
    if (named) {
      EXPECT_THAT(members, IsEmpty());
      continue;
    }
    EXPECT_THAT(members, SizeIs(5));
    for (const std::string& user : members) {
      EXPECT_NE(user, "@guest:c.example");
      EXPECT_NE(user, "@u3:b.example");
    }
  }
}

TEST_P(JoinReadsContract, OfWhatWasNotAcceptedNoStateIsTold) {
  const TestRoom room = MakeRoom();
  const Event soft = room.Leave(kAnn);
  Judge(soft, matrix::v1::OUTCOME_SOFT_FAILED);
  v1::GetStatePageRequest request;
  v1::GetStatePageResponse page;
  request.set_room_id(room.room_id());
  for (const std::string& id : {soft.event_id(), std::string("$none")}) {
    request.set_event_id(id);
    EXPECT_EQ(ReasonOf(Call(&Store::Stub::GetStatePage, request, page)), Reason::kUnknownEvent);
  }
  request.set_event_id(room.tip().event_id());
  request.set_room_id("!none:a.example");
  EXPECT_EQ(ReasonOf(Call(&Store::Stub::GetStatePage, request, page)), Reason::kUnknownEvent);
}

TEST_P(JoinReadsContract, EventsAreToldByTheirIdsAsManyAsFit) {
  RoomBuilder builder("10");
  const std::string large(60'000, 'x');
  for (int i = 0; i < 30; ++i) builder.State("org.example.x", std::to_string(i), R"({"x":")" + large + "\"}");
  const TestRoom room = builder.Build();
  Create(room);
  const Event soft = room.Leave(room.creator());
  Judge(soft, matrix::v1::OUTCOME_SOFT_FAILED);
  v1::GetRoomEventsRequest request;
  request.set_room_id(room.room_id());
  request.add_event_ids("$none");
  request.add_event_ids(soft.event_id());
  for (const Event& event : room.events()) request.add_event_ids(event.event_id());
  std::vector<std::string> told;
  int asked = 0;
  while (!request.event_ids().empty()) {
    v1::GetRoomEventsResponse answer;
    ASSERT_TRUE(Call(&Store::Stub::GetRoomEvents, request, answer).ok());
    ASSERT_GE(answer.looked_at(), 1U);
    EXPECT_LE(answer.ByteSizeLong(), 1'200'000U);
    for (const v1::RoomEvent& event : answer.events()) told.push_back(event.event_id());
    request.mutable_event_ids()->erase(request.event_ids().begin(),
                                       request.event_ids().begin() + static_cast<int>(answer.looked_at()));
    ++asked;
  }
  EXPECT_GT(asked, 1);
  std::vector<std::string> all;
  for (const Event& event : room.events()) all.push_back(event.event_id());
  EXPECT_EQ(told, all);
  v1::GetRoomEventsResponse answer;
  EXPECT_EQ(ReasonOf(Call(&Store::Stub::GetRoomEvents, request, answer)), Reason::kInvalidArgument) << "of none";
}

TEST_P(JoinReadsContract, TheServersOfARoomAreThoseWithJoinedUsers) {
  const TestRoom room = MakeRoom();
  const auto servers = [&](const std::string& after, const std::string& not_for) {
    v1::ListRoomServersRequest request;
    request.set_room_id(room.room_id());
    request.set_after(after);
    request.set_not_for(not_for);
    v1::ListRoomServersResponse answer;
    EXPECT_TRUE(Call(&Store::Stub::ListRoomServers, request, answer).ok());
    return std::vector<std::string>(answer.server_names().begin(), answer.server_names().end());
  };
  EXPECT_THAT(servers("", ""), ElementsAre("a.example", "c.example", "d.example"));
  EXPECT_THAT(servers("a.example", ""), ElementsAre("c.example", "d.example"));
  EXPECT_THAT(servers("", kCat), ElementsAre("a.example", "c.example"));
  EXPECT_THAT(servers("", "@dog:d.example"), ElementsAre("a.example", "c.example", "d.example"));
  Judge(room.Member(kAnn, "join"));
  EXPECT_THAT(servers("", kAnn), ElementsAre("a.example", "c.example", "d.example"));
  EXPECT_THAT(servers("", ""), ElementsAre("a.example", "b.example", "c.example", "d.example"));
}

TEST_P(JoinReadsContract, AJoinsConditionsAreHowTheUserStandsInOtherRooms) {
  const TestRoom room = RoomBuilder("10").Member("@local:a.example", "join").Member("@gone:a.example", "leave").Build();
  const TestRoom joined =
      RoomBuilder("10", "@x:one.example").Member("@l:a.example", "join").Member(kAnn, "join").Build();
  const TestRoom invited =
      RoomBuilder("10", "@x:two.example").Member("@l:a.example", "join").Member(kAnn, "invite").Build();
  const TestRoom left =
      RoomBuilder("10", "@x:three.example").Member("@l:a.example", "join").Member(kAnn, "leave").Build();
  const TestRoom not_here = RoomBuilder("10", "@four:else.example").Member(kAnn, "join").Build();
  for (const TestRoom* made : {&room, &joined, &invited, &left, &not_here}) Create(*made);
  v1::GetJoinConditionsRequest request;
  request.set_room_id(room.room_id());
  request.set_user_id(kAnn);
  for (const TestRoom* other : {&left, &joined, &not_here, &invited}) request.add_other_rooms(other->room_id());
  request.add_other_rooms("!none:a.example");
  request.add_candidates("@nobody:a.example");
  request.add_candidates("@local:a.example");
  request.add_candidates("@gone:a.example");
  v1::JoinConditions answer;
  ASSERT_TRUE(Call(&Store::Stub::GetJoinConditions, request, answer).ok());
  ASSERT_THAT(answer.standings(), SizeIs(5));
  EXPECT_EQ(StandingAt(answer, 0), v1::JoinConditions::STANDING_NOT_JOINED);
  EXPECT_EQ(StandingAt(answer, 1), v1::JoinConditions::STANDING_JOINED);
  EXPECT_EQ(StandingAt(answer, 2), v1::JoinConditions::STANDING_UNKNOWN) << "nobody of this server is in it";
  EXPECT_EQ(StandingAt(answer, 3), v1::JoinConditions::STANDING_NOT_JOINED);
  EXPECT_EQ(StandingAt(answer, 4), v1::JoinConditions::STANDING_UNKNOWN);
  EXPECT_THAT(answer.joined_users(), ElementsAre("@local:a.example", "@creator:a.example"));
  request.set_room_id("!none:a.example");
  EXPECT_EQ(ReasonOf(Call(&Store::Stub::GetJoinConditions, request, answer)), Reason::kUnknownRoom);
  for (int i = 0; i < 100; ++i) request.add_other_rooms("!none:a.example");
  EXPECT_EQ(ReasonOf(Call(&Store::Stub::GetJoinConditions, request, answer)), Reason::kInvalidArgument);
}

}  // namespace postern::contract
