// The store's functions in the database, compiled in. They lie in a schema that is named after what they say, so that
// stores of two versions can run on one database side by side, each with its own.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "services/store/database_connection.h"

namespace postern::store {

struct SqlFunctions {
  std::string_view schema;  // "postern_" and a digest of the text
  /// Where it names one of the functions or types, the schema is written `fn`.
  std::string_view text;
};

/// Made from services/store/functions/*.sql.
const SqlFunctions& CurrentSqlFunctions();

/// SQL that names functions as `fn.name`, with the schema they are in.
std::string WithSchema(std::string_view sql, std::string_view schema = CurrentSqlFunctions().schema);

/// Creates the functions unless they are there, in one transaction, under the lock of the migrations. Of the sets that
/// were installed before, the two newest stay. Refuses: kStoreDown; kInternal where the text is not accepted.
absl::Status InstallSqlFunctions(DatabaseConnection& connection, const SqlFunctions& functions = CurrentSqlFunctions());

}  // namespace postern::store
