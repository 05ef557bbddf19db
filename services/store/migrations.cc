#include "services/store/migrations.h"

#include <string>

#include <fmt/format.h>

#include "absl/time/clock.h"
#include "matrix/refusal.h"
#include "telemetry/log.h"

namespace postern::store {
namespace {

constexpr const char* kBookkeeping =
    "create table if not exists schema_migrations ("
    "number integer primary key, name text not null, sha256 bytea not null, applied_at timestamptz not null default "
    "now())";

/// The text as a dollar-quoted literal. No migration holds the tag.
std::string Quoted(std::string_view text) { return fmt::format("$postern_migration${}$postern_migration$", text); }

/// Applies what is missing: a block for each, which looks whether it is its turn, so that all runs in one transaction
/// under the lock.
std::string Script(std::span<const Migration> migrations) {
  std::string script = fmt::format("select pg_advisory_xact_lock(7102, 1); {};", kBookkeeping);
  for (const Migration& migration : migrations) {
    script += fmt::format(
        "do $postern_block$ declare applied bytea; begin "
        "select sha256 into applied from schema_migrations where number = {0}; "
        "if not found then execute {2}; "
        "insert into schema_migrations (number, name, sha256) values ({0}, '{1}', sha256(convert_to({2}, 'UTF8'))); "
        "elsif applied <> sha256(convert_to({2}, 'UTF8')) then "
        "raise exception 'migration {1} is not the one that was applied'; end if; end $postern_block$;",
        migration.number, migration.name, Quoted(migration.sql));
  }
  return script;
}

}  // namespace

absl::Status ApplyMigrations(DatabaseConnection& connection, std::span<const Migration> migrations) {
  const absl::Time begun = absl::Now();
  // Another store may take its time over them: no limit on this one lock.
  absl::Status status =
      connection.Execute("set local lock_timeout = 0; set local client_min_messages = error; " + Script(migrations));
  if (status.ok()) {
    telemetry::Log(telemetry::Level::kInfo, "the schema is up to date",
                   {{"migrations", migrations.size()}, {"duration_ms", absl::Now() - begun}});
  }
  return status;
}

}  // namespace postern::store
