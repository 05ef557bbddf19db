// Reads for other servers: what is told, with what deciding about it takes, and how much at most (pitfalls S03, S04).
#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <set>

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
using testing::IsSupersetOf;
using testing::Not;
using testing::SizeIs;
using testing::UnorderedElementsAre;
using testing::UnorderedElementsAreArray;

constexpr const char* kAnn = "@ann:b.example";
constexpr const char* kCat = "@cat:d.example";

Event Message(const TestRoom& room, std::vector<const Event*> prev, std::string_view text = "x") {
  matrix::JsonObject content;
  content.Set("body", text);
  return room.Mint({.type = "m.room.message",
                    .state_key = std::nullopt,
                    .sender = room.creator(),
                    .content = std::move(content),
                    .prev_events = std::move(prev)});
}

std::vector<std::string> Ids(const std::vector<const Event*>& events) {
  std::vector<std::string> ids;
  for (const Event* event : events) ids.push_back(event->event_id());
  return ids;
}

/// The room's event of that type and state key, the last one.
const Event& Find(const TestRoom& room, std::string_view type, std::string_view state_key = "") {
  const Event* found = nullptr;
  for (const Event& event : room.events()) {
    if (event.type() == type && *event.state_key() == state_key) found = &event;
  }
  return *found;
}

std::vector<std::string> Strings(const google::protobuf::RepeatedPtrField<std::string>& ids) {
  return {ids.begin(), ids.end()};
}

}  // namespace

v1::EventForPeer PeerReadsContract::Ask(const TestRoom& room, const Event& event, const std::string& asker) {
  v1::GetEventForPeerRequest request;
  request.set_room_id(room.room_id());
  request.set_event_id(event.event_id());
  request.set_asker(asker);
  v1::EventForPeer answer;
  const grpc::Status status = Call(&Store::Stub::GetEventForPeer, request, answer);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return answer;
}

std::vector<std::string> PeerReadsContract::Missing(const TestRoom& room, const std::vector<std::string>& latest,
                                                    const std::vector<std::string>& earliest, std::uint32_t limit,
                                                    std::int64_t min_depth) {
  v1::GetMissingEventsRequest request;
  request.set_room_id(room.room_id());
  request.set_asker("d.example");
  request.mutable_latest()->Add(latest.begin(), latest.end());
  request.mutable_earliest()->Add(earliest.begin(), earliest.end());
  request.set_limit(limit);
  request.set_min_depth(min_depth);
  v1::GetMissingEventsResponse answer;
  const grpc::Status status = Call(&Store::Stub::GetMissingEvents, request, answer);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return IdsOf(answer.events());
}

TEST_P(PeerReadsContract, AnEventComesWithItsRoom) {
  TestRoom room = RoomBuilder("10")
                      .Member(kCat, "join")
                      .State("m.room.server_acl", "", R"({"allow":["*"]})")
                      .State("m.room.topic", "", R"({"topic":"x"})")
                      .Build();
  Create(room);
  const v1::EventForPeer answer = Ask(room, room.tip(), "d.example");
  EXPECT_EQ(answer.event_id(), room.tip().event_id());
  EXPECT_EQ(answer.pdu(), TestRoom::Text(room.tip()));
  EXPECT_EQ(answer.room().room().room_id(), room.room_id());
  EXPECT_EQ(answer.room().room().room_version(), "10");
  EXPECT_TRUE(answer.room().asker_joined());
  const auto& judging = answer.room().room();
  EXPECT_EQ(support::EntryOf(judging.state_now(), "m.room.create", ""), Find(room, "m.room.create").event_id());
  EXPECT_EQ(support::EntryOf(judging.state_now(), "m.room.server_acl", ""), Find(room, "m.room.server_acl").event_id());
  EXPECT_THAT(judging.state_now(), SizeIs(2));
  EXPECT_THAT(IdsOf(judging.events()), UnorderedElementsAreArray(IdsOf(judging.state_now())));
  for (const auto& event : judging.events()) EXPECT_FALSE(event.pdu().empty());
}

TEST_P(PeerReadsContract, AnEventIsFoundWithoutItsRoom) {
  const TestRoom room = MakeRoom();
  v1::GetEventForPeerRequest request;
  request.set_event_id(room.tip().event_id());
  request.set_asker("d.example");
  v1::EventForPeer answer;
  ASSERT_TRUE(Call(&Store::Stub::GetEventForPeer, request, answer).ok());
  EXPECT_EQ(answer.room().room().room_id(), room.room_id());
  EXPECT_EQ(answer.pdu(), TestRoom::Text(room.tip()));
  request.set_event_id("$nobody-has-it");
  EXPECT_EQ(ReasonOf(Call(&Store::Stub::GetEventForPeer, request, answer)), Reason::kUnknownEvent);
}

