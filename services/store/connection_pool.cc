#include "services/store/connection_pool.h"

#include <algorithm>
#include <pqxx/pqxx>

#include "absl/time/clock.h"
#include "fmt/format.h"
#include "matrix/refusal.h"

namespace postern::store {

using matrix::Reason;
using matrix::Refuse;

ConnectionPool::ConnectionPool(std::string uri, std::size_t size) : uri_(std::move(uri)), size_(size) {}
ConnectionPool::~ConnectionPool() = default;

absl::Status ConnectionPool::Use(absl::Time deadline, const std::function<void(pqxx::connection&)>& work) {
  bool broke = false;
  absl::Status status = UseOnce(deadline, work, broke);
  // An idle connection may have died with the last server process: that says nothing of the next.
  if (broke && absl::Now() < deadline) status = UseOnce(deadline, work, broke);
  return status;
}

absl::Status ConnectionPool::UseOnce(absl::Time deadline, const std::function<void(pqxx::connection&)>& work, bool& broke) {
  absl::Status status;
  broke = false;
  auto connection = Take(deadline, status);
  if (!status.ok()) return status;
  try {
    if (!connection) connection = std::make_unique<pqxx::connection>(uri_);
    work(*connection);
  } catch (const pqxx::broken_connection& problem) {
    broke = true;
    connection.reset();
    status = Refuse(Reason::kStoreDown, fmt::format("PostgreSQL: {}", problem.what()));
  } catch (const pqxx::in_doubt_error& problem) {
    broke = true;
    connection.reset();
    status = Refuse(Reason::kStoreDown, fmt::format("PostgreSQL: {}", problem.what()));
  } catch (const pqxx::sql_error& problem) {
    // 57P..: the server is shutting the session down.
    broke = problem.sqlstate().rfind("57P", 0) == 0;
    connection.reset();
    status = Refuse(broke ? Reason::kStoreDown : Reason::kInternal, fmt::format("PostgreSQL: {}", problem.what()));
  } catch (const std::exception& problem) {
    connection.reset();
    status = Refuse(Reason::kInternal, fmt::format("PostgreSQL: {}", problem.what()));
  }
  GiveBack(std::move(connection));
  return status;
}

std::unique_ptr<pqxx::connection> ConnectionPool::Take(absl::Time deadline, absl::Status& status) {
  std::unique_lock lock(mutex_);
  const auto until = absl::ToChronoTime(std::min(deadline, absl::Now() + absl::Hours(1)));
  if (!free_.wait_until(lock, until, [this] { return lent_ < size_; })) {
    status = Refuse(Reason::kDeadlineExceeded, "no connection to PostgreSQL came free in time");
    return nullptr;
  }
  ++lent_;
  if (idle_.empty()) return nullptr;
  auto connection = std::move(idle_.back());
  idle_.pop_back();
  return connection;
}

void ConnectionPool::GiveBack(std::unique_ptr<pqxx::connection> connection) {
  {
    const std::lock_guard lock(mutex_);
    --lent_;
    if (connection) idle_.push_back(std::move(connection));
  }
  free_.notify_one();
}

}  // namespace postern::store
