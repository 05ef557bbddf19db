#include "services/store/database_watch.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "matrix/refusal.h"
#include "services/store/database_connection.h"
#include "services/store/migrations.h"
#include "services/store/room_partitions.h"
#include "services/store/sql_functions.h"
#include "telemetry/log.h"

namespace postern::store {
namespace {

constexpr absl::Duration kFirstDelay = absl::Milliseconds(50);
constexpr absl::Duration kLongestDelay = absl::Seconds(3);

}  // namespace

DatabaseWatch::DatabaseWatch(std::string uri, ReachedBy reached_by, std::function<void(bool)> on_change,
                             int room_partitions)
    : uri_(std::move(uri)),
      reached_by_(reached_by),
      on_change_(std::move(on_change)),
      room_partitions_(room_partitions),
      thread_([this] { Run(); }) {}

DatabaseWatch::~DatabaseWatch() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

std::vector<std::string> DatabaseWatch::Missing() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> missing;
  if (!reachable_) missing.emplace_back("database");
  if (!migrated_) missing.emplace_back("migrations");
  return missing;
}

bool DatabaseWatch::ready() const {
  const std::lock_guard lock(mutex_);
  return reachable_ && migrated_;
}

void DatabaseWatch::Suspect() {
  {
    const std::lock_guard lock(mutex_);
    suspected_ = true;
  }
  changed_.notify_all();
}

bool DatabaseWatch::WaitUntilReady(absl::Time deadline) {
  std::unique_lock lock(mutex_);
  return changed_.wait_until(lock, absl::ToChronoTime(deadline), [this] {
    return stopping_ || (reachable_ && migrated_ && !suspected_);
  }) && !stopping_;
}

void DatabaseWatch::Set(bool reachable, bool migrated) {
  bool was = false;
  {
    const std::lock_guard lock(mutex_);
    was = reachable_ && migrated_;
    reachable_ = reachable;
    migrated_ = migrated;
    // Reported while the attempt was under way or before: it has answered since.
    if (reachable && migrated) suspected_ = false;
  }
  changed_.notify_all();
  const bool is = reachable && migrated;
  if (was == is) return;
  telemetry::Log(is ? telemetry::Level::kInfo : telemetry::Level::kError,
                 is ? "PostgreSQL is there" : "PostgreSQL is not there");
  on_change_(is);
}

bool DatabaseWatch::Attempt() {
  auto connection = DatabaseConnection::Open(uri_, reached_by_);
  if (!connection.ok()) {
    Set(false, migrated_);  // only this thread writes it
    telemetry::Log(telemetry::Level::kWarning, "PostgreSQL cannot be reached; trying again",
                   {{"detail", matrix::DetailOf(connection.status())}});
    return false;
  }
  if (migrated_) {
    Set(true, true);
    return true;
  }
  absl::Status migrated = (*connection)->SettleRole();
  if (migrated.ok()) migrated = ApplyMigrations(**connection);
  if (migrated.ok()) migrated = InstallSqlFunctions(**connection);
  if (migrated.ok()) migrated = PartitionByRoom(**connection, room_partitions_);
  if (!migrated.ok()) {
    telemetry::Log(telemetry::Level::kError, "the schema could not be brought up to date; trying again",
                   {{"detail", matrix::DetailOf(migrated)}});
  }
  Set(true, migrated.ok());
  return migrated.ok();
}

void DatabaseWatch::Run() {
  absl::Duration delay = kFirstDelay;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    changed_.wait(lock, [this] { return stopping_ || suspected_; });
    if (stopping_) return;
    lock.unlock();
    const bool there = Attempt();
    lock.lock();
    if (there) {
      delay = kFirstDelay;
      continue;
    }
    changed_.wait_for(lock, absl::ToChronoMilliseconds(delay), [this] { return stopping_; });
    delay = std::min(2 * delay, kLongestDelay);
  }
}

}  // namespace postern::store
