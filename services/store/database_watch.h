// Whether PostgreSQL is there and its schema up to date: brings that about, says so, and wakes who waits for it.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "services/store/database_connection.h"

namespace postern::store {

/// A thread that connects and migrates, with back-off until it succeeds; then rests until somebody reports a broken
/// connection, and finds out whether that was the database or the connection only.
class DatabaseWatch {
 public:
  /// `on_change` is called, on the watch's thread, when readiness changes. `room_partitions`: see room_partitions.h.
  DatabaseWatch(std::string uri, ReachedBy reached_by, std::function<void(bool ready)> on_change,
                int room_partitions = 0);
  ~DatabaseWatch();
  DatabaseWatch(const DatabaseWatch&) = delete;
  DatabaseWatch& operator=(const DatabaseWatch&) = delete;

  /// "database" where it does not answer, "migrations" where they are not applied.
  std::vector<std::string> Missing() const;
  bool ready() const;

  /// A connection could not be made, or broke.
  void Suspect();
  /// Waits until the database has answered since the last Suspect(); false if `deadline` came first.
  bool WaitUntilReady(absl::Time deadline);

 private:
  void Run();
  bool Attempt();
  void Set(bool reachable, bool migrated);

  const std::string uri_;
  const ReachedBy reached_by_;
  const std::function<void(bool)> on_change_;
  const int room_partitions_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  bool reachable_ = false;
  bool migrated_ = false;
  bool suspected_ = true;
  std::thread thread_;
};

}  // namespace postern::store
