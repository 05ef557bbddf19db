// The store's functions in the database: several versions side by side, and how many stay.
#include "services/store/sql_functions.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <thread>
#include <vector>

#include "services/store/migrations.h"
#include "tests/store/store_rig.h"

namespace postern::store {
namespace {

/// A set with one function, which answers its number.
struct NumberedSet {
  explicit NumberedSet(int number)
      : schema(fmt::format("postern_{}", number)),
        text(fmt::format("create function fn.number() returns integer language sql as 'select {}'", number)) {}
  SqlFunctions functions() const { return {schema, text}; }

  const std::string schema;
  const std::string text;
};

class SqlFunctionsTest : public testing::Test {
 protected:
  SqlFunctionsTest() : connection_(*DatabaseConnection::Open(database_.dsn())) {}

  void Install(int number) {
    const NumberedSet set(number);
    EXPECT_TRUE(InstallSqlFunctions(*connection_, set.functions()).ok());
  }

  std::string One(const std::string& sql) {
    const char* kept = statements_.emplace_back(sql).c_str();
    const auto rows = connection_->Call({kept, kept}, {});
    return rows.ok() ? std::string(rows->Text(0, 0)) : "failed";
  }

  support::TestDatabase database_;
  std::unique_ptr<DatabaseConnection> connection_;
  std::deque<std::string> statements_;  // their texts are their names on the connection
};

TEST_F(SqlFunctionsTest, AreInstalledOnceByStoresThatStartTogether) {
  ASSERT_TRUE(ApplyMigrations(*connection_).ok());
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] { EXPECT_TRUE(InstallSqlFunctions(**DatabaseConnection::Open(database_.dsn())).ok()); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(One("select count(*) from function_schemas"), "1");
  EXPECT_EQ(One("select digest is not null from fn.digest_of_set('{}')"), "t");
}

TEST_F(SqlFunctionsTest, OfTwoVersionsStandSideBySide) {
  Install(1);
  Install(2);
  EXPECT_EQ(One("select postern_1.number()"), "1");
  EXPECT_EQ(One("select postern_2.number()"), "2");
}

TEST_F(SqlFunctionsTest, OfTheVersionsBeforeTheTwoNewestStay) {
  for (int number = 1; number <= 4; ++number) Install(number);
  EXPECT_EQ(One("select string_agg(name, ' ' order by name) from function_schemas"), "postern_2 postern_3 postern_4");
  EXPECT_EQ(One("select count(*) from pg_namespace where nspname = 'postern_1'"), "0");
}

TEST_F(SqlFunctionsTest, OfAVersionThatComesBackAreInstalledAgain) {
  for (int number = 1; number <= 4; ++number) Install(number);
  Install(1);
  EXPECT_EQ(One("select postern_1.number()"), "1");
}

TEST_F(SqlFunctionsTest, ThatAreNotAcceptedLeaveNothing) {
  EXPECT_FALSE(InstallSqlFunctions(*connection_, {"postern_bad", "create function fn.bad("}).ok());
  EXPECT_EQ(One("select count(*) from pg_namespace where nspname = 'postern_bad'"), "0");
}

}  // namespace
}  // namespace postern::store
