#include "services/gateway/federation_client.h"

#include <fmt/format.h>

#include <utility>

#include "absl/time/clock.h"
#include "matrix/refusal.h"
#include "services/gateway/key_document.h"
#include "services/gateway/server_discovery.h"

namespace postern::gateway {
namespace {

constexpr int kOk = 200;

http::ClientOptions Bounded(http::ClientOptions options) {
  options.response_limit_bytes = kMaxKeyDocumentBytes;
  return options;
}

}  // namespace

FederationClient::FederationClient(ServerDiscovery& discovery, http::ClientOptions options)
    : discovery_(discovery), http_(Bounded(std::move(options))) {}

absl::StatusOr<matrix::ServerKeys> FederationClient::FetchKeys(const matrix::ServerName& server,
                                                               absl::Duration timeout) {
  const auto response = Get(server, "/_matrix/key/v2/server", absl::Now() + timeout);
  if (!response.ok()) {
    return matrix::Refuse(matrix::Reason::kOriginKeyUnavailable, matrix::DetailOf(response.status()));
  }
  if (response->status != kOk) {
    return matrix::Refuse(matrix::Reason::kOriginKeyUnavailable,
                          fmt::format("{} answered {} for its keys", server.text(), response->status));
  }
  return ReadKeyDocument(response->body, server, absl::Now());
}

absl::StatusOr<http::Response> FederationClient::Get(const matrix::ServerName& server, std::string_view target,
                                                     absl::Time deadline) {
  const auto location = discovery_.Locate(server, deadline);
  if (!location.ok()) return location.status();
  absl::Status why = absl::UnavailableError("no time was left to connect");
  for (std::size_t tried = 0; tried < location->endpoints.size(); ++tried) {
    const ServerEndpoint& endpoint = location->endpoints[tried];
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) break;
    const auto still_to_try = static_cast<std::int64_t>(location->endpoints.size() - tried);
    auto response =
        http_.Send({.method = "GET",
                    .url = fmt::format("https://{}:{}{}", location->certificate_host, endpoint.port, target),
                    .headers = {{"Host", location->host_header}},
                    .body = {},
                    .timeout = left,
                    .addresses = endpoint.addresses,
                    .connect_timeout = left / still_to_try});
    if (response.ok()) return response;
    why = response.status();
  }
  return why;
}

}  // namespace postern::gateway
