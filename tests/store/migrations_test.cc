// The schema: from empty, again, from each step, by several at once, and guarded against change.
#include "services/store/migrations.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "tests/store/store_rig.h"

namespace postern::store {
namespace {

std::unique_ptr<DatabaseConnection> Open(const support::TestDatabase& database) {
  auto connection = DatabaseConnection::Open(database.dsn());
  EXPECT_TRUE(connection.ok());
  return *std::move(connection);
}

std::string One(DatabaseConnection& connection, const char* sql) {
  auto rows = connection.Call({sql, sql}, {});
  EXPECT_TRUE(rows.ok()) << sql;
  return rows.ok() ? std::string(rows->Text(0, 0)) : "";
}

constexpr const char* kCount = "select count(*) from schema_migrations";

TEST(Migrations, AreNumberedFromOneWithoutAGap) {
  int number = 0;
  for (const Migration& migration : AllMigrations()) {
    EXPECT_EQ(migration.number, ++number);
    EXPECT_FALSE(migration.sql.empty());
  }
}

TEST(Migrations, ApplyOnce) {
  support::TestDatabase database;
  const auto connection = Open(database);
  ASSERT_TRUE(ApplyMigrations(*connection).ok());
  EXPECT_EQ(One(*connection, kCount), std::to_string(AllMigrations().size()));
  EXPECT_TRUE(ApplyMigrations(*connection).ok());
  EXPECT_EQ(One(*connection, kCount), std::to_string(AllMigrations().size()));
}

TEST(Migrations, ApplyEachFromTheOneBefore) {
  support::TestDatabase database;
  const auto connection = Open(database);
  for (std::size_t count = 1; count <= AllMigrations().size(); ++count) {
    ASSERT_TRUE(ApplyMigrations(*connection, AllMigrations().first(count)).ok()) << count;
    EXPECT_EQ(One(*connection, kCount), std::to_string(count));
  }
}

TEST(Migrations, SeveralStoresAtOnce) {
  support::TestDatabase database;
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] { EXPECT_TRUE(ApplyMigrations(*Open(database)).ok()); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(One(*Open(database), kCount), std::to_string(AllMigrations().size()));
}

TEST(Migrations, OneThatFailsLeavesNothing) {
  support::TestDatabase database;
  const auto connection = Open(database);
  const std::vector<Migration> broken = {{1, "0001_good", "create table good (x int)"},
                                         {2, "0002_bad", "create table bad ("}};
  EXPECT_FALSE(ApplyMigrations(*connection, broken).ok());
  EXPECT_EQ(One(*connection, "select count(*) from pg_tables where tablename in ('good', 'schema_migrations')"), "0");
}

TEST(Migrations, OneThatWasChangedIsRefused) {
  support::TestDatabase database;
  const auto connection = Open(database);
  ASSERT_TRUE(ApplyMigrations(*connection, std::vector<Migration>{{1, "0001_a", "create table a (x int)"}}).ok());
  EXPECT_FALSE(ApplyMigrations(*connection, std::vector<Migration>{{1, "0001_a", "create table a (y int)"}}).ok());
}

}  // namespace
}  // namespace postern::store