/// Versions 1 and 2: an id is what its sender says.
TEST_P(PeerReadsContract, OfTwoRoomsWithOneEventIdTheAskersIsTold) {
  const TestRoom first = RoomBuilder("1", "@one:one.example").Build();
  const TestRoom second = RoomBuilder("1", "@two:two.example").Member(kCat, "join").Build();
  Create(first);
  Create(second);
  const auto put = [&](const TestRoom& room) {
    matrix::JsonObject event =
        room.Unsigned({.type = "m.room.message", .state_key = std::nullopt, .sender = room.creator(), .content = {}});
    event.Set("event_id", "$same:one.example");
    Judge(room.Sign(std::move(event)));
  };
  put(first);
  put(second);
  v1::GetEventForPeerRequest request;
  request.set_event_id("$same:one.example");
  request.set_asker("d.example");
  v1::EventForPeer answer;
  ASSERT_TRUE(Call(&Store::Stub::GetEventForPeer, request, answer).ok());
  EXPECT_EQ(answer.room().room().room_id(), second.room_id());
  request.set_room_id(first.room_id());
  ASSERT_TRUE(Call(&Store::Stub::GetEventForPeer, request, answer).ok());
  EXPECT_EQ(answer.room().room().room_id(), first.room_id());
}

TEST_P(PeerReadsContract, OnlyAcceptedEventsOfTheRoomAreTold) {
  const TestRoom room = MakeRoom();
  const TestRoom other = RoomBuilder("10", "@other:other.example").Build();
  Create(other);
  const Event soft = room.Leave(kAnn);
  Judge(soft, matrix::v1::OUTCOME_SOFT_FAILED);
  const Event refused = room.Leave(kCat);
  Judge(refused, matrix::v1::OUTCOME_REJECTED);
  const auto reasons = [&](const std::string& room_id, const std::string& event_id) {
    v1::GetEventForPeerRequest event;
    v1::GetAuthChainRequest chain;
    v1::GetStateIdsRequest state;
    const auto about = [&](auto& request) {
      request.set_room_id(room_id);
      request.set_event_id(event_id);
      request.set_asker("d.example");
    };
    about(event);
    about(chain);
    about(state);
    v1::EventForPeer told;
    v1::GetAuthChainResponse told_chain;
    v1::GetStateIdsResponse told_state;
    return std::vector<Reason>{ReasonOf(Call(&Store::Stub::GetEventForPeer, event, told)),
                               ReasonOf(Call(&Store::Stub::GetAuthChain, chain, told_chain)),
                               ReasonOf(Call(&Store::Stub::GetStateIds, state, told_state))};
  };
  EXPECT_THAT(reasons(room.room_id(), room.tip().event_id()), testing::Each(Reason::kNone));
  for (const std::string& id : {soft.event_id(), refused.event_id(), other.tip().event_id(), std::string("$none")}) {
    EXPECT_THAT(reasons(room.room_id(), id), testing::Each(Reason::kUnknownEvent)) << id;
  }
  EXPECT_THAT(reasons("!none:a.example", room.tip().event_id()), testing::Each(Reason::kUnknownRoom));
  EXPECT_THAT(Missing(room, {soft.event_id(), refused.event_id(), other.tip().event_id(), "$none"}), IsEmpty());
}

TEST_P(PeerReadsContract, WhetherTheAskerIsInTheRoomIsToldAsItIsNow) {
  const TestRoom room = MakeRoom();
  EXPECT_TRUE(Ask(room, room.tip(), "d.example").room().asker_joined());
  EXPECT_FALSE(Ask(room, room.tip(), "b.example").room().asker_joined()) << "is invited";
  EXPECT_FALSE(Ask(room, room.tip(), "nobody.example").room().asker_joined());
  Judge(room.Leave(kCat));
  EXPECT_FALSE(Ask(room, room.tip(), "d.example").room().asker_joined());
}

