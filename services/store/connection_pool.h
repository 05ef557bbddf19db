// Connections to PostgreSQL, kept and shared.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
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
    Lease(ConnectionPool& pool, std::unique_ptr<DatabaseConnection> connection, const Statement& statement);
    Lease(Lease&& other) noexcept = default;
    Lease& operator=(Lease&&) = delete;
    ~Lease();
    DatabaseConnection* operator->() const { return connection_.get(); }

   private:
    ConnectionPool* pool_;
    std::unique_ptr<DatabaseConnection> connection_;
    const char* statement_;
  };

  /// Waits for one that is free, for this statement: if it can, one that has run it last, for to run it for the first
  /// time costs some milliseconds, for its plan, and again whenever statistics are renewed. `fresh`: made anew, for
  /// what was idle may have broken without anybody having noticed. Refuses: kDeadlineExceeded, kStoreDown.
  absl::StatusOr<Lease> Take(absl::Time deadline, const Statement& statement, bool fresh = false);

 private:
  struct Idle {
    std::unique_ptr<DatabaseConnection> connection;
    std::string_view last_statement;
  };

  std::unique_ptr<DatabaseConnection> TakeIdle(const Statement& statement);
  void Return(std::unique_ptr<DatabaseConnection> connection, std::string_view statement);
  void Tell();

  const std::string uri_;
  const ReachedBy reached_by_;
  const std::size_t size_;
  telemetry::Metrics& metrics_;
  std::mutex mutex_;
  std::condition_variable freed_;
  std::vector<Idle> idle_;  // that has rested longest first
  std::size_t leased_ = 0;
};

}  // namespace postern::store
