#include "services/store/migrations.h"

#include <pqxx/pqxx>
#include <string>

namespace postern::store {
namespace {

// Any number will do, as long as every store takes the same.
constexpr const char* kLock = "select pg_advisory_lock(7001002)";
constexpr const char* kUnlock = "select pg_advisory_unlock(7001002)";

}  // namespace

void ApplyMigrations(pqxx::connection& connection, const std::vector<Migration>& migrations) {
  pqxx::nontransaction(connection).exec(kLock);
  {
    pqxx::work setup(connection);
    setup.exec("create table if not exists migrations (number integer primary key, name text not null, "
               "applied_at timestamptz not null default now())");
    setup.commit();
  }
  for (const Migration& migration : migrations) {
    pqxx::work work(connection);
    const std::string number = std::to_string(migration.number);
    if (!work.exec("select 1 from migrations where number = " + number).empty()) continue;
    work.exec(std::string(migration.sql));
    work.exec("insert into migrations (number, name) values (" + number + ", " + work.quote(std::string(migration.name)) + ")");
    work.commit();
  }
  pqxx::nontransaction(connection).exec(kUnlock);
}

}  // namespace postern::store
