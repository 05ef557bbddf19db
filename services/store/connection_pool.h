// Connections to PostgreSQL, kept and shared.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "services/store/database_connection.h"
#include "telemetry/metrics.h"

namespace postern::store {

class ConnectionPool {
 public:
  /// At most `size` connections, made when they are first needed.
  ConnectionPool(std::string uri, ReachedBy reached_by, std::size_t size, telemetry::Metrics& metrics);

  /// A connection for as long as this lives. One that broke is thrown away.
  class Lease {
   public:
    Lease(ConnectionPool& pool, std::unique_ptr<DatabaseConnection> connection);
    Lease(Lease&& other) noexcept = default;
    Lease& operator=(Lease&&) = delete;
    ~Lease();
    DatabaseConnection* operator->() const { return connection_.get(); }

   private:
    ConnectionPool* pool_;
    std::unique_ptr<DatabaseConnection> connection_;
  };

  /// Waits for one that is free. `fresh`: made anew, for what was idle may have broken without anybody having noticed.
  /// Refuses: kDeadlineExceeded, kStoreDown.
  absl::StatusOr<Lease> Take(absl::Time deadline, bool fresh = false);

 private:
  void Return(std::unique_ptr<DatabaseConnection> connection);
  void Tell();

  const std::string uri_;
  const ReachedBy reached_by_;
  const std::size_t size_;
  telemetry::Metrics& metrics_;
  std::mutex mutex_;
  std::condition_variable freed_;
  std::vector<std::unique_ptr<DatabaseConnection>> idle_;
  std::size_t leased_ = 0;
};

}  // namespace postern::store
