// What is to be delivered, where transactions overlap and destinations are long away (pitfalls O01, O07).
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "absl/time/clock.h"
#include "services/store/overdue_deliveries.h"
#include "tests/store/store_rig.h"
#include "tests/support/store_requests.h"

namespace postern::store {
namespace {

using matrix::Event;
using support::StoreRig;
using support::TestRoom;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

constexpr absl::Duration kPatience = absl::Seconds(30);

class Deliveries : public testing::Test {
 protected:
  std::vector<v1::OutboundTransaction> Lease() {
    v1::LeaseDeliveriesRequest request;
    request.set_holder("one");
    request.set_milliseconds(60'000);
    request.set_most(100);
    request.set_most_of_failing(100);
    const auto leased = rig_.store().LeaseDeliveries(StoreRig::Within(kPatience), request);
    EXPECT_TRUE(leased.ok()) << leased.status();
    return leased.ok()
               ? std::vector<v1::OutboundTransaction>(leased->transactions().begin(), leased->transactions().end())
               : std::vector<v1::OutboundTransaction>{};
  }
  void Report(const v1::OutboundTransaction& transaction, v1::DeliveryReport::Outcome outcome) {
    v1::ReportDeliveriesRequest request;
    v1::DeliveryReport& report = *request.add_reports();
    report.set_destination(transaction.destination());
    report.set_transaction_id(transaction.transaction_id());
    report.set_outcome(outcome);
    EXPECT_TRUE(rig_.store().ReportDeliveries(StoreRig::Within(kPatience), request).ok());
  }
  /// A leave of that user after `prev`, or after the room's last event; it becomes the last one.
  const Event& Leave(TestRoom& room, int user) {
    const Event& leave = room.Append(room.Leave(support::UserOf(user)));
    EXPECT_TRUE(rig_.Persist(leave).ok());
    return leave;
  }
  static std::vector<std::string> IdsOf(const v1::OutboundTransaction& transaction) {
    std::vector<std::string> ids;
    for (const auto& pdu : transaction.pdus()) ids.push_back(pdu.event_id());
    return ids;
  }
  /// Users of b.example, and one of far.example, who is to hear of them.
  TestRoom MakeRoom(int users) {
    support::RoomBuilder builder("12", fmt::format("@creator{}:a.example", ++rooms_));
    for (int i = 0; i < users; ++i) builder.Member(support::UserOf(i), "join");
    TestRoom room = builder.Member("@far:far.example", "join").Build();
    rig_.Create(room);
    return room;
  }

  StoreRig rig_;
  int rooms_ = 0;
};

TEST_F(Deliveries, AreOverdueWhileNoSenderTakesThemUnlessTheirServerMayBeDead) {
  auto connection = *DatabaseConnection::Open(rig_.dsn());
  // Ninety minutes from now, in whole hours.
  const auto overdue = [&connection] {
    const auto longest = LongestOverdue(*connection, absl::Now() + absl::Minutes(90));
    EXPECT_TRUE(longest.ok()) << longest.status();
    return absl::ToInt64Hours(longest.value_or(absl::InfiniteDuration()));
  };
  const auto lose_lease = [this] { rig_.Sql("update destinations set held_until = now() - interval '1 minute'"); };
  TestRoom room = MakeRoom(4);
  EXPECT_EQ(overdue(), 0);
  Leave(room, 0);
  EXPECT_EQ(overdue(), 1);  // no sender has looked
  auto taken = Lease();
  EXPECT_EQ(overdue(), 0);  // it is under way
  lose_lease();
  EXPECT_EQ(overdue(), 0);  // nothing is known of this server: it may not be there
  taken = Lease();
  Report(taken.at(0), v1::DeliveryReport::OUTCOME_DELIVERED);
  EXPECT_THAT(Lease(), IsEmpty());
  EXPECT_EQ(overdue(), 0);  // nothing waits

  Leave(room, 1);
  taken = Lease();
  EXPECT_EQ(overdue(), 0);
  lose_lease();
  EXPECT_EQ(overdue(), 1);  // it takes what it is sent, and nobody sends
  taken = Lease();
  EXPECT_EQ(overdue(), 0);
  Report(taken.at(0), v1::DeliveryReport::OUTCOME_FAILED);
  rig_.Sql("update destinations set next_try = 1");
  EXPECT_EQ(overdue(), 0);  // it fails, and has been due since long ago
  Leave(room, 2);
  EXPECT_EQ(overdue(), 0);  // for a server that fails, whether or not somebody has looked
}

TEST_F(Deliveries, AreNotOverdueBecauseATransactionStaysOpenElsewhere) {
  auto writer = *DatabaseConnection::Open(rig_.dsn());
  ASSERT_TRUE(writer->Call({"begin", "begin"}, {}).ok());
  ASSERT_TRUE(writer->Call({"xid", "select pg_current_xact_id()"}, {}).ok());
  TestRoom room = MakeRoom(1);
  Leave(room, 0);
  Report(Lease().at(0), v1::DeliveryReport::OUTCOME_FAILED);
  auto connection = *DatabaseConnection::Open(rig_.dsn());
  EXPECT_EQ(LongestOverdue(*connection, absl::Now() + absl::Hours(1)).value(), absl::ZeroDuration());
}

TEST_F(Deliveries, OneCommitThatIsHeldBackIsPassedByOthersAndNotLost) {
  TestRoom held_room = MakeRoom(1), other_room = MakeRoom(3);
  const Event& held = Leave(held_room, 0);
  Report(Lease().at(0), v1::DeliveryReport::OUTCOME_DELIVERED);
  EXPECT_THAT(Lease(), IsEmpty());

  // Writes its delivery, and ends only when the lock is let go.
  std::jthread writer;  // before the gate, whose end lets it go
  auto gate = *DatabaseConnection::Open(rig_.dsn());
  ASSERT_TRUE(gate->Call({"shut", "select pg_advisory_lock(7)"}, {}).ok());
  writer = std::jthread([&] {
    auto connection = *DatabaseConnection::Open(rig_.dsn());
    const std::string text = fmt::format(
        "with written as (insert into deliveries (destination, room_id, event_id, created_at) "
        "values ('far.example', '{}', '{}', 1) returning number) select pg_advisory_lock(7), number from written",
        held_room.room_id(), held.event_id());
    EXPECT_TRUE(connection->Call({"held", text.c_str()}, {}).ok());
  });
  while (rig_.Sql("select count(*) from pg_locks where locktype = 'advisory' and not granted") == "0") {
  }
  std::vector<std::string> passed;
  for (int user : {0, 1}) {
    passed.push_back(Leave(other_room, user).event_id());
    const auto leased = Lease();
    ASSERT_THAT(leased, SizeIs(1));
    EXPECT_THAT(IdsOf(leased[0]), ElementsAre(passed.back()));
    Report(leased[0], v1::DeliveryReport::OUTCOME_DELIVERED);
    EXPECT_THAT(Lease(), IsEmpty());
  }
  ASSERT_TRUE(gate->Call({"open", "select pg_advisory_unlock(7)"}, {}).ok());
  writer.join();
  const auto at_last = Lease();
  ASSERT_THAT(at_last, SizeIs(1));
  EXPECT_THAT(IdsOf(at_last[0]), ElementsAre(held.event_id()));
}

TEST_F(Deliveries, AfterAnHourOnlyWhatNothingElseFollowsFromIsSent) {
  TestRoom chain = MakeRoom(4), fork = MakeRoom(3);
  std::vector<std::string> chained;
  for (int user : {0, 1, 2}) chained.push_back(Leave(chain, user).event_id());
  const Event one = fork.Leave(support::UserOf(0)), two = fork.Leave(support::UserOf(1));
  ASSERT_TRUE(rig_.Persist(one).ok() && rig_.Persist(two).ok());
  const auto before = Lease();
  ASSERT_THAT(before, SizeIs(1));
  EXPECT_THAT(IdsOf(before[0]), SizeIs(5));
  Report(before[0], v1::DeliveryReport::OUTCOME_FAILED);
  EXPECT_THAT(IdsOf(Lease().at(0)), SizeIs(5)) << "a short outage leaves nothing out";

  rig_.Sql("update destinations set failing_since = failing_since - 3700000");
  const auto after = Lease();
  ASSERT_THAT(after, SizeIs(1));
  EXPECT_THAT(IdsOf(after[0]), UnorderedElementsAre(chained.back(), one.event_id(), two.event_id()));
  EXPECT_NE(after[0].transaction_id(), before[0].transaction_id()) << "another content is another transaction";
  Report(after[0], v1::DeliveryReport::OUTCOME_DELIVERED);
  const std::string next = Leave(chain, 3).event_id();
  EXPECT_THAT(IdsOf(Lease().at(0)), ElementsAre(next));
}

TEST_F(Deliveries, ACatchUpGoesOnUntilEverythingFromBeforeItIsThere) {
  std::vector<std::string> heads;
  for (int number = 0; number < 60; ++number) {
    TestRoom room = MakeRoom(2);
    Leave(room, 0);
    heads.push_back(Leave(room, 1).event_id());
  }
  Report(Lease().at(0), v1::DeliveryReport::OUTCOME_FAILED);
  rig_.Sql("update destinations set failing_since = failing_since - 3700000");
  std::vector<std::string> sent;
  for (auto leased = Lease(); !leased.empty(); leased = Lease()) {
    for (std::string& id : IdsOf(leased[0])) sent.push_back(std::move(id));
    Report(leased[0], v1::DeliveryReport::OUTCOME_DELIVERED);
  }
  EXPECT_THAT(sent, testing::UnorderedElementsAreArray(heads));
}

TEST_F(Deliveries, ADatabaseThatWasRestoredIsLookedAtFromTheStart) {
  TestRoom room = MakeRoom(1);
  rig_.Sql("update deliveries_seen set xid = '9000000000'");
  Leave(room, 0);
  EXPECT_THAT(Lease(), SizeIs(1));
}

TEST_F(Deliveries, ATransactionHoldsHalfAMebibyteAtMost) {
  TestRoom room = MakeRoom(1);
  const std::string id = Leave(room, 0).event_id();
  rig_.Sql("update events set pdu = decode(repeat('20', 150000), 'hex') where event_id = '" + id + "'");
  rig_.Sql(
      "insert into deliveries (destination, room_id, event_id, created_at) select destination, room_id, event_id, 1 "
      "from deliveries cross join generate_series(1, 9)");
  EXPECT_EQ(Lease().at(0).pdus_size(), 3);
}

}  // namespace
}  // namespace postern::store
