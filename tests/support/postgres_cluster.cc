#include "tests/support/postgres_cluster.h"

#include <pwd.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <utility>

#include <fmt/format.h>

#include "services/store/database_connection.h"

extern char** environ;

namespace postern::support {
namespace {

using store::DatabaseConnection;

/// Where PostgreSQL's programs are: the newest version installed.
std::string ProgramDirectory() {
  std::string newest;
  int version = 0;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/usr/lib/postgresql", ignored)) {
    const int number = std::atoi(entry.path().filename().c_str());
    if (number > version && std::filesystem::exists(entry.path() / "bin" / "initdb")) {
      version = number;
      newest = (entry.path() / "bin").string();
    }
  }
  return newest;
}

/// Runs a program and waits; its standard output goes to standard error. As root it runs as the user postgres.
absl::Status Run(std::vector<std::string> command) {
  if (geteuid() == 0) command.insert(command.begin(), {"runuser", "-u", "postgres", "--"});
  std::vector<char*> arguments;
  for (std::string& word : command) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 1, "/dev/null", 1 /* O_WRONLY */, 0);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", 0, 0);
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, arguments[0], &files, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  int status = 0;
  if (error != 0 || waitpid(pid, &status, 0) != pid || status != 0) {
    return absl::InternalError(fmt::format("{} failed", command.back()).c_str());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> MakeDirectory() {
  // Not under the build: the path of a socket has 107 bytes, and the user postgres may not get in there.
  std::string path = "/tmp/postern-postgres-XXXXXX";
  if (mkdtemp(path.data()) == nullptr) return absl::InternalError("no temporary directory");
  if (geteuid() == 0) {
    const passwd* user = getpwnam("postgres");
    if (user == nullptr || chown(path.c_str(), user->pw_uid, user->pw_gid) != 0) {
      return absl::InternalError("there is no user postgres");
    }
  }
  return path;
}

}  // namespace

absl::StatusOr<std::unique_ptr<PostgresCluster>> PostgresCluster::Start(bool durable,
                                                                        const std::vector<std::string>& settings) {
  const std::string programs = ProgramDirectory();
  if (programs.empty()) return absl::NotFoundError("PostgreSQL is not installed under /usr/lib/postgresql");
  absl::StatusOr<std::string> directory = MakeDirectory();
  if (!directory.ok()) return directory.status();
  std::unique_ptr<PostgresCluster> cluster(new PostgresCluster(*directory));
  cluster->running_ = false;
  absl::Status status = Run({programs + "/initdb", "--no-sync", "--auth=trust", "--username=postgres",
                             "--encoding=UTF8", "--locale=C", "--pgdata=" + *directory + "/data"});
  if (!status.ok()) return status;
  std::ofstream configuration(*directory + "/data/postgresql.conf", std::ios::app);
  configuration << "listen_addresses = ''\nunix_socket_directories = '" << *directory << "'\nmax_connections = 200\n"
                << "fsync = " << (durable ? "on" : "off") << "\nfull_page_writes = " << (durable ? "on" : "off")
                << '\n';
  for (const std::string& setting : settings) configuration << setting << '\n';
  configuration.close();
  if (!configuration) return absl::InternalError("postgresql.conf cannot be written");
  status = cluster->StartAgain();
  if (!status.ok()) return status;
  return cluster;
}

std::unique_ptr<PostgresCluster> PostgresCluster::Adopt(std::string directory) {
  return std::unique_ptr<PostgresCluster>(new PostgresCluster(std::move(directory)));
}

PostgresCluster::~PostgresCluster() {
  if (detached_) return;
  if (running_) (void)Stop("immediate");
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

std::string PostgresCluster::DsnOf(std::string_view database) const {
  return fmt::format("host={} user=postgres dbname={}", directory_, database);
}

absl::Status PostgresCluster::PgCtl(std::vector<std::string> arguments) const {
  std::vector<std::string> command = {ProgramDirectory() + "/pg_ctl", "--silent", "--pgdata=" + directory_ + "/data"};
  command.insert(command.end(), std::make_move_iterator(arguments.begin()), std::make_move_iterator(arguments.end()));
  return Run(std::move(command));
}

absl::Status PostgresCluster::Stop(std::string_view mode) {
  running_ = false;
  return PgCtl({fmt::format("--mode={}", mode), "--wait", "stop"});
}

absl::Status PostgresCluster::StartAgain() {
  const absl::Status status = PgCtl({"--log=" + directory_ + "/log", "--wait", "start"});
  running_ = status.ok();
  return status;
}

absl::Status PostgresCluster::Reload() { return PgCtl({"reload"}); }

TestDatabase::TestDatabase() {
  if (const char* given = std::getenv("POSTERN_TEST_POSTGRES"); given != nullptr) {
    admin_dsn_ = given;
  } else {
    std::ifstream file(POSTERN_POSTGRES_DSN_FILE);
    std::getline(file, admin_dsn_);
  }
  auto connection = DatabaseConnection::Open(admin_dsn_);
  if (admin_dsn_.empty() || !connection.ok()) {
    std::fprintf(stderr, "no PostgreSQL for tests: run `postern-test-postgres up`, or ctest, which does\n");
    std::exit(1);
  }
  static std::atomic<int> number = 0;
  name_ = fmt::format("postern_test_{}_{}", getpid(), ++number);
  const std::string statement = "create database " + name_;
  if (!(*connection)->Call({"create", statement.c_str()}, {}).ok()) {
    std::fprintf(stderr, "the test's database cannot be created\n");
    std::exit(1);
  }
  dsn_ = std::regex_replace(admin_dsn_, std::regex("dbname=\\S+"), "dbname=" + name_);
}

int TestDatabase::room_partitions() {
  const char* given = std::getenv("POSTERN_TEST_ROOM_PARTITIONS");
  return given == nullptr ? 0 : std::atoi(given);
}

TestDatabase::~TestDatabase() {
  auto connection = DatabaseConnection::Open(admin_dsn_);
  const std::string statement = "drop database if exists " + name_ + " with (force)";
  if (connection.ok()) (void)(*connection)->Call({"drop", statement.c_str()}, {});
}

}  // namespace postern::support
