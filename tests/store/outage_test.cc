// PostgreSQL goes, comes back, kills a backend, or cannot say that it committed: on clusters of the tests' own.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "matrix/refusal.h"
#include "tests/store/store_rig.h"
#include "tests/support/store_requests.h"

namespace postern::store {
namespace {

using matrix::Reason;
using support::PostgresCluster;
using support::StoreRig;
using support::TestRoom;
using support::UserOf;

constexpr const char* kKillOthers =
    "select count(pg_terminate_backend(pid)) from pg_stat_activity where pid <> pg_backend_pid() and datname = "
    "current_database()";

/// Polls until `sql` answers `expected`: another process is what is waited for.
bool Becomes(StoreRig& rig, const std::string& sql, const std::string& expected) {
  const absl::Time deadline = absl::Now() + absl::Seconds(20);
  while (absl::Now() < deadline) {
    if (rig.Sql(sql) == expected) return true;
    std::this_thread::yield();
  }
  return false;
}

TEST(Outage, KilledConnectionsAreReplacedUnnoticed) {
  StoreRig rig;
  const TestRoom room = support::RoomOf(3);
  rig.Create(room);
  rig.ContextOf(room.Leave(UserOf(0)));
  rig.Sql(kKillOthers);
  rig.ContextOf(room.Leave(UserOf(0)));  // expects success
  rig.Sql(kKillOthers);
  const auto stored = rig.Persist(room.Leave(UserOf(0)));
  EXPECT_TRUE(stored.ok()) << stored.status().ToString();
  EXPECT_EQ(rig.Sql("select count(*) from memberships where membership = 'leave'"), "1");
}

TEST(Outage, APersistWhoseConnectionDiesWhileItWaitsIsDoneAgain) {
  StoreRig rig;
  const TestRoom room = support::RoomOf(1);
  rig.Create(room);
  auto holder = *DatabaseConnection::Open(rig.dsn());
  ASSERT_TRUE(holder->Call({"begin", "begin"}, {}).ok());
  ASSERT_TRUE(holder->Call({"lock", "select 1 from rooms for update"}, {}).ok());
  std::thread writer([&] {
    const auto stored = rig.Persist(room.Leave(UserOf(0)));
    EXPECT_TRUE(stored.ok()) << stored.status().ToString();
  });
  ASSERT_TRUE(Becomes(
      rig, "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
      "1"));
  rig.Sql(
      "select pg_terminate_backend(pid) from pg_stat_activity where wait_event_type = 'Lock' and datname = "
      "current_database()");
  ASSERT_TRUE(Becomes(
      rig, "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
      "1"));
  ASSERT_TRUE(holder->Call({"rollback", "rollback"}, {}).ok());
  writer.join();
  EXPECT_EQ(rig.Sql("select count(*) from memberships where membership = 'leave'"), "1");
}

TEST(Outage, ALockedRoomIsBusyNotForEver) {
  StoreRig rig;
  const TestRoom room = support::RoomOf(1);
  rig.Create(room);
  auto holder = *DatabaseConnection::Open(rig.dsn());
  ASSERT_TRUE(holder->Call({"begin", "begin"}, {}).ok());
  ASSERT_TRUE(holder->Call({"lock", "select 1 from rooms for update"}, {}).ok());
  EXPECT_EQ(matrix::ReasonOf(rig.Persist(room.Leave(UserOf(0))).status()), Reason::kRoomBusy);
}

TEST(Outage, TheClusterRestarts) {
  auto cluster = PostgresCluster::Start(true);
  ASSERT_TRUE(cluster.ok()) << cluster.status().ToString();
  StoreRig rig((*cluster)->dsn());
  const TestRoom room = support::RoomOf(2);
  rig.Create(room);
  ASSERT_TRUE((*cluster)->Stop("immediate").ok());
  const matrix::Event leave = room.Leave(UserOf(0));
  EXPECT_EQ(matrix::ReasonOf(rig.Persist(leave).status()), Reason::kStoreDown);
  EXPECT_FALSE(rig.watch().WaitUntilReady(absl::Now() + absl::Milliseconds(200)));
  EXPECT_EQ(rig.watch().Missing(), std::vector<std::string>{"database"});
  ASSERT_TRUE((*cluster)->StartAgain().ok());
  ASSERT_TRUE(rig.watch().WaitUntilReady(absl::Now() + absl::Seconds(20)));
  EXPECT_TRUE(rig.Persist(leave).ok());
}

TEST(Outage, ItStartsBeforeTheDatabaseDoes) {
  auto cluster = PostgresCluster::Start();
  ASSERT_TRUE(cluster.ok());
  ASSERT_TRUE((*cluster)->Stop().ok());
  DatabaseWatch watch((*cluster)->dsn(), ReachedBy::kItself, [](bool) {});
  EXPECT_FALSE(watch.WaitUntilReady(absl::Now() + absl::Milliseconds(200)));
  EXPECT_EQ(watch.Missing(), (std::vector<std::string>{"database", "migrations"}));
  ASSERT_TRUE((*cluster)->StartAgain().ok());
  EXPECT_TRUE(watch.WaitUntilReady(absl::Now() + absl::Seconds(20)));
  EXPECT_TRUE(watch.Missing().empty());
}

TEST(Outage, WhatIsAnsweredSurvivesCrashes) {
  auto cluster = PostgresCluster::Start(true);
  ASSERT_TRUE(cluster.ok());
  StoreRig rig((*cluster)->dsn());
  constexpr int kUsers = 120;
  const TestRoom room = support::RoomOf(kUsers);
  rig.Create(room);
  std::vector<char> answered(kUsers, 0);
  std::atomic<int> next = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = next++; i < kUsers; i = next++) {
        answered[static_cast<std::size_t>(i)] = rig.Persist(room.Leave(UserOf(i))).ok();
      }
    });
  }
  while (next < kUsers / 3) std::this_thread::yield();
  EXPECT_TRUE((*cluster)->Stop("immediate").ok());
  EXPECT_TRUE((*cluster)->StartAgain().ok());
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(rig.watch().WaitUntilReady(absl::Now() + absl::Seconds(20)));
  int stored = 0;
  for (int i = 0; i < kUsers; ++i) {
    v1::GetMemberRequest request;
    request.set_room_id(room.room_id());
    request.set_user_id(UserOf(i));
    const auto member = rig.store().GetMember(StoreRig::Within(absl::Seconds(10)), request);
    ASSERT_TRUE(member.ok());
    if (answered[static_cast<std::size_t>(i)] != 0) {
      EXPECT_EQ(member->membership(), "leave") << i;
    }
    if (member->membership() == "leave") ++stored;
  }
  EXPECT_GT(stored, 0);
  const std::string count = std::to_string(stored);
  const std::string first = std::to_string(room.events().size());
  EXPECT_EQ(rig.Sql("select count(*) from events where stream_ordering > " + first), count);
  EXPECT_EQ(rig.Sql("select count(*) from outbox where stream_ordering > " + first), count);
}

