#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>

#include "tests/contract/fetched_states_contract.h"
#include "tests/support/store_requests.h"

namespace postern::contract {

using matrix::Event;
using matrix::Reason;
using store::v1::Store;
using support::EntryOf;
using support::TestRoom;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;
namespace v1 = store::v1;
using Kept = v1::KeepFetchedStateResponse;

namespace {

constexpr std::string_view kLevels = "m.room.power_levels";

template <typename Method, typename Request, typename Response>
grpc::Status CallOn(v1::FetchedStates::Stub& stub, Method method, const Request& request, Response& response) {
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  return (stub.*method)(&context, request, &response);
}

Event Levels(const TestRoom& room) {
  return room.Mint({.type = std::string(kLevels),
                    .state_key = "",
                    .sender = room.creator(),
                    .content = support::Object(R"({"ban":77,"users":{"@creator:a.example":100}})")});
}
Event Message(const TestRoom& room, std::vector<const Event*> prev = {}) {
  return room.Mint({.type = "m.room.message",
                    .state_key = {},
                    .sender = room.creator(),
                    .content = {},
                    .prev_events = std::move(prev)});
}
Event LeaveAfter(const TestRoom& room, const std::string& user, const Event& prev) {
  return room.Mint({.type = "m.room.member",
                    .state_key = user,
                    .sender = user,
                    .content = support::Object(R"({"membership":"leave"})"),
                    .prev_events = {&prev}});
}

}  // namespace

void FetchedStatesContract::SetUp() {
  StoreContract::SetUp();
  fetched_states_ =
      v1::FetchedStates::NewStub(grpc::CreateChannel(served_->address(), grpc::InsecureChannelCredentials()));
}

v1::FindUnknownEventsResponse FetchedStatesContract::Unknown(const TestRoom& room,
                                                             const std::vector<std::string>& ids) {
  v1::FindUnknownEventsRequest request;
  request.set_room_id(room.room_id());
  request.mutable_event_ids()->Add(ids.begin(), ids.end());
  v1::FindUnknownEventsResponse response;
  const auto status = CallOn(*fetched_states_, &v1::FetchedStates::Stub::FindUnknownEvents, request, response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response;
}

Kept::Result FetchedStatesContract::Keep(const v1::KeepFetchedStateRequest& request) {
  Kept response;
  const auto status = CallOn(*fetched_states_, &v1::FetchedStates::Stub::KeepFetchedState, request, response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response.result();
}

v1::KeepFetchedStateRequest FetchedStatesContract::StateWith(const TestRoom& room, const Event& event,
                                                             const Event& outlier) {
  v1::KeepFetchedStateRequest request;
  request.set_room_id(room.room_id());
  request.set_event_id(event.event_id());
  request.set_told_by("d.example");
  for (const auto& [key, entry] : room.state()) {
    const bool same = entry->type() == outlier.type() && *entry->state_key() == *outlier.state_key();
    if (!same) request.add_state(entry->event_id());
  }
  request.add_state(outlier.event_id());
  auto& kept = *request.add_outliers();
  kept.set_event_id(outlier.event_id());
  kept.set_pdu(TestRoom::Text(outlier));
  return request;
}

TEST_P(FetchedStatesContract, SaysWhichEventsAreNotStoredAndWhichWereRefused) {
  const TestRoom room = MakeRoom();
  const Event refused = room.Leave("@ann:b.example"), lost = Message(room);
  Judge(refused, matrix::v1::OUTCOME_REJECTED);
  const auto found = Unknown(room, {room.tip().event_id(), refused.event_id(), lost.event_id(), lost.event_id()});
  EXPECT_THAT(found.unknown(), ElementsAre(lost.event_id()));
  EXPECT_THAT(found.refused(), ElementsAre(refused.event_id()));
  EXPECT_THAT(Unknown(room, {}).unknown(), IsEmpty());

  v1::FindUnknownEventsRequest elsewhere;
  elsewhere.set_room_id("!none:a.example");
  v1::FindUnknownEventsResponse response;
  EXPECT_EQ(ReasonOf(CallOn(*fetched_states_, &v1::FetchedStates::Stub::FindUnknownEvents, elsewhere, response)),
            Reason::kUnknownRoom);
}

TEST_P(FetchedStatesContract, AToldStateIsTheOneBeforeItsEventWhileAPrevEventIsNotKnown) {
  const TestRoom room = MakeRoom();
  const Event levels = Levels(room), lost = Message(room);
  const Event leave = LeaveAfter(room, "@bob:c.example", lost);
  const auto before = ContextOf(leave);
  ASSERT_TRUE(before.judging().state_before_unresolved());
  ASSERT_FALSE(before.judging().prev_events(0).known());
  ASSERT_EQ(Keep(StateWith(room, leave, levels)), Kept::RESULT_KEPT);

  const auto told = ContextOf(leave).judging();
  EXPECT_FALSE(told.state_before_unresolved());
  EXPECT_TRUE(told.prev_events(0).known());
  EXPECT_FALSE(told.extends_all_extremities());
  EXPECT_TRUE(told.states_diverge());
  EXPECT_EQ(EntryOf(told.state_before(), kLevels, ""), levels.event_id());
  EXPECT_EQ(EntryOf(told.state_now(), kLevels, ""), EntryOf(before.judging().state_now(), kLevels, ""));
  EXPECT_THAT(IdsOf(told.events()), Contains(levels.event_id()));
  EXPECT_FALSE(ContextOf(LeaveAfter(room, "@cat:d.example", lost)).judging().prev_events(0).known())
      << "of another event nothing was told";

  ASSERT_TRUE(Judge(lost).has_stored());
  const auto known = ContextOf(leave).judging();
  EXPECT_TRUE(known.prev_events(0).known());
  EXPECT_NE(EntryOf(known.state_before(), kLevels, ""), levels.event_id()) << "what is known here counts";
}

TEST_P(FetchedStatesContract, KeepingAStateChangesNothingElse) {
  const TestRoom room = MakeRoom();
  const Event joined = room.Member("@new:d.example", "join"), lost = Message(room);
  const Event leave = LeaveAfter(room, "@bob:c.example", lost);
  const auto before = Room(room);
  const int told = Outbox(room).rows_size();
  ASSERT_EQ(Keep(StateWith(room, leave, joined)), Kept::RESULT_KEPT);
  const auto after = Room(room);
  EXPECT_EQ(IdsOf(after.state()), IdsOf(before.state()));
  EXPECT_EQ(after.joined_members(), before.joined_members());
  EXPECT_THAT(after.forward_extremities(), ElementsAre(room.tip().event_id()));
  EXPECT_EQ(MembershipOf(room, "@new:d.example"), "");
  EXPECT_EQ(Outbox(room).rows_size(), told);
}

TEST_P(FetchedStatesContract, AnOutlierIsKnownAsAnAuthEventAndNowhereElse) {
  const TestRoom room = MakeRoom();
  const Event joined = room.Member("@new:d.example", "join"), lost = Message(room);
  ASSERT_EQ(Keep(StateWith(room, LeaveAfter(room, "@bob:c.example", lost), joined)), Kept::RESULT_KEPT);
  EXPECT_THAT(Unknown(room, {joined.event_id()}).unknown(), IsEmpty());
  matrix::RoomState state = room.state();
  state.Set(joined);
  const Event leave = room.Mint({.type = "m.room.member",
                                 .state_key = "@new:d.example",
                                 .sender = "@new:d.example",
                                 .content = support::Object(R"({"membership":"leave"})"),
                                 .prev_events = {&joined},
                                 .state = &state});
  const auto judging = ContextOf(leave).judging();
  EXPECT_FALSE(judging.prev_events(0).known());
  ASSERT_THAT(leave.auth_events(), Contains(joined.event_id()));
  for (const auto& auth : judging.auth_events()) EXPECT_TRUE(auth.known()) << auth.event_id();
  EXPECT_FALSE(ContextOf(joined).has_existing());

  v1::GetEventForPeerRequest ask;
  ask.set_room_id(room.room_id());
  ask.set_event_id(joined.event_id());
  ask.set_asker("d.example");
  v1::EventForPeer answer;
  EXPECT_EQ(ReasonOf(Call(&Store::Stub::GetEventForPeer, ask, answer)), Reason::kUnknownEvent);
  v1::GetBackfillRequest backfill;
  backfill.set_room_id(room.room_id());
  backfill.set_asker("d.example");
  backfill.add_from(joined.event_id());
  backfill.set_limit(10);
  v1::GetBackfillResponse told;
  ASSERT_TRUE(Call(&Store::Stub::GetBackfill, backfill, told).ok());
  EXPECT_THAT(told.events(), IsEmpty());
}

TEST_P(FetchedStatesContract, AnOutlierThatComesByItselfIsStoredLikeAnyEvent) {
  const TestRoom room = MakeRoom();
  const Event joined = room.Member("@new:d.example", "join"), lost = Message(room);
  ASSERT_EQ(Keep(StateWith(room, LeaveAfter(room, "@bob:c.example", lost), joined)), Kept::RESULT_KEPT);
  const auto stored = Judge(joined);
  ASSERT_TRUE(stored.has_stored());
  EXPECT_FALSE(stored.stored().replay());
  EXPECT_EQ(MembershipOf(room, "@new:d.example"), "join");
  EXPECT_THAT(Room(room).forward_extremities(), ElementsAre(joined.event_id()));
  EXPECT_TRUE(ContextOf(joined).has_existing());
  EXPECT_TRUE(ContextOf(LeaveAfter(room, "@bob:c.example", joined)).judging().prev_events(0).known());
  EXPECT_TRUE(Judge(joined).stored().replay());
  // Told once more, it stays what it is.
  ASSERT_EQ(Keep(StateWith(room, LeaveAfter(room, "@bob:c.example", lost), joined)), Kept::RESULT_KEPT);
  EXPECT_TRUE(ContextOf(joined).has_existing());
}

TEST_P(FetchedStatesContract, AnOutlierThatWasRefusedByItselfIsARefusedAuthEvent) {
  const TestRoom room = MakeRoom();
  const Event joined = room.Member("@new:d.example", "join"), lost = Message(room);
  ASSERT_EQ(Keep(StateWith(room, LeaveAfter(room, "@bob:c.example", lost), joined)), Kept::RESULT_KEPT);
  Judge(joined, matrix::v1::OUTCOME_REJECTED);
  matrix::RoomState state = room.state();
  state.Set(joined);
  const Event leave = room.Mint({.type = "m.room.member",
                                 .state_key = "@new:d.example",
                                 .sender = "@new:d.example",
                                 .content = support::Object(R"({"membership":"leave"})"),
                                 .prev_events = {&joined},
                                 .state = &state});
  const auto judging = ContextOf(leave).judging();
  EXPECT_TRUE(judging.prev_events(0).known() && judging.prev_events(0).rejected());
  for (const auto& auth : judging.auth_events()) EXPECT_EQ(auth.rejected(), auth.event_id() == joined.event_id());
}

TEST_P(FetchedStatesContract, AnEventJudgedOnAToldStateIsStoredWithItAndTellsItAgain) {
  const TestRoom room = MakeRoom();
  const Event levels = Levels(room), lost = Message(room);
  const Event leave = LeaveAfter(room, "@bob:c.example", lost);
  ASSERT_EQ(Keep(StateWith(room, leave, levels)), Kept::RESULT_KEPT);
  v1::GetEventContextRequest asked = support::ContextRequestFor(leave);
  asked.set_with_branches(true);
  v1::EventContext context;
  ASSERT_TRUE(Call(&Store::Stub::GetEventContext, asked, context).ok());
  ASSERT_TRUE(context.judging().has_branches());
  const auto& states = context.judging().branches().states();
  EXPECT_TRUE(std::ranges::any_of(states,
                                  [&](const auto& state) {
                                    return state.before() && EntryOf(state.changes(), kLevels, "") == levels.event_id();
                                  }) ||
              EntryOf(context.judging().branches().base(), kLevels, "") == levels.event_id());
  EXPECT_TRUE(std::ranges::any_of(states, [](const auto& state) { return state.beside(); }));

  v1::PersistEventRequest persist = support::PersistRequestFor(leave, context);
  *persist.mutable_context_request() = asked;
  persist.mutable_verdict()->set_commutes(false);
  ASSERT_TRUE(Persist(persist).has_stored());
  EXPECT_EQ(MembershipOf(room, "@bob:c.example"), "leave");
  EXPECT_THAT(Room(room).forward_extremities(), UnorderedElementsAre(room.tip().event_id(), leave.event_id()));

  // What follows from it stands on that state.
  const auto next = ContextOf(LeaveAfter(room, "@cat:d.example", leave)).judging();
  EXPECT_EQ(EntryOf(next.state_before(), kLevels, ""), levels.event_id());

  // Whatever has become known since, the decision is told as it was made.
  ASSERT_TRUE(JudgeAlone(lost).has_stored());
  v1::GetDecisionContextRequest decision;
  decision.set_room_id(room.room_id());
  decision.set_event_id(leave.event_id());
  *decision.mutable_state_keys() = asked.state_keys();
  v1::DecisionContext again;
  ASSERT_TRUE(Call(&Store::Stub::GetDecisionContext, decision, again).ok());
  EXPECT_TRUE(again.judging().prev_events(0).known());
  EXPECT_EQ(EntryOf(again.judging().state_before(), kLevels, ""), levels.event_id());

  // Told again, it stays what it was judged on.
  ASSERT_EQ(Keep(StateWith(room, leave, room.Member("@new:d.example", "join"))), Kept::RESULT_KEPT);
  v1::GetStateIdsRequest ids;
  ids.set_room_id(room.room_id());
  ids.set_event_id(leave.event_id());
  ids.set_asker("d.example");
  v1::GetStateIdsResponse state;
  ASSERT_TRUE(Call(&Store::Stub::GetStateIds, ids, state).ok());
  EXPECT_THAT(state.state(), Contains(levels.event_id()));
}

/// Or who tells the state before an event on our own tip would have it become the current one.
TEST_P(FetchedStatesContract, AToldStateTakesThePlaceOfNoExtremity) {
  const TestRoom room = MakeRoom();
  const Event levels = Levels(room), lost = Message(room);
  const Event leave = room.Mint({.type = "m.room.member",
                                 .state_key = "@bob:c.example",
                                 .sender = "@bob:c.example",
                                 .content = support::Object(R"({"membership":"leave"})"),
                                 .prev_events = {&room.tip(), &lost}});
  ASSERT_EQ(Keep(StateWith(room, leave, levels)), Kept::RESULT_KEPT);
  v1::GetEventContextRequest asked = support::ContextRequestFor(leave);
  asked.set_with_branches(true);
  v1::EventContext context;
  ASSERT_TRUE(Call(&Store::Stub::GetEventContext, asked, context).ok());
  EXPECT_FALSE(context.judging().extends_all_extremities());
  const auto& branches = context.judging().branches();
  EXPECT_TRUE(std::ranges::any_of(branches.states(), [](const auto& state) { return state.beside(); }));
  v1::PersistEventRequest persist = support::PersistRequestFor(leave, context);
  *persist.mutable_context_request() = asked;
  persist.mutable_verdict()->set_commutes(false);
  ASSERT_TRUE(Persist(persist).has_stored());
  EXPECT_THAT(Room(room).forward_extremities(), UnorderedElementsAre(room.tip().event_id(), leave.event_id()));
  EXPECT_NE(EntryOf(Room(room).state(), kLevels, ""), levels.event_id());

  v1::GetDecisionContextRequest decision;
  decision.set_room_id(room.room_id());
  decision.set_event_id(leave.event_id());
  *decision.mutable_state_keys() = asked.state_keys();
  v1::DecisionContext again;
  ASSERT_TRUE(Call(&Store::Stub::GetDecisionContext, decision, again).ok());
  EXPECT_EQ(again.judging().branches().states_size(), branches.states_size());
  const auto next = ContextOf(LeaveAfter(room, "@cat:d.example", leave)).judging();
  EXPECT_EQ(EntryOf(next.state_before(), kLevels, ""), levels.event_id());
  EXPECT_TRUE(next.states_diverge());
}

TEST_P(FetchedStatesContract, WhatASoftFailedEventOnAToldStateCitesStaysAnExtremity) {
  const TestRoom room = MakeRoom();
  const Event levels = Levels(room), lost = Message(room);
  const Event soft = Message(room, {&room.tip(), &lost});
  ASSERT_EQ(Keep(StateWith(room, soft, levels)), Kept::RESULT_KEPT);
  ASSERT_TRUE(Judge(soft, matrix::v1::OUTCOME_SOFT_FAILED).has_stored());
  const Event next = LeaveAfter(room, "@cat:d.example", soft);
  EXPECT_EQ(EntryOf(ContextOf(next).judging().state_before(), kLevels, ""), levels.event_id());
  ASSERT_TRUE(JudgeAlone(next).has_stored());
  EXPECT_THAT(Room(room).forward_extremities(), UnorderedElementsAre(room.tip().event_id(), next.event_id()));
}

TEST_P(FetchedStatesContract, AStateThatIsNoneOfTheRoomIsNotKept) {
  const TestRoom room = MakeRoom();
  const Event levels = Levels(room), lost = Message(room);
  const Event leave = LeaveAfter(room, "@bob:c.example", lost);
  const v1::KeepFetchedStateRequest good = StateWith(room, leave, levels);
  const auto refused = [&](auto change) {
    v1::KeepFetchedStateRequest request = good;
    change(request);
    EXPECT_EQ(Keep(request), Kept::RESULT_INCOHERENT);
    EXPECT_THAT(Unknown(room, {levels.event_id()}).unknown(), ElementsAre(levels.event_id())) << "nothing is kept";
  };
  refused([&](auto& request) { request.add_state(lost.event_id()); });
  refused([&](auto& request) { request.clear_state(); });
  refused([&](auto& request) {  // no state event
    auto& outlier = *request.add_outliers();
    outlier.set_event_id(lost.event_id());
    outlier.set_pdu(TestRoom::Text(lost));
    request.add_state(lost.event_id());
  });
  refused([&](auto& request) { request.add_state(room.state().Find(kLevels, "")->event_id()); });
  refused([&](auto& request) {  // without the create event
    const std::string create = room.events().front().event_id();
    request.mutable_state()->erase(std::ranges::find(*request.mutable_state(), create));
  });
  EXPECT_FALSE(ContextOf(leave).judging().prev_events(0).known());
  EXPECT_EQ(Keep(good), Kept::RESULT_KEPT);
}

}  // namespace postern::contract
