// The tables: numbered SQL files, compiled in, applied in their order, each once, forward only.
#pragma once

#include <span>
#include <string_view>

#include "absl/status/status.h"
#include "services/store/database_connection.h"

namespace postern::store {

struct Migration {
  int number;
  std::string_view name;  // "0001_tables"
  std::string_view sql;
};

/// Made from services/store/migrations/*.sql, in the order of their numbers.
std::span<const Migration> AllMigrations();

/// Brings the database to the last of `migrations`, in one transaction, under an advisory lock: of several stores that
/// start at once one does it, the others wait. Refuses: kStoreDown; kInternal where a migration fails, or one that was
/// applied has been changed since.
absl::Status ApplyMigrations(DatabaseConnection& connection, std::span<const Migration> migrations = AllMigrations());

}  // namespace postern::store