TEST_P(PeerReadsContract, HowTheAskerStandsToAnEventIsToldAsItWasBeforeIt) {
  TestRoom room = RoomBuilder("10").Build();
  const Event& early = room.Append(room.Mint(
      {.type = "m.room.topic", .state_key = "", .sender = room.creator(), .content = Object(R"({"topic":"1"})")}));
  const Event& invite = room.Append(room.Member(kCat, "invite", room.creator()));
  const Event& between = room.Append(room.Mint(
      {.type = "m.room.topic", .state_key = "", .sender = room.creator(), .content = Object(R"({"topic":"2"})")}));
  const Event& join = room.Append(room.Member(kCat, "join"));
  const Event& while_in = room.Append(room.Mint(
      {.type = "m.room.topic", .state_key = "", .sender = room.creator(), .content = Object(R"({"topic":"3"})")}));
  const Event& leave = room.Append(room.Leave(kCat));
  const Event& late = room.Append(room.Mint(
      {.type = "m.room.topic", .state_key = "", .sender = room.creator(), .content = Object(R"({"topic":"4"})")}));
  Create(room);
  struct Case {
    const Event* event;
    bool joined;
    bool invited;
  };
  for (const Case& c :
       {Case{&early, false, false}, Case{&invite, false, true}, Case{&between, false, true}, Case{&join, true, true},
        Case{&while_in, true, false}, Case{&leave, true, false}, Case{&late, false, false}}) {
    const v1::SeenByPeer seen = Ask(room, *c.event, "d.example").seen();
    EXPECT_EQ(seen.asker_joined(), c.joined) << TestRoom::Text(*c.event);
    EXPECT_TRUE(c.joined || seen.asker_invited() == c.invited) << TestRoom::Text(*c.event);
    EXPECT_FALSE(Ask(room, *c.event, "example").seen().asker_joined());
    EXPECT_FALSE(Ask(room, *c.event, "cat:d.example").seen().asker_joined());
  }
}

TEST_P(PeerReadsContract, AnyOfTheAskersUsersWillDo) {
  RoomBuilder builder("10");
  for (int i = 0; i < 30; ++i) builder.Member("@gone" + std::to_string(i) + ":d.example", "leave");
  const TestRoom room =
      builder.Member("@port:d.example:8448", "join").Member(kCat, "join").Member(kAnn, "join").Build();
  Create(room);
  const v1::SeenByPeer seen = Ask(room, room.tip(), "d.example").seen();
  EXPECT_TRUE(seen.asker_joined());
  EXPECT_FALSE(Ask(room, Find(room, "m.room.member", kCat), "nobody.example").seen().asker_joined());
  EXPECT_TRUE(Ask(room, room.tip(), "d.example:8448").seen().asker_joined());
}

TEST_P(PeerReadsContract, AMemberEventIsReadWhateverElseItSays) {
  TestRoom room = RoomBuilder("10").Member(kAnn, "join").Build();
  matrix::JsonObject odd = Object(R"({"membership":"join","x":{"membership":"leave"}})");
  odd.Set("displayname", std::string("\0\0\\u0000\\\\\"\n\xF0\x9F\x98\x80", 17));
  room.Append(room.Member(kCat, "invite", room.creator()));
  room.Append(room.Mint({.type = "m.room.member", .state_key = kCat, .sender = kCat, .content = odd}));
  room.Append(room.Mint({.type = "m.room.topic", .state_key = "", .sender = room.creator(), .content = {}}));
  matrix::JsonObject gone = Object(R"({"a":{"membership":"join"},"membership":"leave","z":"\"membership\":\"join\""})");
  gone.Set("reason", std::string("\0", 1));
  room.Append(room.Mint({.type = "m.room.member", .state_key = kCat, .sender = kCat, .content = gone}));
  room.Append(room.Mint({.type = "m.room.topic", .state_key = "", .sender = room.creator(), .content = {}}));
  Create(room);
  const auto& events = room.events();
  EXPECT_TRUE(Ask(room, events[events.size() - 3], "d.example").seen().asker_joined());
  EXPECT_FALSE(Ask(room, events[events.size() - 1], "d.example").seen().asker_joined());
}

TEST_P(PeerReadsContract, TheHistoryVisibilityIsThatBeforeTheEvent) {
  const TestRoom room = RoomBuilder("10")
                            .Member(kCat, "join")
                            .State("m.room.history_visibility", "", R"({"history_visibility":"joined"})")
                            .State("m.room.history_visibility", "", R"({"history_visibility":"invited"})")
                            .State("m.room.history_visibility", "", R"({"history_visibility":7})")
                            .State("m.room.topic", "", R"({"topic":"x"})")
                            .Build();
  Create(room);
  std::vector<std::string> told;
  for (std::size_t back = 4; back > 0; --back) {
    told.push_back(Ask(room, room.events()[room.events().size() - back], "d.example").seen().history_visibility());
  }
  EXPECT_THAT(told, ElementsAre("", "joined", "invited", ""));
}

