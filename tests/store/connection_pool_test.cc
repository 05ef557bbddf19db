// Which connection a statement gets.
#include "services/store/connection_pool.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "matrix/refusal.h"
#include "tests/store/store_rig.h"

namespace postern::store {
namespace {

using support::StoreRig;

constexpr Statement kOne{"one", "select 1, pg_backend_pid()"};
constexpr Statement kTwo{"two", "select 2, pg_backend_pid()"};
constexpr Statement kThree{"three", "select 3, pg_backend_pid()"};

class ConnectionPoolTest : public testing::Test {
 protected:
  /// A connection that has run the statement, and is held.
  struct Held {
    std::optional<ConnectionPool::Lease> lease;
    std::int64_t backend = 0;
  };

  Held Hold(const Statement& statement) {
    auto lease = pool_.Take(absl::Now() + absl::Seconds(30), statement);
    EXPECT_TRUE(lease.ok()) << lease.status();
    const auto rows = (*lease)->Call(statement, Parameters());
    EXPECT_TRUE(rows.ok()) << rows.status();
    return {*std::move(lease), rows->Integer(0, 1)};
  }
  std::int64_t Run(const Statement& statement) { return Hold(statement).backend; }

  StoreRig rig_;
  telemetry::Metrics metrics_;
  ConnectionPool pool_{rig_.dsn(), ReachedBy::kItself, 3, metrics_};
};

TEST_F(ConnectionPoolTest, AStatementGetsTheConnectionThatRanItLastWhicheverCameBackLast) {
  Held one = Hold(kOne), two = Hold(kTwo);
  two.lease.reset();
  one.lease.reset();
  EXPECT_EQ(Run(kTwo), two.backend);
  EXPECT_EQ(Run(kOne), one.backend);
  EXPECT_EQ(Run(kOne), one.backend);
  EXPECT_EQ(Run(kTwo), two.backend);
}

TEST_F(ConnectionPoolTest, WhereThatIsBusyOneThatKnowsTheStatement) {
  const std::int64_t first = Run(kOne);
  EXPECT_EQ(Run(kTwo), first) << "it alone is there";
  Held two = Hold(kTwo);
  Held other = Hold(kThree);
  two.lease.reset();
  other.lease.reset();
  EXPECT_EQ(Run(kOne), first) << "it ran another one last, but the other connection has never run this one";
}

TEST_F(ConnectionPoolTest, ANewStatementGetsTheConnectionThatHasRestedLongest) {
  Held one = Hold(kOne), two = Hold(kTwo);
  one.lease.reset();
  two.lease.reset();
  EXPECT_EQ(Run(kThree), one.backend);
}

TEST_F(ConnectionPoolTest, ABusyConnectionIsNotWaitedForWhileThereMayBeMore) {
  Held one = Hold(kOne);
  const Held again = Hold(kOne);
  EXPECT_NE(again.backend, one.backend);
}

TEST_F(ConnectionPoolTest, AFreshConnectionIsNoneThatWasIdle) {
  const std::int64_t idle = Run(kOne);
  auto fresh = pool_.Take(absl::Now() + absl::Seconds(30), kOne, /*fresh=*/true);
  ASSERT_TRUE(fresh.ok()) << fresh.status();
  EXPECT_NE((*fresh)->Call(kOne, Parameters())->Integer(0, 1), idle);
}

TEST_F(ConnectionPoolTest, WhereAllAreBusyTheDeadlineEndsTheWait) {
  const Held held[] = {Hold(kOne), Hold(kOne), Hold(kOne)};
  const auto late = pool_.Take(absl::Now(), kOne);
  EXPECT_EQ(matrix::ReasonOf(late.status()), matrix::Reason::kDeadlineExceeded);
}

}  // namespace
}  // namespace postern::store
