#include "services/gateway/server_discovery.h"

#include <fmt/format.h>

namespace postern::gateway {
namespace {

constexpr std::uint16_t kFederationPort = 8448;

}  // namespace

ServerLocation Locate(const matrix::ServerName& server) {
  // The Host header carries a port only where the name does.
  return {fmt::format("https://{}:{}", server.host_as_written(), server.port().value_or(kFederationPort)),
          server.text()};
}

}  // namespace postern::gateway
