#include "services/store/overdue_deliveries.h"

#include <algorithm>

#include "absl/time/clock.h"

namespace postern::store {
namespace {

/// The first part by the index that senders take their turns by, the second by that of deliveries by transaction: each
/// reads a row or a few, however much waits. A transaction that stays open anywhere in the cluster keeps what has been
/// looked at since among what has not; so only what is for nobody who is known to wait counts, of the oldest thousand.
constexpr Statement kLongestOverdue{
    "longest_overdue",
    "select least("
    "(select d.next_try from destinations d "
    "where (case when d.failures > 0 then 2 when d.delivered_at is null then 1 else 0 end) = 0 "
    "and d.next_try is not null and (d.holder is null or d.held_until < clock_timestamp()) "
    "order by d.next_try limit 1), "
    "(select min(x.created_at) from (select n.destination, n.created_at from deliveries n "
    "where n.xid >= (select s.xid from deliveries_seen s) order by n.xid limit 1000) as x "
    "where not exists (select from destinations d where d.destination = x.destination and d.next_try is not null)))"};

}  // namespace

absl::StatusOr<absl::Duration> LongestOverdue(DatabaseConnection& connection, absl::Time now) {
  const auto rows = connection.Call(kLongestOverdue, Parameters());
  if (!rows.ok()) return rows.status();
  if (rows->IsNull(0, 0)) return absl::ZeroDuration();
  return std::max(absl::ZeroDuration(), now - absl::FromUnixMillis(rows->Integer(0, 0)));
}

OverdueDeliveries::OverdueDeliveries(ConnectionPool& pool, const DatabaseWatch& watch, telemetry::Metrics& metrics,
                                     absl::Duration interval)
    : pool_(pool), watch_(watch), metrics_(metrics), interval_(interval), thread_([this] { Run(); }) {}

OverdueDeliveries::~OverdueDeliveries() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void OverdueDeliveries::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    Look();
    lock.lock();
    wake_.wait_for(lock, absl::ToChronoNanoseconds(interval_), [this] { return stopping_; });
  }
}

void OverdueDeliveries::Look() {
  if (!watch_.ready()) return;  // the last figure stays; that PostgreSQL is away others say
  auto connection = pool_.Take(absl::Now() + interval_, kLongestOverdue);
  if (!connection.ok()) return;
  const auto longest = LongestOverdue(*connection->operator->(), absl::Now());
  if (longest.ok()) metrics_.SetGauge("postern_store_delivery_overdue_seconds", absl::ToDoubleSeconds(*longest));
}

}  // namespace postern::store