TEST(Outage, ACommitThatNoStandbyHasConfirmedIsNotCommitted) {
  auto cluster = PostgresCluster::Start(true);
  ASSERT_TRUE(cluster.ok());
  StoreRig rig((*cluster)->dsn());
  const TestRoom room = support::RoomOf(1);
  rig.Create(room);
  rig.Sql("alter system set synchronous_standby_names = 'nobody'");
  ASSERT_TRUE((*cluster)->Reload().ok());
  ASSERT_TRUE(Becomes(rig, "show synchronous_standby_names", "nobody"));
  constexpr const char* kWaiting = "select count(*) from pg_stat_activity where wait_event = 'SyncRep'";
  std::atomic<bool> done = false;
  std::thread writer([&] {
    const auto stored = rig.Persist(room.Leave(UserOf(0)));
    EXPECT_TRUE(stored.ok()) << stored.status().ToString();
    done = true;
  });
  // Its wait is cut short: PostgreSQL says COMMIT, with a warning. It waits again, for the same.
  ASSERT_TRUE(Becomes(rig, kWaiting, "1"));
  const std::string who = rig.Sql("select pid from pg_stat_activity where wait_event = 'SyncRep'");
  rig.Sql("select pg_cancel_backend(" + who + ")");
  ASSERT_TRUE(Becomes(rig, "select count(*) from memberships where membership = 'leave'", "1"));
  ASSERT_TRUE(Becomes(rig, kWaiting, "1"));
  EXPECT_FALSE(done);
  rig.Sql("alter system set synchronous_standby_names = ''");
  ASSERT_TRUE((*cluster)->Reload().ok());
  writer.join();
  EXPECT_TRUE(done);
}

}  // namespace
}  // namespace postern::store
