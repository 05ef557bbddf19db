// A private PostgreSQL for tests: its own directory, a socket in it, no port. Works as root (then as the user
// `postgres`) and as anybody else.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace postern::support {

/// Ends with its directory when destroyed, unless Detach() was called.
class PostgresCluster {
 public:
  /// initdb and start; about a second. `settings` go into postgresql.conf. `durable`: with fsync, for tests that kill
  /// it.
  static absl::StatusOr<std::unique_ptr<PostgresCluster>> Start(bool durable = false,
                                                                const std::vector<std::string>& settings = {});
  /// One that was started before and left running.
  static std::unique_ptr<PostgresCluster> Adopt(std::string directory);
  ~PostgresCluster();

  /// Connection string of its database `postgres`.
  std::string dsn() const { return DsnOf("postgres"); }
  std::string DsnOf(std::string_view database) const;
  const std::string& directory() const { return directory_; }

  /// "fast" breaks connections, "immediate" is a crash.
  absl::Status Stop(std::string_view mode = "fast");
  absl::Status StartAgain();
  absl::Status Reload();
  /// Leaves it running.
  void Detach() { detached_ = true; }

 private:
  explicit PostgresCluster(std::string directory) : directory_(std::move(directory)) {}
  absl::Status PgCtl(std::vector<std::string> arguments) const;

  std::string directory_;
  bool running_ = true;
  bool detached_ = false;
};

/// A fresh database in the cluster of the ctest fixture (or of POSTERN_TEST_POSTGRES, a connection string), dropped at
/// the end.
class TestDatabase {
 public:
  /// Ends the test program, saying how to start the cluster, if there is none.
  TestDatabase();
  ~TestDatabase();
  TestDatabase(const TestDatabase&) = delete;
  TestDatabase& operator=(const TestDatabase&) = delete;

  const std::string& dsn() const { return dsn_; }
  const std::string& name() const { return name_; }
  /// Into how many partitions a store is to part the tables of its test database: POSTERN_TEST_ROOM_PARTITIONS, 0
  /// unless it is set. A test program that heeds it is run once with and once without.
  static int room_partitions();

 private:
  std::string admin_dsn_;
  std::string name_;
  std::string dsn_;
};

}  // namespace postern::support
