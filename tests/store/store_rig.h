// A PostgresEventStore on a database of the test's own, without rpc.
#pragma once

#include <memory>
#include <string>

#include "services/store/postgres_event_store.h"
#include "tests/support/postgres_cluster.h"
#include "tests/support/room_builder.h"

namespace postern::support {

class StoreRig {
 public:
  /// On a fresh database of the shared cluster, or on `dsn` if it is given. Migrated and ready.
  explicit StoreRig(std::string dsn = {}, store::PostgresEventStoreOptions options = {.server_name = "a.example"},
                    std::size_t connections = 8);

  store::PostgresEventStore& store() { return store_; }
  store::DatabaseWatch& watch() { return watch_; }
  const std::string& dsn() const { return dsn_; }
  /// A call that may take so long.
  static rpc::CallContext Within(absl::Duration time);

  /// How often the store has run a statement.
  int Calls(const std::string& statement) const;

  /// Runs SQL beside the store; the first column of the first row.
  std::string Sql(const std::string& text);

  void Create(const TestRoom& room);
  store::v1::EventContext ContextOf(const matrix::Event& event);
  /// Reads the context, persists, and again with the fresh context after a conflict.
  absl::StatusOr<store::v1::Stored> Persist(const matrix::Event& event,
                                            matrix::v1::Outcome outcome = matrix::v1::OUTCOME_ACCEPTED,
                                            absl::Duration time = absl::Seconds(30));

 private:
  std::unique_ptr<TestDatabase> database_;
  const std::string dsn_;
  telemetry::Metrics metrics_;
  store::ConnectionPool pool_;
  store::DatabaseWatch watch_;
  store::PostgresEventStore store_;
};

/// A version 10 room with `users` joined members @u0:b.example, @u1:b.example, …
TestRoom RoomOf(int users);
std::string UserOf(int number);

}  // namespace postern::support
