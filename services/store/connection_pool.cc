#include "services/store/connection_pool.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "matrix/refusal.h"

namespace postern::store {

ConnectionPool::Lease::Lease(ConnectionPool& pool, std::unique_ptr<DatabaseConnection> connection,
                             const Statement& statement)
    : pool_(&pool), connection_(std::move(connection)), statement_(statement.name) {}

ConnectionPool::Lease::~Lease() {
  if (connection_ != nullptr) pool_->Return(std::move(connection_), statement_);
}

ConnectionPool::ConnectionPool(std::string uri, ReachedBy reached_by, std::size_t size, telemetry::Metrics& metrics)
    : uri_(std::move(uri)), reached_by_(reached_by), size_(size), metrics_(metrics) {}

absl::StatusOr<ConnectionPool::Lease> ConnectionPool::Take(absl::Time deadline, const Statement& statement,
                                                           bool fresh) {
  std::unique_ptr<DatabaseConnection> connection;
  std::vector<Idle> stale;
  {
    std::unique_lock lock(mutex_);
    if (!freed_.wait_until(lock, absl::ToChronoTime(deadline), [this] { return leased_ < size_; })) {
      return matrix::Refuse(matrix::Reason::kDeadlineExceeded, "no connection was free in time");
    }
    ++leased_;
    if (fresh) stale.swap(idle_);  // broken alike, most likely; closed below, without the lock
    connection = TakeIdle(statement);
    Tell();
  }
  if (connection != nullptr) return Lease(*this, std::move(connection), statement);

  absl::StatusOr<std::unique_ptr<DatabaseConnection>> opened = DatabaseConnection::Open(uri_, reached_by_);
  metrics_.Count("postern_store_connections_opened_total", {{"result", opened.ok() ? "ok" : "failed"}});
  if (!opened.ok()) {
    Return(nullptr, statement.name);
    return opened.status();
  }
  return Lease(*this, *std::move(opened), statement);
}

std::unique_ptr<DatabaseConnection> ConnectionPool::TakeIdle(const Statement& statement) {
  if (idle_.empty()) return nullptr;
  auto found = std::find_if(idle_.rbegin(), idle_.rend(),
                            [&](const Idle& idle) { return idle.last_statement == statement.name; });
  if (found == idle_.rend()) {
    found =
        std::find_if(idle_.rbegin(), idle_.rend(), [&](const Idle& idle) { return idle.connection->Knows(statement); });
  }
  const auto place = found == idle_.rend() ? idle_.begin() : std::prev(found.base());
  std::unique_ptr<DatabaseConnection> connection = std::move(place->connection);
  idle_.erase(place);
  return connection;
}

void ConnectionPool::Return(std::unique_ptr<DatabaseConnection> connection, std::string_view statement) {
  std::unique_ptr<DatabaseConnection> broken;
  {
    const std::lock_guard lock(mutex_);
    --leased_;
    if (connection != nullptr && connection->broken()) {
      broken = std::move(connection);
    } else if (connection != nullptr) {
      idle_.push_back({std::move(connection), statement});
    }
    Tell();
  }
  freed_.notify_one();
}

void ConnectionPool::Tell() {
  metrics_.SetGauge("postern_store_connections", static_cast<double>(leased_), {{"state", "leased"}});
  metrics_.SetGauge("postern_store_connections", static_cast<double>(idle_.size()), {{"state", "idle"}});
}

}  // namespace postern::store
