#include "services/gateway/version_route.h"

#include "matrix/canonical_json.h"

namespace postern::gateway {

http::Response VersionRoute::Handle(const http::Request&) {
  matrix::JsonObject server, answer;
  server.Set("name", "Postern");
  server.Set("version", POSTERN_VERSION);
  answer.Set("server", std::move(server));
  return {.status = 200, .headers = {}, .body = matrix::CanonicalJson(answer)};
}

}  // namespace postern::gateway
