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

FederationClient::FederationClient(http::ClientOptions options) : http_(Bounded(std::move(options))) {}

absl::StatusOr<matrix::ServerKeys> FederationClient::FetchKeys(const matrix::ServerName& server,
                                                               absl::Duration timeout) {
  const ServerLocation location = Locate(server);
  const auto response = http_.Send({.method = "GET",
                                    .url = location.url + "/_matrix/key/v2/server",
                                    .headers = {{"Host", location.host}},
                                    .body = {},
                                    .timeout = timeout});
  if (!response.ok()) {
    return matrix::Refuse(matrix::Reason::kOriginKeyUnavailable, matrix::DetailOf(response.status()));
  }
  if (response->status != kOk) {
    return matrix::Refuse(matrix::Reason::kOriginKeyUnavailable,
                          fmt::format("{} answered {} for its keys", server.text(), response->status));
  }
  return ReadKeyDocument(response->body, server, absl::Now());
}

}  // namespace postern::gateway
