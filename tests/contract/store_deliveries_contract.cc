// Telling other servers: who has a destination, what it is sent, and what becomes of that (pitfalls O01-O10).
#include <gmock/gmock.h>

#include "absl/time/clock.h"
#include "tests/contract/store_contract.h"
#include "tests/support/store_requests.h"

namespace postern::contract {
namespace {

namespace v1 = store::v1;
using matrix::Event;
using matrix::Reason;
using store::v1::Store;
using support::RoomBuilder;
using support::TestRoom;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::uint32_t kMinute = 60'000;
constexpr const char* kFar = "d.example";

std::vector<std::string> IdsOf(const std::optional<v1::OutboundTransaction>& transaction) {
  return transaction ? contract::IdsOf(transaction->pdus()) : std::vector<std::string>{};
}

std::vector<std::string> NamesOf(const std::vector<v1::OutboundTransaction>& transactions) {
  std::vector<std::string> names;
  for (const v1::OutboundTransaction& transaction : transactions) names.push_back(transaction.destination());
  return names;
}

}  // namespace

TestRoom DeliveriesContract::MakeRoomOfFour() {
  TestRoom room = RoomBuilder("10")
                      .Member("@ann:b.example", "join")
                      .Member("@bob:c.example", "join")
                      .Member("@bea:c.example", "join")
                      .Member("@cat:d.example", "join")
                      .Build();
  Create(room);
  return room;
}

std::vector<v1::OutboundTransaction> DeliveriesContract::Lease(const std::string& holder, std::uint32_t milliseconds,
                                                               const std::vector<std::string>& busy, std::uint32_t most,
                                                               std::uint32_t most_of_failing) {
  v1::LeaseDeliveriesRequest request;
  request.set_holder(holder);
  request.set_milliseconds(milliseconds);
  request.mutable_busy()->Add(busy.begin(), busy.end());
  request.set_most(most);
  request.set_most_of_failing(most_of_failing);
  v1::LeaseDeliveriesResponse response;
  const grpc::Status status = Call(&Store::Stub::LeaseDeliveries, request, response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return {response.transactions().begin(), response.transactions().end()};
}

std::optional<v1::OutboundTransaction> DeliveriesContract::LeaseFar(const std::string& holder) {
  for (v1::OutboundTransaction& transaction : Lease(holder)) {
    if (transaction.destination() == kFar) return std::move(transaction);
  }
  return std::nullopt;
}

std::uint32_t DeliveriesContract::Report(const v1::OutboundTransaction& transaction,
                                         v1::DeliveryReport::Outcome outcome, absl::Duration later,
                                         const std::string& error) {
  v1::ReportDeliveriesRequest request;
  v1::DeliveryReport& report = *request.add_reports();
  report.set_destination(transaction.destination());
  report.set_transaction_id(transaction.transaction_id());
  report.set_outcome(outcome);
  report.set_error(error);
  report.set_next_try_ms(absl::ToUnixMillis(absl::Now() + later));
  v1::ReportDeliveriesResponse response;
  const grpc::Status status = Call(&Store::Stub::ReportDeliveries, request, response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response.parked();
}

v1::Destination DeliveriesContract::StandingOf(const std::string& name) {
  v1::ListDestinationsResponse response;
  EXPECT_TRUE(Call(&Store::Stub::ListDestinations, v1::ListDestinationsRequest(), response).ok());
  for (const v1::Destination& destination : response.destinations()) {
    if (destination.destination() == name) return destination;
  }
  return {};
}

TEST_P(DeliveriesContract, AnAcceptedEventGoesToTheServersThatWereInTheRoomBeforeIt) {
  const TestRoom room = MakeRoomOfFour();
  EXPECT_THAT(Lease("one"), IsEmpty()) << "the first events of a room are no news";
  const Event leave = room.Leave("@ann:b.example");
  Judge(leave);
  const auto transactions = Lease("one");
  ASSERT_THAT(transactions, SizeIs(2));  // neither its origin nor this server
  EXPECT_EQ(transactions[0].destination(), "c.example");
  EXPECT_EQ(transactions[1].destination(), "d.example");
  ASSERT_THAT(transactions[1].pdus(), SizeIs(1));
  EXPECT_EQ(transactions[1].pdus(0).room_id(), room.room_id());
  EXPECT_EQ(transactions[1].pdus(0).event_id(), leave.event_id());
  EXPECT_EQ(transactions[1].pdus(0).pdu(), TestRoom::Text(leave));
}

TEST_P(DeliveriesContract, ASoftFailedOrRefusedEventGoesNowhere) {
  const TestRoom room = MakeRoomOfFour();
  Judge(room.Leave("@ann:b.example"), matrix::v1::OUTCOME_SOFT_FAILED);
  Judge(room.Leave("@bob:c.example"), matrix::v1::OUTCOME_REJECTED);
  EXPECT_THAT(Lease("one"), IsEmpty());
}

TEST_P(DeliveriesContract, ATransactionIsTheSameUntilItIsReported) {
  const TestRoom room = MakeRoomOfFour();
  const Event first = room.Leave("@ann:b.example");
  Judge(first);
  const auto before = LeaseFar();
  const Event second = room.Leave("@bob:c.example");
  Judge(second);
  const auto again = LeaseFar();
  EXPECT_EQ(again->SerializeAsString(), before->SerializeAsString());
  Report(*again, v1::DeliveryReport::OUTCOME_DELIVERED);
  const auto next = LeaseFar();
  EXPECT_THAT(IdsOf(next), ElementsAre(second.event_id()));
  EXPECT_NE(next->transaction_id(), before->transaction_id());
  Report(*next, v1::DeliveryReport::OUTCOME_DELIVERED);
  EXPECT_FALSE(LeaseFar());
  EXPECT_EQ(StandingOf(kFar).pending(), 0);
}

TEST_P(DeliveriesContract, TheEventsOfARoomComeInTheirOrder) {
  const TestRoom room = MakeRoomOfFour();
  std::vector<std::string> stored;
  for (const char* user : {"@bob:c.example", "@ann:b.example", "@bea:c.example"}) {
    const Event leave = room.Leave(user);
    Judge(leave);
    stored.push_back(leave.event_id());
  }
  EXPECT_EQ(IdsOf(LeaseFar()), stored);
}

TEST_P(DeliveriesContract, OneSenderAtATimeHasADestination) {
  const TestRoom room = MakeRoomOfFour();
  Judge(room.Leave("@ann:b.example"));
  ASSERT_TRUE(LeaseFar("one"));
  EXPECT_FALSE(LeaseFar("two"));
  EXPECT_EQ(StandingOf(kFar).holder(), "one");
  EXPECT_THAT(Lease("one", 0), IsEmpty());
  const auto taken_over = LeaseFar("two");
  ASSERT_TRUE(taken_over);
  EXPECT_FALSE(LeaseFar("one"));
}

TEST_P(DeliveriesContract, ALeaseThatHasRunOutIsTakenOverWithItsTransaction) {
  const TestRoom room = MakeRoomOfFour();
  Judge(room.Leave("@ann:b.example"));
  const auto transactions = Lease("one", 1);
  ASSERT_THAT(transactions, SizeIs(2));
  for (int attempt = 0; attempt < 10'000; ++attempt) {
    const auto taken_over = LeaseFar("two");
    if (!taken_over) continue;
    EXPECT_EQ(taken_over->transaction_id(), transactions[1].transaction_id());
    return;
  }
  FAIL() << "it was never had";
}

TEST_P(DeliveriesContract, WhatIsUnderWayIsNotGivenAgain) {
  const TestRoom room = MakeRoomOfFour();
  Judge(room.Leave("@ann:b.example"));
  ASSERT_THAT(Lease("one"), SizeIs(2));
  const auto others = Lease("one", kMinute, {kFar});
  ASSERT_THAT(others, SizeIs(1));
  EXPECT_EQ(others[0].destination(), "c.example");
  EXPECT_THAT(Lease("one", kMinute, {}, 1), SizeIs(1));
}

TEST_P(DeliveriesContract, WhoCanTakeNoMoreKeepsWhatHeHas) {
  const TestRoom room = MakeRoomOfFour();
  Judge(room.Leave("@ann:b.example"));
  ASSERT_THAT(Lease("one", 1), SizeIs(2));
  EXPECT_THAT(Lease("one", kMinute, {}, 0), IsEmpty());
  EXPECT_THAT(Lease("two"), IsEmpty());
}

TEST_P(DeliveriesContract, AFailureHoldsADestinationOffUntilItsTime) {
  const TestRoom room = MakeRoomOfFour();
  Judge(room.Leave("@ann:b.example"));
  const auto transaction = LeaseFar();
  Report(*transaction, v1::DeliveryReport::OUTCOME_FAILED, absl::Hours(1), "no route");
  EXPECT_FALSE(LeaseFar());
  EXPECT_EQ(StandingOf(kFar).failures(), 1U);
  EXPECT_EQ(StandingOf(kFar).last_error(), "no route");
  EXPECT_TRUE(StandingOf(kFar).has_failing_since_ms());
  Judge(room.Leave("@bob:c.example"));
  EXPECT_FALSE(LeaseFar()) << "something new does not end it";

  v1::EndBackOffRequest heard_of;
  v1::EndBackOffResponse response;
  heard_of.add_destinations(kFar);
  heard_of.add_destinations("nobody.example");
  ASSERT_TRUE(Call(&Store::Stub::EndBackOff, heard_of, response).ok());
  const auto again = LeaseFar();
  ASSERT_TRUE(again);
  EXPECT_EQ(again->transaction_id(), transaction->transaction_id());
  EXPECT_EQ(again->failures(), 1U);
  Report(*again, v1::DeliveryReport::OUTCOME_DELIVERED);
  EXPECT_EQ(StandingOf(kFar).failures(), 0U);
  EXPECT_EQ(StandingOf(kFar).last_error(), "");
  EXPECT_TRUE(StandingOf(kFar).has_delivered_at_ms());
}

TEST_P(DeliveriesContract, WhatIsPutOffDoesNotCount) {
  const TestRoom room = MakeRoomOfFour();
  Judge(room.Leave("@ann:b.example"));
  Report(*LeaseFar(), v1::DeliveryReport::OUTCOME_PUT_OFF, absl::Hours(1), "404");
  EXPECT_FALSE(LeaseFar());
  EXPECT_EQ(StandingOf(kFar).failures(), 0U);
  EXPECT_EQ(StandingOf(kFar).last_error(), "404");
}

TEST_P(DeliveriesContract, ThoseThatFailComeLastAndAreFew) {
  const TestRoom room = MakeRoomOfFour();
  Judge(room.Leave("@ann:b.example"));
  const auto transactions = Lease("one");
  ASSERT_EQ(transactions[0].destination(), "c.example");
  Report(transactions[0], v1::DeliveryReport::OUTCOME_FAILED, -absl::Seconds(1));
  const auto again = Lease("one");
  ASSERT_THAT(again, SizeIs(2));
  EXPECT_EQ(again[1].destination(), "c.example");
  EXPECT_THAT(NamesOf(Lease("one", kMinute, {}, 100, 1)), ElementsAre(kFar));
}

TEST_P(DeliveriesContract, WhoHasTakenSomethingBeforeComesFirstAndStrangersAreAsFewAsThoseThatFail) {
  const TestRoom room = RoomBuilder("10")
                            .Member("@ann:b.example", "join")
                            .Member("@abe:b.example", "join")
                            .Member("@bob:c.example", "join")
                            .Member("@cat:d.example", "join")
                            .Member("@dan:e.example", "join")
                            .Build();
  Create(room);
  Judge(room.Leave("@ann:b.example"));
  Report(*LeaseFar(), v1::DeliveryReport::OUTCOME_DELIVERED);
  Judge(room.Leave("@abe:b.example"));
  EXPECT_THAT(NamesOf(Lease("one", kMinute, {}, 100, 0)), ElementsAre(kFar));
  const auto names = NamesOf(Lease("one", kMinute, {}, 100, 1));
  ASSERT_THAT(names, ElementsAre(kFar, testing::AnyOf("c.example", "e.example")));
  EXPECT_THAT(Lease("one", kMinute, names, 100, 1), IsEmpty()) << "what is under way counts";
  EXPECT_THAT(Lease("one", kMinute, names, 100, 2), SizeIs(1));
}

TEST_P(DeliveriesContract, NobodyHasADestinationThatIsHeldOff) {
  const TestRoom room = MakeRoomOfFour();
  Judge(room.Leave("@ann:b.example"));
  Report(*LeaseFar("one"), v1::DeliveryReport::OUTCOME_FAILED, -absl::Seconds(1));
  EXPECT_EQ(StandingOf(kFar).holder(), "");
  EXPECT_TRUE(LeaseFar("two")) << "whoever asks first";
}

TEST_P(DeliveriesContract, WhatIsRefusedIsSentAloneThenParkedAndTheRestGoesOn) {
  const TestRoom room = MakeRoomOfFour();
  const Event first = room.Leave("@ann:b.example");
  const Event second = room.Leave("@bob:c.example");
  const Event third = room.Leave("@bea:c.example");
  for (const Event* leave : {&first, &second, &third}) Judge(*leave);
  EXPECT_EQ(Report(*LeaseFar(), v1::DeliveryReport::OUTCOME_REFUSED, {}, "400"), 0U);
  const auto alone = LeaseFar();
  EXPECT_THAT(IdsOf(alone), ElementsAre(first.event_id()));
  Report(*alone, v1::DeliveryReport::OUTCOME_DELIVERED);
  const auto poison = LeaseFar();
  EXPECT_THAT(IdsOf(poison), ElementsAre(second.event_id()));
  EXPECT_EQ(Report(*poison, v1::DeliveryReport::OUTCOME_REFUSED, {}, "400"), 1U);
  EXPECT_THAT(IdsOf(LeaseFar()), ElementsAre(third.event_id()));
  EXPECT_EQ(StandingOf(kFar).parked(), 1);
  EXPECT_EQ(StandingOf(kFar).pending(), 1);
}

TEST_P(DeliveriesContract, AReportOfWhatIsNoLongerUnderWayIsPassedOver) {
  const TestRoom room = MakeRoomOfFour();
  Judge(room.Leave("@ann:b.example"));
  const auto transaction = LeaseFar();
  Report(*transaction, v1::DeliveryReport::OUTCOME_DELIVERED);
  Judge(room.Leave("@bob:c.example"));
  ASSERT_TRUE(LeaseFar());
  Report(*transaction, v1::DeliveryReport::OUTCOME_FAILED, absl::Hours(1));
  Report(*transaction, v1::DeliveryReport::OUTCOME_DELIVERED);
  EXPECT_EQ(StandingOf(kFar).pending(), 1);
  EXPECT_EQ(StandingOf(kFar).failures(), 0U);
}

TEST_P(DeliveriesContract, AnOperatorTriesAgainOrDrops) {
  const TestRoom room = MakeRoomOfFour();
  Judge(room.Leave("@ann:b.example"));
  EXPECT_EQ(Report(*LeaseFar(), v1::DeliveryReport::OUTCOME_REFUSED, {}, "400"), 1U);
  Judge(room.Leave("@bob:c.example"));
  Report(*LeaseFar(), v1::DeliveryReport::OUTCOME_FAILED, absl::Hours(1));
  const auto settle = [&](const std::string& name, bool drop, v1::SettleDestinationResponse& response) {
    v1::SettleDestinationRequest request;
    request.set_destination(name);
    request.set_drop(drop);
    return ReasonOf(Call(&Store::Stub::SettleDestination, request, response));
  };
  v1::SettleDestinationResponse response;
  EXPECT_EQ(settle(kFar, false, response), Reason::kNone);
  EXPECT_EQ(response.pdus(), 2);
  EXPECT_TRUE(LeaseFar());
  EXPECT_EQ(StandingOf(kFar).parked(), 0);
  EXPECT_EQ(settle(kFar, true, response), Reason::kNone);
  EXPECT_EQ(response.pdus(), 2);
  EXPECT_FALSE(LeaseFar());
  EXPECT_EQ(StandingOf(kFar).pending(), 0);
  EXPECT_EQ(settle("nobody.example", true, response), Reason::kNotFound);
}

TEST_P(DeliveriesContract, RefusesWhatCannotBeMeant) {
  v1::LeaseDeliveriesRequest lease;
  v1::LeaseDeliveriesResponse leased;
  lease.set_milliseconds(kMinute);
  lease.set_most(1);
  EXPECT_EQ(ReasonOf(Call(&Store::Stub::LeaseDeliveries, lease, leased)), Reason::kInvalidArgument);
  lease.set_holder("one");
  lease.set_most(101);
  EXPECT_EQ(ReasonOf(Call(&Store::Stub::LeaseDeliveries, lease, leased)), Reason::kInvalidArgument);
  lease.set_most(1);
  lease.set_milliseconds(kMinute + 1);
  EXPECT_EQ(ReasonOf(Call(&Store::Stub::LeaseDeliveries, lease, leased)), Reason::kInvalidArgument);
  v1::ReportDeliveriesRequest reports;
  v1::ReportDeliveriesResponse reported;
  reports.add_reports()->set_destination(kFar);
  EXPECT_EQ(ReasonOf(Call(&Store::Stub::ReportDeliveries, reports, reported)), Reason::kInvalidArgument);
}

}  // namespace postern::contract