TEST_P(PeerReadsContract, MissingEventsComeBreadthFirstAndAreToldTheOldestFirst) {
  const TestRoom room = MakeRoom();
  const Event a = Message(room, {&room.tip()}, "a");
  const Event left = Message(room, {&a}, "left");
  const Event right = Message(room, {&a}, "right");
  const Event both = Message(room, {&left, &right}, "both");
  const Event tip = Message(room, {&both}, "tip");
  for (const Event* event : {&a, &left, &right, &both, &tip}) Judge(*event);
  const std::string& base = room.tip().event_id();
  EXPECT_EQ(Missing(room, {tip.event_id()}, {base}), Ids({&a, &left, &right, &both}));
  EXPECT_EQ(Missing(room, {tip.event_id()}, {a.event_id()}), Ids({&left, &right, &both}));
  EXPECT_EQ(Missing(room, {tip.event_id()}, {base}, 2), Ids({&left, &both}));
  EXPECT_EQ(Missing(room, {tip.event_id()}, {base}, 3), Ids({&left, &right, &both}));
  EXPECT_EQ(Missing(room, {both.event_id(), "$unknown"}, {a.event_id(), "$unknown"}), Ids({&left, &right}));
  EXPECT_EQ(Missing(room, {tip.event_id()}, {}, 20, a.depth()), Ids({&a, &left, &right, &both}));
  EXPECT_THAT(Missing(room, {tip.event_id()}, {tip.event_id(), both.event_id()}), IsEmpty());
  EXPECT_THAT(Missing(room, {}, {}), IsEmpty());
  // To the start of the room: as many as there are, at most 20.
  const std::size_t all = room.events().size() + 4;
  EXPECT_THAT(Missing(room, {tip.event_id()}), SizeIs(std::min<std::size_t>(all, 20)));
}

TEST_P(PeerReadsContract, MissingEventsComeWithTheRoomAndHowTheAskerStandsToEach) {
  TestRoom room = RoomBuilder("10").Member(kCat, "leave").Build();
  Create(room);
  const Event next = Message(room, {&room.tip()});
  Judge(next);
  v1::GetMissingEventsRequest request;
  request.set_room_id(room.room_id());
  request.set_asker("d.example");
  request.add_latest(next.event_id());
  request.set_limit(2);
  v1::GetMissingEventsResponse answer;
  ASSERT_TRUE(Call(&Store::Stub::GetMissingEvents, request, answer).ok());
  EXPECT_EQ(answer.room().room().room_version(), "10");
  EXPECT_FALSE(answer.room().asker_joined());
  ASSERT_THAT(answer.events(), SizeIs(2));
  EXPECT_EQ(answer.events(1).pdu(), TestRoom::Text(room.tip()));
  EXPECT_TRUE(answer.events(1).seen().asker_joined()) << "before the leave";
  request.set_room_id("!none:a.example");
  EXPECT_EQ(ReasonOf(Call(&Store::Stub::GetMissingEvents, request, answer)), Reason::kUnknownRoom);
}

TEST_P(PeerReadsContract, AtMostTwentyOfEachEndAreLookedAt) {
  const TestRoom room = MakeRoom();
  const Event tip = Message(room, {&room.tip()});
  Judge(tip);
  std::vector<std::string> many(20, "$unknown");
  many.push_back(tip.event_id());
  EXPECT_THAT(Missing(room, many), IsEmpty());
  many = std::vector<std::string>(20, "$unknown");
  many.push_back(room.tip().event_id());
  EXPECT_THAT(Missing(room, {tip.event_id()}, many, 1), ElementsAre(room.tip().event_id()));
}

