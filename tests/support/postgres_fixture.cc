// postern-test-postgres up|down: the cluster that the tests labelled POSTGRES share. ctest runs both; by hand, `up`
// once is enough.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "services/store/database_connection.h"
#include "tests/support/postgres_cluster.h"

namespace {

using postern::support::PostgresCluster;

constexpr const char* kFile = POSTERN_POSTGRES_DSN_FILE;

/// The cluster that the file speaks of, or nullptr. The first line is the connection string, the second the directory.
std::unique_ptr<PostgresCluster> Recorded() {
  std::ifstream file(kFile);
  std::string dsn, directory;
  if (!std::getline(file, dsn) || !std::getline(file, directory) || !std::filesystem::exists(directory)) return nullptr;
  return PostgresCluster::Adopt(directory);
}

int Up() {
  if (const auto cluster = Recorded(); cluster != nullptr) {
    if (postern::store::DatabaseConnection::Open(cluster->dsn()).ok()) {
      cluster->Detach();
      std::printf("%s\n", cluster->dsn().c_str());
      return 0;
    }
  }
  auto cluster = PostgresCluster::Start();
  if (!cluster.ok()) {
    std::fprintf(stderr, "%s\n", cluster.status().ToString().c_str());
    return 1;
  }
  std::filesystem::create_directories(std::filesystem::path(kFile).parent_path());
  std::ofstream(kFile) << (*cluster)->dsn() << '\n' << (*cluster)->directory() << '\n';
  (*cluster)->Detach();
  std::printf("%s\n", (*cluster)->dsn().c_str());
  return 0;
}

int Down() {
  Recorded().reset();
  std::filesystem::remove(kFile);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view command = argc == 2 ? argv[1] : "";
  if (command == "up") return Up();
  if (command == "down") return Down();
  std::fprintf(stderr, "usage: postern-test-postgres up|down\n");
  return 2;
}
