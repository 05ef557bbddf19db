#include "services/store/connection_pool.h"

#include <utility>

#include "matrix/refusal.h"

namespace postern::store {

ConnectionPool::Lease::Lease(ConnectionPool& pool, std::unique_ptr<DatabaseConnection> connection)
    : pool_(&pool), connection_(std::move(connection)) {}

ConnectionPool::Lease::~Lease() {
  if (connection_ != nullptr) pool_->Return(std::move(connection_));
}

ConnectionPool::ConnectionPool(std::string uri, ReachedBy reached_by, std::size_t size, telemetry::Metrics& metrics)
    : uri_(std::move(uri)), reached_by_(reached_by), size_(size), metrics_(metrics) {}

absl::StatusOr<ConnectionPool::Lease> ConnectionPool::Take(absl::Time deadline, bool fresh) {
  std::unique_ptr<DatabaseConnection> connection;
  std::vector<std::unique_ptr<DatabaseConnection>> stale;
  {
    std::unique_lock lock(mutex_);
    if (!freed_.wait_until(lock, absl::ToChronoTime(deadline), [this] { return leased_ < size_; })) {
      return matrix::Refuse(matrix::Reason::kDeadlineExceeded, "no connection was free in time");
    }
    ++leased_;
    if (fresh) stale.swap(idle_);  // broken alike, most likely; closed below, without the lock
    if (!idle_.empty()) {
      connection = std::move(idle_.back());
      idle_.pop_back();
    }
    Tell();
  }
  if (connection != nullptr) return Lease(*this, std::move(connection));

  absl::StatusOr<std::unique_ptr<DatabaseConnection>> opened = DatabaseConnection::Open(uri_, reached_by_);
  metrics_.Count("postern_store_connections_opened_total", {{"result", opened.ok() ? "ok" : "failed"}});
  if (!opened.ok()) {
    Return(nullptr);
    return opened.status();
  }
  return Lease(*this, *std::move(opened));
}

void ConnectionPool::Return(std::unique_ptr<DatabaseConnection> connection) {
  std::unique_ptr<DatabaseConnection> broken;
  {
    const std::lock_guard lock(mutex_);
    --leased_;
    if (connection != nullptr && connection->broken()) {
      broken = std::move(connection);
    } else if (connection != nullptr) {
      idle_.push_back(std::move(connection));
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
