// Tables that are hash-partitioned by room: made so, made so later with all they hold, and asked for one partition
// alone.
#include "services/store/room_partitions.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "services/store/migrations.h"
#include "services/store/sql_functions.h"
#include "tests/store/store_rig.h"
#include "tests/support/store_requests.h"

namespace postern::store {
namespace {

using support::StoreRig;
using support::TestDatabase;
using support::TestRoom;
using support::UserOf;

// The migration that made the newest of the tables which may be partitioned.
constexpr std::size_t kFirstThatMayBePartitioned = 9;
// The tables, with how many partitions each has.
constexpr const char* kParts =
    "select string_agg(format('%s %s', c.relname, (select count(*) from pg_inherits i where i.inhparent = c.oid)), ', "
    "' "
    "order by c.relname) from pg_class c where c.relkind = 'p' and c.relnamespace = 'public'::regnamespace";
constexpr const char* kFourOfEach =
    "auth_edges 4, current_state 4, event_ids 4, events 4, extremity_states 4, given_states 4, memberships 4, outbox "
    "4, "
    "room_servers 4, state_entries 4, state_lineages 4";
// Columns, checks, keys, indices and views by their definitions. Whether an index is one of a partitioned table is told
// by the word ONLY.
constexpr const char* kDefinitions =
    "select string_agg(line, E'\\n' order by line) from ("
    "select format('%s.%s %s %s %s %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, "
    "a.attgenerated, pg_get_expr(d.adbin, d.adrelid)) as line from pg_class c join pg_attribute a on a.attrelid = "
    "c.oid "
    "and a.attnum > 0 left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum "
    "where c.relkind in ('r', 'p', 'v') and not c.relispartition and c.relnamespace = 'public'::regnamespace "
    "union all select format('%s %s', k.conname, pg_get_constraintdef(k.oid)) from pg_constraint k "
    "join pg_class c on c.oid = k.conrelid where not c.relispartition and c.relnamespace = 'public'::regnamespace "
    "union all select replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ') from pg_index i "
    "join pg_class c on c.oid = i.indrelid where not c.relispartition and c.relnamespace = 'public'::regnamespace "
    "union all select pg_get_viewdef(c.oid) from pg_class c where c.relkind = 'v' "
    "and c.relnamespace = 'public'::regnamespace) as lines";

/// What some tables hold, as text.
std::string Everything(StoreRig& rig) {
  std::string all;
  for (const char* table : {"rooms", "events", "auth_edges", "event_ids", "state_lineages", "state_entries",
                            "extremity_states", "current_state", "memberships", "room_servers", "outbox"}) {
    all += fmt::format("{}\n{}\n", table,
                       rig.Sql(fmt::format("select string_agg(t::text, E'\\n' order by t::text) "
                                           "from {} as t",
                                           table)));
  }
  return all;
}

/// A room with a fork in it: two leaves beside each other, another after both, and one that is refused.
void Fill(StoreRig& rig, const TestRoom& room) {
  rig.Create(room);
  const matrix::Event one = room.Leave(UserOf(0)), other = room.Leave(UserOf(1));
  ASSERT_TRUE(rig.Persist(one).ok());
  ASSERT_TRUE(rig.Persist(other).ok());
  ASSERT_TRUE(rig.Persist(room.Leave(UserOf(2)), matrix::v1::OUTCOME_REJECTED).ok());
}

std::unique_ptr<DatabaseConnection> Connect(const std::string& dsn) {
  auto connection = DatabaseConnection::Open(dsn);
  EXPECT_TRUE(connection.ok());
  return *std::move(connection);
}

/// A database as a store makes it, with so many partitions.
std::unique_ptr<DatabaseConnection> Made(const TestDatabase& database, int partitions) {
  auto connection = Connect(database.dsn());
  EXPECT_TRUE(ApplyMigrations(*connection).ok());
  EXPECT_TRUE(InstallSqlFunctions(*connection).ok());
  EXPECT_TRUE(PartitionByRoom(*connection, partitions).ok());
  return connection;
}

std::string One(DatabaseConnection& connection, const char* sql) {
  auto rows = connection.Call({sql, sql}, {});
  EXPECT_TRUE(rows.ok()) << sql;
  return rows.ok() && rows->size() > 0 ? std::string(rows->Text(0, 0)) : "";
}

TEST(RoomPartitions, AreMadeWhereThereIsNoRoomYet) {
  TestDatabase database;
  EXPECT_EQ(One(*Made(database, 4), kParts), kFourOfEach);
}

TEST(RoomPartitions, AreNotMadeUnlessTheyAreAskedFor) {
  TestDatabase database;
  EXPECT_EQ(One(*Made(database, 0), kParts), "");
}

TEST(RoomPartitions, StayAsManyAsThereAre) {
  TestDatabase database;
  const auto connection = Made(database, 4);
  ASSERT_TRUE(PartitionByRoom(*connection, 8).ok());
  EXPECT_EQ(One(*connection, kParts), kFourOfEach);
}

TEST(RoomPartitions, AreMadeOnceByStoresThatStartTogether) {
  TestDatabase database;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { (void)Made(database, 4); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(One(*Connect(database.dsn()), kParts), kFourOfEach);
}

TEST(RoomPartitions, ChangeNothingElseOfTheSchema) {
  TestDatabase whole, parted;
  EXPECT_EQ(One(*Made(whole, 0), kDefinitions), One(*Made(parted, 4), kDefinitions));
}

TEST(RoomPartitions, HaveTheStorageParametersOfTheTable) {
  TestDatabase database;
  EXPECT_EQ(One(*Made(database, 4),
                "select string_agg(relname || reloptions::text, ' ' order by relname) from pg_class "
                "where relname in ('memberships_p3', 'events_p0')"),
            "events_p0{toast_tuple_target=8160} memberships_p3{fillfactor=70}");
}

TEST(RoomPartitions, OfAFilledDatabaseAreMadeByAnOperatorAlone) {
  TestDatabase database;
  const TestRoom room = support::RoomOf(6);
  StoreRig rig(database.dsn());
  Fill(rig, room);
  rig.Sql("grant select on events, readable_memberships to pg_monitor");
  const std::string before = Everything(rig);
  const auto connection = Connect(database.dsn());
  if (TestDatabase::room_partitions() == 0) {
    ASSERT_TRUE(PartitionByRoom(*connection, 4).ok());
    EXPECT_EQ(rig.Sql(kParts), "");
    EXPECT_EQ(One(*connection, "select fn.partition_by_room(4, true)"), "4");
  }
  EXPECT_EQ(rig.Sql(kParts), kFourOfEach);
  EXPECT_EQ(Everything(rig), before);
  EXPECT_EQ(rig.Sql("select has_table_privilege('pg_monitor', 'events', 'select') and "
                    "has_table_privilege('pg_monitor', 'readable_memberships', 'select')"),
            "t");
  // Connections that were open all the while go on.
  EXPECT_TRUE(rig.Persist(room.Leave(UserOf(3))).ok());
  EXPECT_EQ(rig.Sql("select count(*) from readable_memberships where membership = 'leave'"), "3");
}

TEST(RoomPartitions, AreMadeOfATableThatAMigrationAdds) {
  TestDatabase database;
  const auto connection = Made(database, 4);
  ASSERT_TRUE(connection
                  ->Execute("drop table given_states; create table given_states (room_id bytea not null, "
                            "event_id bytea not null, primary key (room_id, event_id))")
                  .ok());
  ASSERT_TRUE(PartitionByRoom(*connection, 8).ok());
  EXPECT_EQ(One(*connection, kParts), kFourOfEach);
}

TEST(RoomPartitions, EveryLaterMigrationAppliesToThem) {
  TestDatabase database;
  const auto connection = Connect(database.dsn());
  ASSERT_TRUE(ApplyMigrations(*connection, AllMigrations().first(kFirstThatMayBePartitioned)).ok());
  // The other functions are of the newest tables.
  const std::string text(CurrentSqlFunctions().text);
  ASSERT_TRUE(
      InstallSqlFunctions(*connection, {"postern_parts", text.substr(text.find("create function fn.grants_of"))}).ok());
  ASSERT_EQ(One(*connection, "select postern_parts.partition_by_room(4, false)"), "4");
  for (std::size_t count = kFirstThatMayBePartitioned; count <= AllMigrations().size(); ++count) {
    ASSERT_TRUE(ApplyMigrations(*connection, AllMigrations().first(count)).ok()) << count;
  }
  EXPECT_TRUE(InstallSqlFunctions(*connection).ok());
}

/// Waits until nobody but the asking connection is in the database: what they have counted is told by then.
void AwaitOthersEnd(DatabaseConnection& connection) {
  const absl::Time deadline = absl::Now() + absl::Seconds(20);
  while (One(connection,
             "select count(*) from pg_stat_activity where datname = current_database() "
             "and pid <> pg_backend_pid()") != "0" &&
         absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(10));
  }
}

TEST(RoomPartitions, OfOtherRoomsAreNotRead) {
  constexpr int kPartitions = 16;
  TestDatabase database;
  Made(database, kPartitions).reset();
  const auto connection = Connect(database.dsn());
  // Making their indices has read all of them.
  AwaitOthersEnd(*connection);
  One(*connection, "select pg_stat_reset()");
  {
    // Contexts, templates, branches, persists: by the generic plans that the store's connections have.
    StoreRig rig(database.dsn());
    const TestRoom room = support::RoomOf(6);
    Fill(rig, room);
    v1::GetTemplateContextRequest request;
    request.set_room_id(room.room_id());
    request.set_user_id(UserOf(3));
    EXPECT_TRUE(rig.store().GetTemplateContext(StoreRig::Within(absl::Seconds(30)), request).ok());
    auto branches = support::ContextRequestFor(room.Leave(UserOf(4)));
    branches.set_with_branches(true);
    EXPECT_TRUE(rig.store().GetEventContext(StoreRig::Within(absl::Seconds(30)), branches).ok());
    EXPECT_TRUE(rig.Persist(room.Leave(UserOf(5))).ok());
  }
  AwaitOthersEnd(*connection);
  // Those of event_ids are by event: each of a room's events may be in another.
  EXPECT_EQ(One(*connection,
                "select string_agg(format('%s: %s', name, read), ', ' order by name) from ("
                "select regexp_replace(relname, '_p[0-9]+$', '') as name, count(*) as read from pg_stat_user_tables "
                "where relname ~ '_p[0-9]+$' and relname not like 'event_ids%' and "
                "(seq_scan > 0 or idx_scan > 0 or n_tup_ins > 0) group by 1) as n where read > 1"),
            "");
  EXPECT_EQ(One(*connection, "select count(*) from pg_stat_user_tables where relname ~ '^events_p' and idx_scan > 0"),
            "1");
}

}  // namespace
}  // namespace postern::store
