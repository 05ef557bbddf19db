# cmake -DOUTPUT=file.cc -DFILES=a.sql|b.sql -P EmbedMigrations.cmake
# Writes AllMigrations() (services/store/migrations.h) from numbered SQL files.
string(REPLACE "|" ";" FILES "${FILES}")
list(SORT FILES)
set(entries "")
foreach(file IN LISTS FILES)
  get_filename_component(name "${file}" NAME_WE)
  string(REGEX MATCH "^[0-9]+" number "${name}")
  math(EXPR number "1${number} - 10000")
  file(READ "${file}" sql)
  string(APPEND entries "    Migration{${number}, \"${name}\", R\"POSTERN(${sql})POSTERN\"},\n")
endforeach()
file(WRITE "${OUTPUT}" "// Generated from services/store/migrations.
#include <array>

#include \"services/store/migrations.h\"

namespace postern::store {
namespace {

constexpr std::array kMigrations{
${entries}};

}  // namespace

std::span<const Migration> AllMigrations() { return kMigrations; }

}  // namespace postern::store
")
