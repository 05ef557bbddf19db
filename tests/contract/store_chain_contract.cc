// What a room is gathered by that many have left from one template: more forward extremities than one event may cite,
// and events that follow each other.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/contract/store_contract.h"
#include "tests/support/store_requests.h"

namespace postern::contract {
namespace {

namespace v1 = store::v1;
using matrix::Event;
using matrix::Reason;
using store::v1::Store;
using support::Draft;
using support::PersistRequestFor;
using support::RoomBuilder;
using support::TestRoom;
using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::SizeIs;
using testing::UnorderedElementsAreArray;

constexpr int kMany = 30;

std::string Leaver(int number) { return fmt::format("@leaver{}:b.example", number); }

TestRoom RoomOfMany() {
  RoomBuilder builder("10");
  builder.Member("@stays:c.example", "join");
  for (int i = 0; i < kMany; ++i) builder.Member(Leaver(i), "join");
  return builder.Build();
}

std::vector<Event> LeavesOfMany(const TestRoom& room) {
  std::vector<Event> leaves;
  for (int i = 0; i < kMany; ++i) leaves.push_back(room.Leave(Leaver(i)));
  return leaves;
}

v1::GetTemplateContextRequest TemplateRequest(const TestRoom& room, std::uint32_t most = 0) {
  v1::GetTemplateContextRequest request;
  request.set_room_id(room.room_id());
  request.set_user_id(room.creator());
  request.set_most_prev_events(most);
  return request;
}

/// Events of the creator's, each of which cites the one before it and the next of `leaves`.
std::deque<Event> ChainOver(const TestRoom& room, const std::vector<Event>& leaves) {
  std::deque<Event> chain;
  for (auto next = leaves.begin(); next != leaves.end();) {
    Draft draft{.type = "org.matrix.dummy_event", .state_key = std::nullopt, .sender = room.creator(), .content = {}};
    if (!chain.empty()) draft.prev_events.push_back(&chain.back());
    while (draft.prev_events.size() < 20 && next != leaves.end()) draft.prev_events.push_back(&*next++);
    draft.origin_server_ts = room.tip().origin_server_ts() + static_cast<std::int64_t>(chain.size()) + 1;
    chain.push_back(room.Mint(draft));
  }
  return chain;
}

}  // namespace

std::vector<v1::PersistEventResponse> StoreContract::PersistTogether(const TestRoom& room,
                                                                     const std::vector<const Event*>& events) {
  v1::TemplateContext context;
  EXPECT_TRUE(Call(&Store::Stub::GetTemplateContext, TemplateRequest(room, 200), context).ok());
  v1::EventContext with_token;
  with_token.set_token(context.token());
  rpc::v1::Calls calls;
  for (const Event* event : events) {
    rpc::v1::Call& call = *calls.add_calls();
    call.set_request(PersistRequestFor(*event, with_token).SerializeAsString());
    call.set_timeout_ms(20'000);
  }
  grpc::ClientContext client;
  rpc::v1::Answers answers;
  EXPECT_TRUE(together_->PersistEvent(&client, calls, &answers).ok());
  std::vector<v1::PersistEventResponse> responses(events.size());
  for (const rpc::v1::Answer& answer : answers.answers()) {
    EXPECT_TRUE(responses.at(answer.place()).ParseFromString(answer.response()));
  }
  return responses;
}

TEST_P(StoreContract, TellsMoreExtremitiesThanOneEventMayCiteToWhoeverAsks) {
  const TestRoom room = RoomOfMany();
  Create(room);
  const std::vector<Event> leaves = LeavesOfMany(room);
  std::vector<std::string> ids;
  for (const Event& leave : leaves) {
    ASSERT_TRUE(Judge(leave).has_stored());
    ids.push_back(leave.event_id());
  }
  auto request = TemplateRequest(room);
  v1::TemplateContext context;
  ASSERT_TRUE(Call(&Store::Stub::GetTemplateContext, request, context).ok());
  EXPECT_THAT(IdsOf(context.judging().prev_events()), ElementsAreArray(ids.begin(), ids.begin() + 20));
  EXPECT_FALSE(context.judging().extends_all_extremities());
  EXPECT_FALSE(context.judging().states_diverge());
  EXPECT_EQ(context.max_depth(), leaves.front().depth());

  request.set_most_prev_events(23);
  ASSERT_TRUE(Call(&Store::Stub::GetTemplateContext, request, context).ok());
  EXPECT_THAT(IdsOf(context.judging().prev_events()), UnorderedElementsAreArray(ids.begin(), ids.begin() + 23));
  EXPECT_THAT(context.prev_depths(), testing::AllOf(SizeIs(23), testing::Each(leaves.front().depth())));

  request.set_most_prev_events(200);
  ASSERT_TRUE(Call(&Store::Stub::GetTemplateContext, request, context).ok());
  EXPECT_THAT(IdsOf(context.judging().prev_events()), UnorderedElementsAreArray(ids));
  EXPECT_FALSE(context.judging().extends_all_extremities()) << "no event may cite so many";
  request.set_most_prev_events(201);
  EXPECT_EQ(ReasonOf(Call(&Store::Stub::GetTemplateContext, request, context)), Reason::kInvalidArgument);
}

TEST_P(StoreContract, SaysWhetherTheStatesOfTooManyExtremitiesDiverge) {
  const TestRoom room = RoomOfMany();
  Create(room);
  const std::vector<Event> leaves = LeavesOfMany(room);
  ASSERT_TRUE(Judge(leaves.front()).has_stored());
  const Event topic = room.Mint({.type = "m.room.topic", .state_key = "", .sender = room.creator(), .content = {}});
  ASSERT_TRUE(JudgeAlone(topic).has_stored());
  for (const Event& leave : leaves) ASSERT_TRUE(Judge(leave).has_stored());
  auto request = TemplateRequest(room);
  v1::TemplateContext context;
  ASSERT_TRUE(Call(&Store::Stub::GetTemplateContext, request, context).ok());
  EXPECT_TRUE(context.judging().states_diverge());
}

TEST_P(StoreContract, PersistsEventsThatFollowEachOtherInOneMessage) {
  const TestRoom room = RoomOfMany();
  Create(room);
  const std::vector<Event> leaves = LeavesOfMany(room);
  for (const Event& leave : leaves) ASSERT_TRUE(Judge(leave).has_stored());
  const std::deque<Event> chain = ChainOver(room, leaves);
  ASSERT_THAT(chain, SizeIs(2));
  for (const auto& answer : PersistTogether(room, {&chain[0], &chain[1]})) EXPECT_TRUE(answer.has_stored());
  EXPECT_THAT(Room(room).forward_extremities(), ElementsAre(chain.back().event_id()));

  // The state before each has the leaves that are cited by then, and no other.
  std::size_t left = 20;
  for (const Event& event : chain) {
    v1::GetStateIdsRequest request;
    request.set_room_id(room.room_id());
    request.set_event_id(event.event_id());
    request.set_asker("c.example");
    v1::GetStateIdsResponse state;
    ASSERT_TRUE(Call(&Store::Stub::GetStateIds, request, state).ok());
    const std::set<std::string> ids(state.state().begin(), state.state().end());
    for (std::size_t i = 0; i < leaves.size(); ++i) EXPECT_EQ(ids.contains(leaves[i].event_id()), i < left) << i;
    left = std::min(leaves.size(), left + 19);
  }
}

TEST_P(StoreContract, AnEventThatComesBeforeTheOneThatItCitesIsAConflict) {
  const TestRoom room = RoomOfMany();
  Create(room);
  const std::vector<Event> leaves = LeavesOfMany(room);
  for (const Event& leave : leaves) ASSERT_TRUE(Judge(leave).has_stored());
  const std::deque<Event> chain = ChainOver(room, leaves);
  const auto answers = PersistTogether(room, {&chain[1], &chain[0]});
  ASSERT_THAT(answers, SizeIs(2));
  EXPECT_TRUE(answers[0].has_fresh_context());
  EXPECT_TRUE(answers[1].has_stored());
  EXPECT_THAT(Room(room).forward_extremities(), SizeIs(kMany - 20 + 1));
}

}  // namespace postern::contract