TEST_P(PeerReadsContract, RefusesALimitOutOfBounds) {
  const TestRoom room = MakeRoom();
  for (const std::uint32_t limit : {0U, 21U, 4'000'000'000U}) {
    v1::GetMissingEventsRequest request;
    request.set_room_id(room.room_id());
    request.set_asker("d.example");
    request.set_limit(limit);
    v1::GetMissingEventsResponse answer;
    EXPECT_EQ(ReasonOf(Call(&Store::Stub::GetMissingEvents, request, answer)), Reason::kInvalidArgument) << limit;
  }
}

TEST_P(PeerReadsContract, AnAuthChainIsToldTheOldestFirstWithoutTheEvent) {
  for (const std::string version : {"1", "10", "12"}) {
    const TestRoom room = RoomBuilder(version, "@boss:v" + version + ".example")
                              .Member("@bob:c.example", "join")
                              .Member(kCat, "join")
                              .Build();
    Create(room);
    const Event leave = room.Leave(kCat);
    Judge(leave);
    v1::GetAuthChainRequest request;
    request.set_room_id(room.room_id());
    request.set_event_id(leave.event_id());
    request.set_asker("d.example");
    v1::GetAuthChainResponse answer;
    ASSERT_TRUE(Call(&Store::Stub::GetAuthChain, request, answer).ok());
    std::set<std::string> wanted(leave.auth_events().begin(), leave.auth_events().end());
    std::vector<std::string> expected;
    for (auto event = room.events().rbegin(); event != room.events().rend(); ++event) {
      if (!wanted.contains(event->event_id())) continue;
      wanted.insert(event->auth_events().begin(), event->auth_events().end());
      expected.insert(expected.begin(), TestRoom::Text(*event));
    }
    EXPECT_EQ(Strings(answer.pdus()), expected) << version;
    EXPECT_EQ(answer.room().room().room_id(), room.room_id());
    EXPECT_TRUE(answer.seen().asker_joined());
    EXPECT_FALSE(answer.room().asker_joined());
  }
}

TEST_P(PeerReadsContract, TheStateIsThatBeforeTheEvent) {
  const TestRoom room = MakeRoom();
  const Event leave = room.Leave(kCat);
  Judge(leave);
  const Event after = Message(room, {&leave});
  Judge(after);
  const auto ask = [&](const Event& event) {
    v1::GetStateIdsRequest request;
    request.set_room_id(room.room_id());
    request.set_event_id(event.event_id());
    request.set_asker("d.example");
    v1::GetStateIdsResponse answer;
    EXPECT_TRUE(Call(&Store::Stub::GetStateIds, request, answer).ok());
    return answer;
  };
  std::map<matrix::StateKey, std::string> state;
  for (const Event& event : room.events()) {
    EXPECT_THAT(Strings(ask(event).state()), SizeIs(state.size())) << "before " << TestRoom::Text(event);
    state[{event.type(), *event.state_key()}] = event.event_id();
  }
  const auto ids = [&] {
    std::vector<std::string> entries;
    for (const auto& [key, id] : state) entries.push_back(id);
    return entries;
  };
  const v1::GetStateIdsResponse before = ask(leave);
  EXPECT_THAT(Strings(before.state()), UnorderedElementsAreArray(ids()));
  EXPECT_THAT(Strings(before.auth_chain()),
              IsSupersetOf({Find(room, "m.room.create").event_id(), Find(room, "m.room.power_levels").event_id()}));
  EXPECT_THAT(Strings(before.auth_chain()), Not(testing::Contains(leave.event_id())));
  EXPECT_EQ(std::set<std::string>(before.auth_chain().begin(), before.auth_chain().end()).size(),
            static_cast<std::size_t>(before.auth_chain_size()))
      << "each once";
  EXPECT_TRUE(before.seen().asker_joined());
  state[{"m.room.member", kCat}] = leave.event_id();
  EXPECT_THAT(Strings(ask(after).state()), UnorderedElementsAreArray(ids()));
}

TEST_P(PeerReadsContract, ABranchHasAStateOfItsOwn) {
  const TestRoom room = MakeRoom();
  const Event leave = room.Leave(kCat);
  const Event beside = room.Leave("@bob:c.example");
  Judge(leave);
  Judge(beside);
  const Event on_one = Message(room, {&beside}, "one");
  const Event on_both = Message(room, {&leave, &beside}, "both");
  Judge(on_one);
  Judge(on_both);
  const auto state = [&](const Event& event) {
    v1::GetStateIdsRequest request;
    request.set_room_id(room.room_id());
    request.set_event_id(event.event_id());
    request.set_asker("d.example");
    v1::GetStateIdsResponse answer;
    EXPECT_TRUE(Call(&Store::Stub::GetStateIds, request, answer).ok());
    return Strings(answer.state());
  };
  EXPECT_THAT(state(on_one), IsSupersetOf({beside.event_id(), Find(room, "m.room.member", kCat).event_id()}));
  EXPECT_THAT(state(on_one), Not(testing::Contains(leave.event_id())));
  EXPECT_THAT(state(on_both), IsSupersetOf({beside.event_id(), leave.event_id()}));
  EXPECT_THAT(state(on_both), SizeIs(state(on_one).size()));
}

}  // namespace postern::contract
