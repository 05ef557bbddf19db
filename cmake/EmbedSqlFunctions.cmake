# cmake -DOUTPUT=file.cc -DFILES=a.sql|b.sql -P EmbedSqlFunctions.cmake
# Writes CurrentSqlFunctions() (services/store/sql_functions.h) from SQL files, in the order given.
string(REPLACE "|" ";" FILES "${FILES}")
set(all "")
set(literals "")
foreach(file IN LISTS FILES)
  file(READ "${file}" sql)
  string(APPEND all "${sql}")
  string(APPEND literals "    R\"POSTERN(${sql})POSTERN\"\n")
endforeach()
string(SHA256 digest "${all}")
string(SUBSTRING "${digest}" 0 12 digest)
file(WRITE "${OUTPUT}" "// Generated from services/store/functions.
#include \"services/store/sql_functions.h\"

namespace postern::store {
namespace {

constexpr SqlFunctions kFunctions{
    \"postern_${digest}\",
${literals}};

}  // namespace

const SqlFunctions& CurrentSqlFunctions() { return kFunctions; }

}  // namespace postern::store
")
