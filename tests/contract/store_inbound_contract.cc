// What other servers send, and what they look up by name: answers that are kept, events that are told to nobody, the
// state with its events, backfill, profiles, aliases (pitfalls D01, S04, A06).
#include <gmock/gmock.h>

#include "services/store/store_request.h"
#include "tests/contract/store_contract.h"
#include "tests/support/store_requests.h"

namespace postern::contract {
namespace {

namespace v1 = store::v1;
using matrix::Event;
using matrix::Reason;
using store::v1::Store;
using support::Object;
using support::PersistRequestFor;
using support::RoomBuilder;
using support::TestRoom;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr const char* kBob = "@bob:c.example";
constexpr const char* kCat = "@cat:d.example";
constexpr const char* kCreator = "@creator:a.example";

Event Message(const TestRoom& room, std::vector<const Event*> prev, std::string_view text = "x") {
  matrix::JsonObject content;
  content.Set("body", text);
  return room.Mint({.type = "m.room.message",
                    .state_key = std::nullopt,
                    .sender = room.creator(),
                    .content = std::move(content),
                    .prev_events = std::move(prev)});
}

std::vector<std::string> Texts(const google::protobuf::RepeatedPtrField<std::string>& texts) {
  return {texts.begin(), texts.end()};
}

}  // namespace

std::string InboundContract::AnswerTo(const std::string& origin, const std::string& transaction_id) {
  v1::GetReceivedTransactionRequest request;
  request.set_origin(origin);
  request.set_transaction_id(transaction_id);
  v1::ReceivedTransaction transaction;
  EXPECT_TRUE(Call(&Store::Stub::GetReceivedTransaction, request, transaction).ok());
  return transaction.answer();
}

std::string InboundContract::Keep(const std::string& origin, const std::string& transaction_id,
                                  const std::string& answer) {
  v1::KeepReceivedTransactionRequest request;
  request.set_origin(origin);
  request.set_transaction_id(transaction_id);
  request.set_answer(answer);
  v1::ReceivedTransaction transaction;
  const grpc::Status status = Call(&Store::Stub::KeepReceivedTransaction, request, transaction);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return transaction.answer();
}

std::vector<std::string> InboundContract::Backfill(const TestRoom& room, const std::vector<std::string>& from,
                                                   std::uint32_t limit) {
  v1::GetBackfillRequest request;
  request.set_room_id(room.room_id());
  request.set_asker("d.example");
  request.mutable_from()->Add(from.begin(), from.end());
  request.set_limit(limit);
  v1::GetBackfillResponse answer;
  const grpc::Status status = Call(&Store::Stub::GetBackfill, request, answer);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return IdsOf(answer.events());
}

Reason InboundContract::SetAlias(const std::string& alias, const std::string& room_id) {
  v1::SetAliasRequest request;
  request.set_alias(alias);
  request.set_room_id(room_id);
  v1::SetAliasResponse response;
  return ReasonOf(Call(&Store::Stub::SetAlias, request, response));
}

std::vector<std::string> InboundContract::Aliases(const std::string& room_id) {
  v1::ListAliasesRequest request;
  request.set_room_id(room_id);
  v1::ListAliasesResponse response;
  EXPECT_TRUE(Call(&Store::Stub::ListAliases, request, response).ok());
  std::vector<std::string> aliases;
  for (const auto& alias : response.aliases()) aliases.push_back(alias.alias() + " " + alias.room_id());
  return aliases;
}

TEST_P(InboundContract, D01_TheFirstAnswerToATransactionIsKept) {
  EXPECT_EQ(AnswerTo("b.example", "1"), "");
  const std::string odd("{\"\0\xFF", 4);
  EXPECT_EQ(Keep("b.example", "1", odd), odd);
  EXPECT_EQ(Keep("b.example", "1", "another"), odd);
  EXPECT_EQ(AnswerTo("b.example", "1"), odd);
  EXPECT_EQ(AnswerTo("b.example", "2"), "");
  EXPECT_EQ(AnswerTo("c.example", "1"), "") << "of another server";
  EXPECT_EQ(Keep("c.example", "1", "its own"), "its own");
}

TEST_P(InboundContract, OfOneOriginTheNewestAnswersAreKept) {
  Keep("c.example", "old", "x");
  for (int i = 0; i <= store::kMostAnswersOfOne; ++i) Keep("b.example", std::to_string(i), "x");
  EXPECT_EQ(AnswerTo("b.example", "0"), "");
  EXPECT_EQ(AnswerTo("b.example", "1"), "x");
  EXPECT_EQ(AnswerTo("b.example", std::to_string(store::kMostAnswersOfOne)), "x");
  EXPECT_EQ(AnswerTo("c.example", "old"), "x");
}

TEST_P(InboundContract, RefusesAnAnswerThatCannotBeMeant) {
  struct Case {
    const char* origin;
    std::string id;
    std::size_t answer;
  };
  for (const Case& c : {Case{"", "1", 1}, Case{"b.example", "", 1}, Case{"b.example", std::string(256, 'x'), 1},
                        Case{"b.example", "1", 128 * 1024 + 1}}) {
    v1::KeepReceivedTransactionRequest request;
    request.set_origin(c.origin);
    request.set_transaction_id(c.id);
    request.set_answer(std::string(c.answer, 'x'));
    v1::ReceivedTransaction transaction;
    EXPECT_EQ(ReasonOf(Call(&Store::Stub::KeepReceivedTransaction, request, transaction)), Reason::kInvalidArgument);
  }
  EXPECT_EQ(Keep("b.example", std::string(255, 'x'), std::string(128 * 1024, 'y')).size(), 128U * 1024);
}

TEST_P(InboundContract, WhatItsOriginTellsOfIsToldToNobody) {
  const TestRoom room = MakeRoom();
  const int rows = Outbox(room).rows_size();
  const auto deliver = [&] {
    v1::LeaseDeliveriesRequest lease;
    lease.set_holder("one");
    lease.set_milliseconds(60'000);
    lease.set_most(100);
    lease.set_most_of_failing(100);
    v1::LeaseDeliveriesResponse leased;
    EXPECT_TRUE(Call(&Store::Stub::LeaseDeliveries, lease, leased).ok());
    return leased.transactions_size();
  };
  const Event leave = room.Leave(kBob);
  v1::PersistEventRequest request = PersistRequestFor(leave, ContextOf(leave));
  request.set_told_by_origin(true);
  request.add_also_tell("e.example");
  ASSERT_TRUE(Persist(request).has_stored());
  EXPECT_EQ(MembershipOf(room, kBob), "leave");
  EXPECT_EQ(Outbox(room).rows_size(), rows);
  EXPECT_EQ(deliver(), 0);
  // The next one is told as ever, to those that are in the room.
  Judge(room.Leave("@ann:b.example"));
  EXPECT_EQ(Outbox(room).rows_size(), rows + 1);
  EXPECT_THAT(Outbox(room).rows().rbegin()->destinations(), ElementsAre("d.example"));
  EXPECT_EQ(deliver(), 1);
}

TEST_P(InboundContract, TheStateBeforeAnEventComesWithItsEvents) {
  TestRoom room = RoomBuilder("10").Member(kBob, "join").Member(kCat, "join").Build();
  Create(room);
  const Event leave = room.Leave(kCat);
  Judge(leave);
  const Event after = Message(room, {&leave});
  Judge(after);
  const auto ask = [&](const Event& event, v1::GetStateResponse& answer) {
    v1::GetStateRequest request;
    request.set_room_id(room.room_id());
    request.set_event_id(event.event_id());
    request.set_asker("d.example");
    return ReasonOf(Call(&Store::Stub::GetState, request, answer));
  };
  v1::GetStateResponse state;
  ASSERT_EQ(ask(leave, state), Reason::kNone);
  std::vector<std::string> expected;
  for (const auto& [key, event] : room.state()) expected.push_back(TestRoom::Text(*event));
  EXPECT_THAT(Texts(state.state()), testing::UnorderedElementsAreArray(expected));
  EXPECT_EQ(state.auth_chain(0), TestRoom::Text(room.events().front()));
  EXPECT_TRUE(state.seen().asker_joined());
  EXPECT_FALSE(state.room().asker_joined());
  EXPECT_EQ(state.room().room().room_version(), "10");
  ASSERT_EQ(ask(after, state), Reason::kNone);
  EXPECT_THAT(Texts(state.state()), testing::Contains(TestRoom::Text(leave)));
  EXPECT_THAT(Texts(state.state()), SizeIs(expected.size()));
  EXPECT_EQ(ask(room.Leave(kBob), state), Reason::kUnknownEvent);
  const TestRoom nowhere = RoomBuilder("10", "@other:other.example").Build();
  v1::GetStateRequest unknown;
  unknown.set_room_id(nowhere.room_id());
  unknown.set_event_id(leave.event_id());
  EXPECT_EQ(ReasonOf(Call(&Store::Stub::GetState, unknown, state)), Reason::kUnknownRoom);
}

TEST_P(InboundContract, BackfillGivesTheEventsAskedForAndThoseBeforeThem) {
  const TestRoom room = MakeRoom();
  const Event a = Message(room, {&room.tip()}, "a");
  const Event left = Message(room, {&a}, "left");
  const Event right = Message(room, {&a}, "right");
  const Event both = Message(room, {&left, &right}, "both");
  for (const Event* event : {&a, &left, &right, &both}) Judge(*event);
  const auto ids = [](std::vector<const Event*> events) {
    std::vector<std::string> texts;
    for (const Event* event : events) texts.push_back(event->event_id());
    return texts;
  };
  EXPECT_EQ(Backfill(room, {both.event_id()}, 1), ids({&both}));
  EXPECT_EQ(Backfill(room, {both.event_id()}, 2), ids({&both, &left}));
  EXPECT_EQ(Backfill(room, {both.event_id()}, 5), ids({&both, &right, &left, &a, &room.tip()}));
  EXPECT_EQ(Backfill(room, {left.event_id(), right.event_id()}, 3), ids({&right, &left, &a}));
  EXPECT_EQ(Backfill(room, {left.event_id(), left.event_id(), "$unknown"}, 1), ids({&left}));
  EXPECT_THAT(Backfill(room, {both.event_id()}), SizeIs(room.events().size() + 4)) << "down to the start";
  EXPECT_THAT(Backfill(room, {"$unknown"}), IsEmpty());
  std::vector<std::string> many(20, "$unknown");
  many.push_back(both.event_id());
  EXPECT_THAT(Backfill(room, many), IsEmpty()) << "20 are looked at";
}

TEST_P(InboundContract, A06_BackfillGoesThroughWhatWasSoftFailedAndDoesNotTellIt) {
  TestRoom room = MakeRoom();
  std::deque<Event> run;
  const Event* last = &room.tip();
  for (int i = 0; i < 5; ++i) {
    run.push_back(Message(room, {last}, std::to_string(i)));
    Judge(run.back(), matrix::v1::OUTCOME_SOFT_FAILED);
    last = &run.back();
  }
  const Event after = Message(room, {last}, "after");
  Judge(after);
  EXPECT_THAT(Backfill(room, {after.event_id()}, 2), ElementsAre(after.event_id(), room.tip().event_id()));
  EXPECT_THAT(Backfill(room, {last->event_id()}, 1), ElementsAre(room.tip().event_id()));
}

TEST_P(InboundContract, BackfillComesWithTheRoomAndHowTheAskerStandsToEach) {
  const TestRoom room = RoomBuilder("10").Member(kCat, "leave").Build();
  Create(room);
  v1::GetBackfillRequest request;
  request.set_room_id(room.room_id());
  request.set_asker("d.example");
  request.add_from(room.tip().event_id());
  request.set_limit(2);
  v1::GetBackfillResponse answer;
  ASSERT_TRUE(Call(&Store::Stub::GetBackfill, request, answer).ok());
  EXPECT_FALSE(answer.room().asker_joined());
  ASSERT_THAT(answer.events(), SizeIs(2));
  EXPECT_EQ(answer.events(0).pdu(), TestRoom::Text(room.tip()));
  EXPECT_TRUE(answer.events(0).seen().asker_joined()) << "before its leave";
  for (const std::uint32_t limit : {0U, 101U}) {
    request.set_limit(limit);
    EXPECT_EQ(ReasonOf(Call(&Store::Stub::GetBackfill, request, answer)), Reason::kInvalidArgument);
  }
  request.set_limit(1);
  request.set_room_id("!none:a.example");
  EXPECT_EQ(ReasonOf(Call(&Store::Stub::GetBackfill, request, answer)), Reason::kUnknownRoom);
}

TEST_P(InboundContract, AProfileIsThatOfTheNewestJoin) {
  const auto profile = [&](const std::string& user, v1::Profile& answer) {
    v1::GetProfileRequest request;
    request.set_user_id(user);
    return ReasonOf(Call(&Store::Stub::GetProfile, request, answer));
  };
  v1::Profile answer;
  EXPECT_EQ(profile(kCreator, answer), Reason::kNotFound);
  TestRoom first = RoomBuilder("10").Member(kBob, "join").Build();
  Create(first);
  ASSERT_EQ(profile(kCreator, answer), Reason::kNone);
  EXPECT_FALSE(answer.has_displayname());
  EXPECT_FALSE(answer.has_avatar_url());
  const Event named =
      first.Mint({.type = "m.room.member",
                  .state_key = kCreator,
                  .sender = kCreator,
                  .content = Object(
                      R"({"membership":"join","displayname":"Ann\u0000 \u00e9","avatar_url":"mxc://a.example/x"})")});
  Judge(named);
  ASSERT_EQ(profile(kCreator, answer), Reason::kNone);
  EXPECT_EQ(answer.displayname(), std::string("Ann\0 \xC3\xA9", 7));
  EXPECT_EQ(answer.avatar_url(), "mxc://a.example/x");
  first.Append(named);
  // Left, it is known still; the leave says nothing of a name.
  Judge(first.Leave(kCreator));
  ASSERT_EQ(profile(kCreator, answer), Reason::kNone);
  EXPECT_EQ(answer.displayname(), "");
  for (const char* user : {kBob, "@nobody:a.example", "", "creator"}) {
    EXPECT_EQ(profile(user, answer), Reason::kNotFound) << user;
  }
}

TEST_P(InboundContract, AnAliasPointsAtARoomAndItsServers) {
  const TestRoom room = MakeRoom();
  const TestRoom other = RoomBuilder("10", "@other:other.example").Build();
  Create(other);
  const auto target = [&](const std::string& alias, v1::AliasTarget& answer) {
    v1::GetAliasRequest request;
    request.set_alias(alias);
    return ReasonOf(Call(&Store::Stub::GetAlias, request, answer));
  };
  v1::AliasTarget answer;
  EXPECT_EQ(target("#one:a.example", answer), Reason::kNotFound);
  ASSERT_EQ(SetAlias("#one:a.example", room.room_id()), Reason::kNone);
  ASSERT_EQ(SetAlias("#one:a.example", room.room_id()), Reason::kNone) << "again";
  ASSERT_EQ(target("#one:a.example", answer), Reason::kNone);
  EXPECT_EQ(answer.room_id(), room.room_id());
  EXPECT_THAT(Texts(answer.servers()), ElementsAre("a.example", "c.example", "d.example"));
  ASSERT_EQ(SetAlias("#one:a.example", other.room_id()), Reason::kNone);
  ASSERT_EQ(SetAlias("#two:a.example", room.room_id()), Reason::kNone);
  ASSERT_EQ(target("#one:a.example", answer), Reason::kNone);
  EXPECT_EQ(answer.room_id(), other.room_id());
  EXPECT_THAT(Texts(answer.servers()), ElementsAre("other.example"));
  EXPECT_THAT(Aliases(), ElementsAre("#one:a.example " + other.room_id(), "#two:a.example " + room.room_id()));
  EXPECT_THAT(Aliases(room.room_id()), ElementsAre("#two:a.example " + room.room_id()));

  v1::RemoveAliasRequest remove;
  remove.set_alias("#one:a.example");
  v1::RemoveAliasResponse removed;
  EXPECT_EQ(ReasonOf(Call(&Store::Stub::RemoveAlias, remove, removed)), Reason::kNone);
  EXPECT_EQ(ReasonOf(Call(&Store::Stub::RemoveAlias, remove, removed)), Reason::kNotFound);
  EXPECT_EQ(target("#one:a.example", answer), Reason::kNotFound);
}

TEST_P(InboundContract, OnlyAliasesOfThisServerAndRoomsThatAreKnownAreSet) {
  const TestRoom room = MakeRoom();
  for (const char* alias : {"", "#", "#:a.example", "one:a.example", "#one", "#one:b.example", "#one:a.example:8448"}) {
    EXPECT_EQ(SetAlias(alias, room.room_id()), Reason::kInvalidArgument) << alias;
  }
  EXPECT_EQ(SetAlias("#" + std::string(250, 'x') + ":a.example", room.room_id()), Reason::kInvalidArgument);
  EXPECT_EQ(SetAlias("#one:a.example", "!none:a.example"), Reason::kUnknownRoom);
  EXPECT_THAT(Aliases(), IsEmpty());
}

}  // namespace postern::contract
