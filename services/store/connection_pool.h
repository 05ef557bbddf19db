// Connections to PostgreSQL: a fixed number, lent one at a time, opened again after they broke.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace pqxx {
class connection;
}

namespace postern::store {

/// Thread-safe.
class ConnectionPool {
 public:
  ConnectionPool(std::string uri, std::size_t size);
  ~ConnectionPool();

  /// Lends `work` a connection. A connection that breaks is thrown away, and `work` is called once more on a fresh one: it must be
  /// something that may be repeated. Refuses: kStoreDown where there is no database, kDeadlineExceeded where none comes
  /// free in time, kInternal where the database refused a statement.
  absl::Status Use(absl::Time deadline, const std::function<void(pqxx::connection&)>& work);

 private:
  std::unique_ptr<pqxx::connection> Take(absl::Time deadline, absl::Status& status);
  void GiveBack(std::unique_ptr<pqxx::connection> connection);
  absl::Status UseOnce(absl::Time deadline, const std::function<void(pqxx::connection&)>& work, bool& broke);

  const std::string uri_;
  const std::size_t size_;
  std::mutex mutex_;
  std::condition_variable free_;
  std::vector<std::unique_ptr<pqxx::connection>> idle_;
  std::size_t lent_ = 0;
};

}  // namespace postern::store
