// For how long what other servers are to be told has waited although its turn had come: for a metric, so that senders
// that are gone, stuck or too few are noticed.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "services/store/connection_pool.h"
#include "services/store/database_watch.h"
#include "telemetry/metrics.h"

namespace postern::store {

/// How long the delivery that waits longest for a sender has been due at `now`; zero where none is. Servers that fail
/// are left out, and those that nothing is known of yet: they may be dead for days, and get their turn when there is
/// room for them. So is what a sender has under way. What has been committed and not looked at by any sender counts
/// too, if it is for a server that nothing else waits for. Refuses as DatabaseConnection::Call does.
absl::StatusOr<absl::Duration> LongestOverdue(DatabaseConnection& connection, absl::Time now);

/// Keeps postern_store_delivery_overdue_seconds, on a thread of its own. Every store says the same: it is one outbox.
class OverdueDeliveries {
 public:
  /// All outlive it.
  OverdueDeliveries(ConnectionPool& pool, const DatabaseWatch& watch, telemetry::Metrics& metrics,
                    absl::Duration interval = absl::Seconds(10));
  ~OverdueDeliveries();
  OverdueDeliveries(const OverdueDeliveries&) = delete;
  OverdueDeliveries& operator=(const OverdueDeliveries&) = delete;

 private:
  void Run();
  void Look();

  ConnectionPool& pool_;
  const DatabaseWatch& watch_;
  telemetry::Metrics& metrics_;
  const absl::Duration interval_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace postern::store
