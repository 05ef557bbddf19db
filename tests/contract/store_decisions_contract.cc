// The store's contract on decisions as they were recorded, and on the graph around an event.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>

#include <set>
#include <vector>

#include "matrix/canonical_json.h"
#include "matrix/content_hash.h"
#include "matrix/refusal.h"
#include "tests/contract/store_contract.h"
#include "tests/support/store_requests.h"

namespace postern::contract {

using matrix::Event;
using matrix::Reason;
using matrix::v1::OUTCOME_ACCEPTED;
using matrix::v1::OUTCOME_REJECTED;
using matrix::v1::OUTCOME_SOFT_FAILED;
using store::v1::Store;
using support::EntryOf;
using support::PersistRequestFor;
using support::TestRoom;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::SizeIs;
using testing::UnorderedElementsAre;
namespace v1 = store::v1;

namespace {

/// The event judged so by a gateway: the verdict names its bytes, the store gets them with another signature.
v1::PersistEventRequest Countersigned(const TestRoom& room, const Event& event, const v1::EventContext& context,
                                      matrix::v1::Outcome outcome) {
  v1::PersistEventRequest request = PersistRequestFor(event, context, outcome);
  request.mutable_verdict()->set_judged_sha256(matrix::Sha256(TestRoom::Text(event)));
  matrix::JsonObject copy = event.json();
  if (outcome != OUTCOME_REJECTED) matrix::SignEvent(copy, "a.example", support::KeyOf("a.example"), room.rules());
  request.set_pdu(matrix::CanonicalJson(copy));
  return request;
}

void Sort(google::protobuf::RepeatedPtrField<matrix::v1::StateEntry>& entries) {
  std::ranges::sort(entries, {}, [](const auto& entry) { return std::tuple(entry.type(), entry.state_key()); });
}

/// As text, its lists in an order of their own: the store's may be any.
std::string Sorted(matrix::v1::JudgingContext judging) {
  Sort(*judging.mutable_state_before());
  Sort(*judging.mutable_state_now());
  std::ranges::sort(*judging.mutable_events(), {}, &matrix::v1::StoredEvent::event_id);
  if (!judging.has_branches()) return judging.DebugString();
  matrix::v1::Branches& branches = *judging.mutable_branches();
  for (auto* entries : {branches.mutable_base(), branches.mutable_now(), branches.mutable_agreed()}) Sort(*entries);
  for (matrix::v1::BranchState& state : *branches.mutable_states()) Sort(*state.mutable_changes());
  std::ranges::sort(*branches.mutable_states(), {}, [](const auto& state) { return state.SerializeAsString(); });
  for (auto* ids : {branches.mutable_reached(), branches.mutable_not_reached()}) std::ranges::sort(*ids);
  return judging.DebugString();
}

}  // namespace

std::vector<v1::Decision> DecisionsContract::Decisions(v1::ListDecisionsRequest request) {
  std::vector<v1::Decision> all;
  for (;;) {
    v1::ListDecisionsResponse page;
    const grpc::Status status = Call(&Store::Stub::ListDecisions, request, page);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_LE(page.decisions_size(), 100);
    all.insert(all.end(), page.decisions().begin(), page.decisions().end());
    if (!status.ok() || !page.has_next()) return all;
    *request.mutable_after() = page.next();
  }
}

grpc::Status DecisionsContract::ContextOfDecision(const Event& event, bool refused, v1::DecisionContext& context) {
  v1::GetDecisionContextRequest request;
  request.set_room_id(event.room_id());
  request.set_event_id(event.event_id());
  request.set_refused(refused);
  *request.mutable_state_keys() = support::ContextRequestFor(event).state_keys();
  return Call(&Store::Stub::GetDecisionContext, request, context);
}

v1::Neighbourhood DecisionsContract::Around(const TestRoom& room, const std::vector<std::string>& ids, unsigned hops) {
  v1::GetNeighbourhoodRequest request;
  request.set_room_id(room.room_id());
  for (const std::string& id : ids) request.add_event_ids(id);
  request.set_hops(hops);
  v1::Neighbourhood around;
  const grpc::Status status = Call(&Store::Stub::GetNeighbourhood, request, around);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return around;
}

TEST_P(DecisionsContract, GivesADecisionBackAsItWasJudged) {
  const TestRoom room = MakeRoom();
  const Event leave = room.Leave("@bob:c.example");
  EXPECT_THAT(Decisions(), IsEmpty());  // the room's first events were judged by nobody
  const v1::PersistEventRequest request = Countersigned(room, leave, ContextOf(leave), OUTCOME_ACCEPTED);
  ASSERT_TRUE(Persist(request).has_stored());

  const std::vector<v1::Decision> decisions = Decisions();
  ASSERT_THAT(decisions, SizeIs(1));
  EXPECT_EQ(decisions[0].event_id(), leave.event_id());
  EXPECT_EQ(decisions[0].room_id(), room.room_id());
  EXPECT_EQ(decisions[0].room_version(), "10");
  EXPECT_EQ(decisions[0].pdu(), TestRoom::Text(leave));  // without our signature
  EXPECT_EQ(decisions[0].origin(), "c.example");
  EXPECT_FALSE(decisions[0].minted_here());
  EXPECT_FALSE(decisions[0].refused());
  EXPECT_GT(decisions[0].stored_at_ms(), 0);
  matrix::v1::Verdict verdict = decisions[0].verdict();
  EXPECT_TRUE(verdict.has_inputs());
  EXPECT_TRUE(verdict.inputs().extends_all_extremities());
  EXPECT_FALSE(verdict.inputs().states_diverge());
  verdict.clear_inputs();
  EXPECT_EQ(verdict.SerializeAsString(), request.verdict().SerializeAsString());
}

TEST_P(DecisionsContract, KeepsAPduThatWasRedactedAsItWasReceived) {
  const TestRoom room = MakeRoom();
  const Event leave = room.Leave("@bob:c.example");
  v1::PersistEventRequest request = PersistRequestFor(leave, ContextOf(leave));
  request.set_received_pdu(R"({"as":"received"})");
  ASSERT_TRUE(Persist(request).has_stored());
  EXPECT_EQ(Decisions().at(0).pdu(), R"({"as":"received"})");
}

TEST_P(DecisionsContract, KnowsItsOwnEventsFromThoseOfOthers) {
  const TestRoom room = MakeRoom();
  const Event topic = room.Mint({.type = "m.room.topic", .state_key = "", .sender = room.creator(), .content = {}});
  ASSERT_TRUE(Judge(topic).has_stored());
  EXPECT_TRUE(Decisions().at(0).minted_here());
}

TEST_P(DecisionsContract, GivesTheStatesAsTheyWereThen) {
  const TestRoom room = MakeRoom();
  const Event bob = room.Leave("@bob:c.example");
  const Event cat = room.Leave("@cat:d.example");
  ASSERT_TRUE(Judge(bob).has_stored());
  const v1::EventContext judged_on = ContextOf(cat);
  ASSERT_TRUE(Persist(Countersigned(room, cat, judged_on, OUTCOME_ACCEPTED)).has_stored());
  ASSERT_TRUE(Judge(room.Leave("@ann:b.example")).has_stored());

  v1::DecisionContext context;
  ASSERT_TRUE(ContextOfDecision(cat, false, context).ok());
  EXPECT_EQ(Sorted(context.judging()), Sorted(judged_on.judging()));
  // What has happened since is not in it.
  EXPECT_NE(EntryOf(context.judging().state_now(), "m.room.member", "@cat:d.example"), cat.event_id());
}

TEST_P(DecisionsContract, TellsTheBranchesOfADecisionAgain) {
  const TestRoom room = MakeRoom();
  const auto state_event = [&](const char* type) {
    return room.Mint({.type = type, .state_key = "", .sender = room.creator(), .content = {}});
  };
  ASSERT_TRUE(JudgeAlone(state_event("m.room.topic")).has_stored());
  const Event leave = room.Leave("@bob:c.example");  // from the tip before that
  v1::GetEventContextRequest asked = support::ContextRequestFor(leave);
  asked.set_with_branches(true);
  asked.mutable_own_key()->set_type(leave.type());
  asked.mutable_own_key()->set_state_key(*leave.state_key());
  v1::EventContext judged_on;
  ASSERT_TRUE(Call(&Store::Stub::GetEventContext, asked, judged_on).ok());
  ASSERT_GT(judged_on.judging().branches().states_size(), 0);
  v1::PersistEventRequest request = Countersigned(room, leave, judged_on, OUTCOME_ACCEPTED);
  *request.mutable_context_request() = asked;
  request.mutable_verdict()->set_commutes(false);
  ASSERT_TRUE(Persist(request).has_stored());
  ASSERT_TRUE(JudgeAlone(state_event("m.room.name")).has_stored());

  const auto decisions = Decisions();
  const auto decision = std::ranges::find(decisions, leave.event_id(), &v1::Decision::event_id);
  ASSERT_NE(decision, decisions.end());
  EXPECT_THAT(decision->verdict().inputs().forward_extremities(), SizeIs(1));
  v1::DecisionContext context;
  ASSERT_TRUE(ContextOfDecision(leave, false, context).ok());
  EXPECT_EQ(Sorted(context.judging()), Sorted(judged_on.judging()));
}

TEST_P(DecisionsContract, KeepsWhatARefusalWasJudgedOn) {
  const TestRoom room = MakeRoom();
  const Event leave = room.Leave("@bob:c.example");
  ASSERT_TRUE(Persist(Countersigned(room, leave, ContextOf(leave), OUTCOME_REJECTED)).has_stored());
  ASSERT_TRUE(Judge(room.Leave("@cat:d.example")).has_stored());

  const std::vector<v1::Decision> decisions = Decisions();
  ASSERT_THAT(decisions, SizeIs(2));
  EXPECT_TRUE(decisions[1].refused());  // after what was stored
  EXPECT_EQ(decisions[1].pdu(), TestRoom::Text(leave));
  EXPECT_EQ(decisions[1].verdict().outcome(), OUTCOME_REJECTED);
  v1::DecisionContext context;
  ASSERT_TRUE(ContextOfDecision(leave, true, context).ok());
  EXPECT_TRUE(context.judging().extends_all_extremities());
  EXPECT_NE(EntryOf(context.judging().state_now(), "m.room.member", "@bob:c.example"), "");
  EXPECT_EQ(IdsOf(context.judging().auth_events()), leave.auth_events());
  EXPECT_EQ(ReasonOf(ContextOfDecision(leave, false, context)), Reason::kNotFound);

  // Soft-failed later, it is two decisions; accepted, the refusal is gone.
  ASSERT_TRUE(Judge(leave, OUTCOME_SOFT_FAILED).has_stored());
  EXPECT_THAT(Decisions(), SizeIs(3));
}

TEST_P(DecisionsContract, DoesNotKnowADecisionOnAnEventThatNobodyJudged) {
  const TestRoom room = MakeRoom();
  v1::DecisionContext context;
  EXPECT_EQ(ReasonOf(ContextOfDecision(room.tip(), false, context)), Reason::kNotFound);
  EXPECT_EQ(ReasonOf(ContextOfDecision(room.Leave("@bob:c.example"), false, context)), Reason::kNotFound);
  // A refusal of which only the verdict was kept.
  const Event refused = room.Leave("@cat:d.example");
  ASSERT_TRUE(Judge(refused, OUTCOME_REJECTED).has_stored());
  EXPECT_EQ(ReasonOf(ContextOfDecision(refused, true, context)), Reason::kNotFound);
}

TEST_P(DecisionsContract, ListsEveryDecisionOnceHoweverManyPagesThereAre) {
  TestRoom first = MakeRoom(), second = MakeRoom("12");
  std::set<std::string> stored;
  for (int i = 0; i < 105; ++i) {
    TestRoom& room = i % 3 == 0 ? second : first;
    const Event event = room.Mint({.type = "m.room.topic",
                                   .state_key = "",
                                   .sender = room.creator(),
                                   .content = support::Object("{\"topic\":\"" + std::to_string(i) + "\"}")});
    ASSERT_TRUE(Judge(room.Append(event)).has_stored());
    stored.insert(event.event_id());
  }
  const std::vector<std::string> listed = IdsOf(Decisions());
  EXPECT_THAT(listed, SizeIs(105));
  EXPECT_EQ(std::set<std::string>(listed.begin(), listed.end()), stored);

  v1::ListDecisionsRequest request;
  request.set_room_id(second.room_id());
  EXPECT_THAT(Decisions(request), SizeIs(35));
}

TEST_P(DecisionsContract, ListsDecisionsOfATime) {
  const TestRoom room = MakeRoom();
  const Event bob = room.Leave("@bob:c.example");
  ASSERT_TRUE(Judge(bob).has_stored());
  ASSERT_TRUE(Judge(room.Leave("@cat:d.example"), OUTCOME_REJECTED).has_stored());
  const std::int64_t then = Decisions().at(0).stored_at_ms();
  v1::ListDecisionsRequest request;
  request.set_since_ms(then);
  EXPECT_THAT(Decisions(request), SizeIs(2));
  request.set_since_ms(then + 3'600'000);
  EXPECT_THAT(Decisions(request), IsEmpty());
  request.set_since_ms(0);
  request.set_until_ms(then);
  EXPECT_THAT(Decisions(request), IsEmpty());
  request.set_until_ms(then + 1);
  EXPECT_THAT(IdsOf(Decisions(request)), testing::Contains(bob.event_id()));
}

TEST_P(DecisionsContract, ShowsTheGraphAroundAnEventBothWays) {
  const TestRoom room = MakeRoom();
  const Event bob = room.Leave("@bob:c.example");
  const Event cat = room.Leave("@cat:d.example");
  ASSERT_TRUE(Judge(bob).has_stored());
  ASSERT_TRUE(Judge(cat, OUTCOME_SOFT_FAILED).has_stored());
  const Event both = room.Mint(
      {.type = "m.room.topic", .state_key = "", .sender = room.creator(), .content = {}, .prev_events = {&bob, &cat}});
  v1::PersistEventRequest on_both = PersistRequestFor(both, ContextOf(bob));
  *on_both.mutable_context_request() = support::ContextRequestFor(both);
  on_both.set_token(ContextOf(bob).token());
  ASSERT_TRUE(Persist(on_both).has_stored());

  const v1::Neighbourhood one = Around(room, {bob.event_id()}, 1);
  std::set<std::string> expected(bob.auth_events().begin(), bob.auth_events().end());
  for (const Event* event : {&bob, &both, &room.tip()}) expected.insert(event->event_id());
  const std::vector<std::string> found = IdsOf(one.events());
  EXPECT_EQ(std::set<std::string>(found.begin(), found.end()), expected);
  EXPECT_THAT(found, SizeIs(expected.size()));
  EXPECT_FALSE(one.truncated());
  for (const v1::NeighbourEvent& event : one.events()) {
    if (event.event_id() != bob.event_id()) continue;
    EXPECT_EQ(event.hops(), 0U);
    EXPECT_EQ(event.membership(), "leave");
    EXPECT_EQ(event.type(), "m.room.member");
    EXPECT_EQ(event.state_key(), "@bob:c.example");
    EXPECT_EQ(event.sender(), "@bob:c.example");
    EXPECT_EQ(event.depth(), bob.depth());
    EXPECT_EQ(event.outcome(), OUTCOME_ACCEPTED);
    EXPECT_FALSE(event.extremity());
    EXPECT_THAT(event.prev_events(), ElementsAre(room.tip().event_id()));
    EXPECT_EQ(event.auth_events_size(), static_cast<int>(bob.auth_events().size()));
  }
  EXPECT_EQ(one.events().rbegin()->event_id(), both.event_id());  // by depth
  EXPECT_TRUE(one.events().rbegin()->extremity());
  EXPECT_EQ(one.events().rbegin()->hops(), 1U);
  EXPECT_FALSE(one.events(0).has_hops());  // the create event is there because it is cited

  // Two edges away, over the one that both cite, and over the one that cites both.
  EXPECT_THAT(IdsOf(Around(room, {bob.event_id()}, 2).events()), testing::Contains(cat.event_id()));
  EXPECT_THAT(IdsOf(Around(room, {both.event_id()}, 0).events()), SizeIs(1 + both.auth_events().size()));
}

TEST_P(DecisionsContract, ShowsARefusedEventInTheGraph) {
  const TestRoom room = MakeRoom();
  const Event leave = room.Leave("@bob:c.example");
  ASSERT_TRUE(Persist(Countersigned(room, leave, ContextOf(leave), OUTCOME_REJECTED)).has_stored());
  const v1::Neighbourhood around = Around(room, {leave.event_id(), "$nobody-has-it"}, 1);
  EXPECT_THAT(IdsOf(around.events()), IsSupersetOf({leave.event_id(), room.tip().event_id()}));
  EXPECT_EQ(around.events().rbegin()->outcome(), OUTCOME_REJECTED);
  EXPECT_EQ(around.events().rbegin()->reason(), matrix::v1::REASON_NOT_AUTHORISED);
}

TEST_P(DecisionsContract, ShowsOfALargeGraphTheNearest) {
  TestRoom room = MakeRoom();
  v1::SeedEventsRequest seed;
  seed.set_room_id(room.room_id());
  const std::string first = room.tip().event_id();
  for (int i = 0; i < 10; ++i) {
    const Event& event = room.Append(room.Member("@seed" + std::to_string(i) + ":e.example", "join"));
    v1::InitialEvent& given = *seed.add_events();
    given.set_event_id(event.event_id());
    given.set_pdu(TestRoom::Text(event));
  }
  v1::SeedEventsResponse seeded;
  ASSERT_TRUE(Call(&Store::Stub::SeedEvents, seed, seeded).ok());
  // 210 leaves of one tip: all of them are its followers.
  const Event bob = room.Leave("@bob:c.example");
  const v1::EventContext context = ContextOf(bob);
  for (int i = 0; i < 210; ++i) {
    const Event message = room.Mint({.type = "m.room.message",
                                     .state_key = {},
                                     .sender = room.creator(),
                                     .content = support::Object("{\"body\":\"" + std::to_string(i) + "\"}")});
    v1::PersistEventRequest request = PersistRequestFor(message, context);
    ASSERT_TRUE(Persist(request).has_stored());
  }
  const v1::Neighbourhood around = Around(room, {room.tip().event_id()}, 8);
  EXPECT_THAT(around.events(), SizeIs(200));
  EXPECT_TRUE(around.truncated());
}

TEST_P(DecisionsContract, RefusesQuestionsAboutTheGraphThatCannotBeMeant) {
  const TestRoom room = MakeRoom();
  v1::Neighbourhood around;
  v1::GetNeighbourhoodRequest request;
  request.set_room_id(room.room_id());
  EXPECT_EQ(ReasonOf(Call(&Store::Stub::GetNeighbourhood, request, around)), Reason::kInvalidArgument);
  request.add_event_ids("$nobody-has-it");
  EXPECT_EQ(ReasonOf(Call(&Store::Stub::GetNeighbourhood, request, around)), Reason::kNotFound);
  request.set_hops(9);
  EXPECT_EQ(ReasonOf(Call(&Store::Stub::GetNeighbourhood, request, around)), Reason::kInvalidArgument);
  request.clear_hops();
  for (int i = 0; i < 20; ++i) request.add_event_ids(room.tip().event_id());
  EXPECT_EQ(ReasonOf(Call(&Store::Stub::GetNeighbourhood, request, around)), Reason::kInvalidArgument);
  request.mutable_event_ids()->RemoveLast();
  EXPECT_TRUE(Call(&Store::Stub::GetNeighbourhood, request, around).ok());
  request.set_room_id("!other:a.example");
  EXPECT_EQ(ReasonOf(Call(&Store::Stub::GetNeighbourhood, request, around)), Reason::kNotFound);
}

}  // namespace postern::contract
