#include "services/gateway/federation_client.h"

#include <fmt/format.h>

#include <utility>

#include "absl/time/clock.h"
#include "services/gateway/server_discovery.h"

namespace postern::gateway {

FederationClient::FederationClient(ServerDiscovery& discovery, http::ClientOptions options)
    : discovery_(discovery), http_(std::move(options)) {}

absl::StatusOr<http::Response> FederationClient::Send(const matrix::ServerName& server,
                                                      const FederationRequest& request, absl::Time deadline) {
  const auto location = discovery_.Locate(server, deadline);
  if (!location.ok()) return location.status();
  http::Headers headers = request.headers;
  headers.emplace_back("Host", location->host_header);
  absl::Status why = absl::UnavailableError("no time was left to connect");
  for (std::size_t tried = 0; tried < location->endpoints.size(); ++tried) {
    const ServerEndpoint& endpoint = location->endpoints[tried];
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) break;
    const auto still_to_try = static_cast<std::int64_t>(location->endpoints.size() - tried);
    auto response =
        http_.Send({.method = request.method,
                    .url = fmt::format("https://{}:{}{}", location->certificate_host, endpoint.port, request.target),
                    .headers = headers,
                    .body = request.body,
                    .timeout = left,
                    .addresses = endpoint.addresses,
                    .connect_timeout = left / still_to_try,
                    .response_limit_bytes = request.response_limit_bytes});
    if (response.ok()) return response;
    why = response.status();
  }
  return why;
}

}  // namespace postern::gateway
