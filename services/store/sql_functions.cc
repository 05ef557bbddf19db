#include "services/store/sql_functions.h"

#include <fmt/format.h>

#include <boost/algorithm/string/replace.hpp>

namespace postern::store {
namespace {

constexpr int kSetsBefore = 2;

constexpr const char* kBookkeeping =
    "create table if not exists function_schemas ("
    "name text primary key, number bigint generated always as identity, "
    "installed_at timestamptz not null default now())";

}  // namespace

std::string WithSchema(std::string_view sql, std::string_view schema) {
  return boost::replace_all_copy(std::string(sql), "fn.", fmt::format("{}.", schema));
}

absl::Status InstallSqlFunctions(DatabaseConnection& connection, const SqlFunctions& functions) {
  return connection.Execute(fmt::format(
      "set local lock_timeout = 0; set local client_min_messages = error; select pg_advisory_xact_lock(7102, 1); {0}; "
      "do $postern_block$ declare v_old text; begin "
      "perform from function_schemas where name = '{1}'; if found then return; end if; "
      "create schema {1}; execute $postern_functions${2}$postern_functions$; "
      "insert into function_schemas (name) values ('{1}'); "
      "for v_old in select name from function_schemas order by number desc offset {3} loop "
      "execute format('drop schema %I cascade', v_old); delete from function_schemas where name = v_old; "
      "end loop; end $postern_block$;",
      kBookkeeping, functions.schema, WithSchema(functions.text, functions.schema), kSetsBefore + 1));
}

}  // namespace postern::store
