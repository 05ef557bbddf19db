// Keys fetched from another server's own endpoint, over TLS on loopback.
#include "services/gateway/federation_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "matrix/refusal.h"
#include "services/gateway/key_source.h"
#include "tests/gateway/key_endpoint.h"
#include "tests/gateway/loopback_federation.h"

namespace postern::gateway {
namespace {

class FederationClientTest : public testing::Test {
 protected:
  absl::StatusOr<FetchedKeys> Fetch(http::ClientOptions options) {
    LoopbackFederation federation(std::move(options));
    return DirectKeys(federation.client(), absl::Now)
        .FetchKeys(*matrix::ServerName::Parse(endpoint_.name()), absl::Seconds(10));
  }
  http::ClientOptions Trusting() const {
    http::ClientOptions options;
    options.allow_private_networks = true;
    options.ca_file = endpoint_.certificate();
    return options;
  }

  KeyEndpoint endpoint_;
};

TEST_F(FederationClientTest, FetchesWhatTheServerPublishes) {
  const auto keys = Fetch(Trusting());
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_EQ(keys->keys.keys.at(0).key_id, "ed25519:r1");
  EXPECT_EQ(endpoint_.last().target, "/_matrix/key/v2/server");
  EXPECT_EQ(http::FindHeader(endpoint_.last().headers, "Host"), endpoint_.name());
}

TEST_F(FederationClientTest, RefusesWhatMustNotBeReachedOrBelieved) {
  http::ClientOptions no_private = Trusting();
  no_private.allow_private_networks = false;
  http::ClientOptions no_authority = Trusting();
  no_authority.ca_file.clear();
  for (const auto& options : {no_private, no_authority}) {
    EXPECT_EQ(matrix::ReasonOf(Fetch(options).status()), matrix::Reason::kOriginKeyUnavailable);
  }
  http::ClientOptions insecure = no_authority;
  insecure.insecure_tls = true;
  EXPECT_TRUE(Fetch(insecure).ok());
}

TEST_F(FederationClientTest, RefusesOddAnswers) {
  for (const auto& [status, body] : std::vector<std::pair<int, std::string>>{
           {404, "{}"}, {302, "{}"}, {200, "{}"}, {200, "no json"}, {200, std::string(70000, ' ')}}) {
    endpoint_.Answer({.status = status, .headers = {}, .body = body});
    EXPECT_EQ(matrix::ReasonOf(Fetch(Trusting()).status()), matrix::Reason::kOriginKeyUnavailable) << status;
  }
}

}  // namespace
}  // namespace postern::gateway
