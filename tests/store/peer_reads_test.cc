// Reads for other servers where a room is large, or a chain long: bounded by count, and no slower than what they tell
// is long.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/time/clock.h"
#include "matrix/refusal.h"
#include "tests/store/store_rig.h"
#include "tests/support/store_requests.h"

namespace postern::store {
namespace {

using matrix::Reason;
using support::StoreRig;
using support::TestRoom;

/// Events that were never sent, for their number only.
class LargeRoom : public testing::Test {
 protected:
  LargeRoom() { rig_.Create(room_); }

  /// State events in a row after the room's, the n-th with the id $n and `key` as its state key, each citing what
  /// `auth_events` says (SQL, of n).
  void Grow(int count, const std::string& type, const std::string& key, const std::string& auth_events,
            int pdu_bytes = 100) {
    const std::string numbers = fmt::format("from rooms o cross join generate_series(1, {}) as n", count);
    rig_.Sql(fmt::format(
        "with entries as (insert into state_entries select o.room_id, 0, '{0}', {1}, o.state_group + n, ('$' || "
        "n)::bytea {2}), "
        "ids as (insert into event_ids select ('$' || n)::bytea, o.room_id {2}), "
        "members as (insert into memberships (room_id, user_id, membership, event_id, updated_at) "
        "select o.room_id, {1}, 'join', ('$' || n)::bytea, 0 {2}) "
        "insert into events (room_id, event_id, stream_ordering, outcome, reason, depth, origin_server_ts, stored_at, "
        "state_group_before, state_group_now, state_group_after, fixed_ordering, type, state_key, sender, origin, "
        "prev_events, "
        "auth_events, pdu) "
        "select o.room_id, ('$' || n)::bytea, o.stream_ordering + n, 1, 0, n, 0, 0, o.state_group + n - 1, 0, "
        "o.state_group + n, 0, "
        "'{0}', {1}, '', '', array[('$' || n - 1)::bytea], {3}, "
        "convert_to('{{\"content\":{{\"membership\":\"join\",\"x\":\"' || repeat('x', {4}) || '\"}}}}', 'UTF8') {2} "
        "returning 1",
        type, key, numbers, auth_events, pdu_bytes));
  }

  template <typename Request>
  Request About(const std::string& event_id, const std::string& asker = "b.example") {
    Request request;
    request.set_room_id(room_.room_id());
    request.set_event_id(event_id);
    request.set_asker(asker);
    return request;
  }

  const rpc::CallContext call_ = StoreRig::Within(absl::Minutes(5));
  const TestRoom room_ = support::RoomOf(1);
  StoreRig rig_;
};

TEST_F(LargeRoom, TheStateOfAHundredThousandMembersIsToldInAMomentAndABitMoreIsTooLarge) {
  constexpr int kMembers = 100'000;
  const std::string& create = room_.events()[0].event_id();
  const std::string& levels = room_.events()[2].event_id();
  Grow(kMembers, "m.room.member", "('@m' || n || ':m' || n % 1000 || '.example')::bytea",
       fmt::format("array['{}'::bytea, '{}', ('$' || n - 1)::bytea]", create, levels));
  const absl::Time begun = absl::Now();
  const auto half = rig_.store().GetStateIds(call_, About<v1::GetStateIdsRequest>("$95000"));
  ASSERT_TRUE(half.ok()) << half.status();
  EXPECT_EQ(half->state_size(), static_cast<int>(room_.events().size()) - 1 + 94'999)
      << "one of them has been invited before";
  EXPECT_GE(half->auth_chain_size(), 94'998);
  EXPECT_TRUE(half->seen().asker_joined());
  // Far from quadratic: that would be a hundred times as long.
  EXPECT_LT(absl::Now() - begun, absl::Seconds(30));
  EXPECT_EQ(matrix::ReasonOf(rig_.store().GetStateIds(call_, About<v1::GetStateIdsRequest>("$100000")).status()),
            Reason::kAnswerTooLarge);

  // How the asker stands to an event costs the same, however many members there are.
  v1::GetMissingEventsRequest missing;
  missing.set_room_id(room_.room_id());
  missing.set_asker("m7.example");
  missing.add_latest("$100000");
  missing.set_limit(20);
  const auto events = rig_.store().GetMissingEvents(call_, missing);
  ASSERT_TRUE(events.ok()) << events.status();
  ASSERT_EQ(events->events_size(), 20);
  for (const auto& event : events->events()) EXPECT_TRUE(event.seen().asker_joined());
}

TEST_F(LargeRoom, AnAuthChainOfTenThousandIsToldAndOneMoreIsTooLarge) {
  Grow(10'010, "x", "('k' || n)::bytea", "array[('$' || n - 1)::bytea]");
  const auto chain = rig_.store().GetAuthChain(call_, About<v1::GetAuthChainRequest>("$10000"));
  ASSERT_TRUE(chain.ok()) << chain.status();
  EXPECT_EQ(chain->pdus_size(), 9'999);
  EXPECT_EQ(matrix::ReasonOf(rig_.store().GetAuthChain(call_, About<v1::GetAuthChainRequest>("$10002")).status()),
            Reason::kAnswerTooLarge);
}

TEST_F(LargeRoom, AnAuthChainOfMoreThanSixteenMebibytesIsTooLarge) {
  Grow(300, "x", "('k' || n)::bytea", "array[('$' || n - 1)::bytea]", 60'000);
  EXPECT_TRUE(rig_.store().GetAuthChain(call_, About<v1::GetAuthChainRequest>("$270")).ok());
  EXPECT_EQ(matrix::ReasonOf(rig_.store().GetAuthChain(call_, About<v1::GetAuthChainRequest>("$299")).status()),
            Reason::kAnswerTooLarge);
}

TEST_F(LargeRoom, OfAServersUsersSoManyAreLookedAt) {
  Grow(3'000, "m.room.member", "('@m' || n || ':m.example')::bytea", "'{}'");
  rig_.Sql("update memberships set membership = 'leave' where user_id like '@m%' returning 1");
  const auto first = rig_.store().GetEventForPeer(call_, About<v1::GetEventForPeerRequest>("$1", "m.example"));
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_TRUE(first->seen().asker_joined()) << "its own member event";
  ASSERT_TRUE(rig_.store().GetEventForPeer(call_, About<v1::GetEventForPeerRequest>("$2999", "m.example")).ok());
}

TEST_F(LargeRoom, AStateThatIsNotKnownIsRefused) {
  rig_.Sql("update events set state_group_before = null returning 1");
  EXPECT_EQ(
      matrix::ReasonOf(rig_.store().GetStateIds(call_, About<v1::GetStateIdsRequest>(room_.tip().event_id())).status()),
      Reason::kStateUnresolved);
  EXPECT_TRUE(rig_.store().GetEventForPeer(call_, About<v1::GetEventForPeerRequest>(room_.tip().event_id())).ok());
}

}  // namespace
}  // namespace postern::store
