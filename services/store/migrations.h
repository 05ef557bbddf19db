// The database's schema, as numbered SQL files that are applied forward only.
#pragma once

#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace pqxx {
class connection;
}

namespace postern::store {

struct Migration {
  int number;
  std::string_view name;
  std::string_view sql;
};

/// What is compiled in, in order.
const std::vector<Migration>& EmbeddedMigrations();

/// Applies those of `migrations` that the database does not have yet, each in a transaction of its own, under an advisory lock: stores
/// that start together wait for one another. Throws what libpqxx throws.
void ApplyMigrations(pqxx::connection& connection, const std::vector<Migration>& migrations);

}  // namespace postern::store
