#include "services/store/connection_string.h"

#include <libpq-fe.h>

#include <memory>

namespace postern::store {
namespace {

struct FreeOptions {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};

}  // namespace

bool IsConnectionString(const std::string& text) {
  char* said = nullptr;
  const std::unique_ptr<PQconninfoOption, FreeOptions> options(PQconninfoParse(text.c_str(), &said));
  PQfreemem(said);
  return options != nullptr;
}

}  // namespace postern::store
