#include "services/gateway/version_route.h"

#include <utility>

#include "matrix/canonical_json.h"

namespace postern::gateway {

void VersionRoute::Serve(std::shared_ptr<Exchange> exchange, std::optional<matrix::Json>) {
  matrix::JsonObject server, answer;
  server.Set("name", "Postern");
  server.Set("version", POSTERN_VERSION);
  answer.Set("server", std::move(server));
  exchange->Answer({.status = 200, .headers = {}, .body = matrix::CanonicalJson(answer)});
}

}  // namespace postern::gateway
