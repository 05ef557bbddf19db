// Keys fetched from another server's own endpoint, over TLS on loopback.
#include "services/gateway/federation_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <cstdio>
#include <mutex>

#include "absl/time/clock.h"
#include "http/http_listener.h"
#include "http/self_signed_certificate.h"
#include "matrix/canonical_json.h"
#include "matrix/refusal.h"
#include "tests/gateway/remote_server.h"

namespace postern::gateway {
namespace {

/// A server that publishes a key document, or whatever the test says.
class KeyEndpoint : public http::RequestHandler {
 public:
  KeyEndpoint() {
    EXPECT_TRUE(http::WritePem(*http::MakeSelfSignedCertificate("127.0.0.1"), certificate_, key_).ok());
    http::ListenerOptions options;
    options.listen = "127.0.0.1:0";
    options.certificate_file = certificate_;
    options.key_file = key_;
    auto listener = http::HttpListener::Start(options, *this);
    EXPECT_TRUE(listener.ok()) << listener.status();
    listener_ = std::move(*listener);
    response_.body = matrix::CanonicalJson(RemoteServer(name()).KeyDocument(absl::Now() + absl::Hours(1)));
  }
  ~KeyEndpoint() override {
    listener_->Shutdown(absl::Now() + absl::Seconds(5));
    std::remove(certificate_.c_str());
    std::remove(key_.c_str());
  }

  std::string name() const { return "127.0.0.1:" + std::to_string(listener_->port()); }
  const std::string& certificate() const { return certificate_; }
  void Answer(http::Response response) {
    const std::lock_guard lock(mutex_);
    response_ = std::move(response);
  }
  http::Request last() const {
    const std::lock_guard lock(mutex_);
    return last_;
  }

  std::optional<http::Response> OnHead(const http::Request&) override { return std::nullopt; }
  void OnRequest(http::Request request, http::Respond respond) override {
    const std::lock_guard lock(mutex_);
    last_ = std::move(request);
    respond(response_);
  }
  http::Response OnRefused(const absl::Status&) override { return {.status = 500, .headers = {}, .body = {}}; }

 private:
  const std::string certificate_ = testing::TempDir() + "/postern_endpoint_" + std::to_string(getpid()) + ".crt";
  const std::string key_ = testing::TempDir() + "/postern_endpoint_" + std::to_string(getpid()) + ".key";
  mutable std::mutex mutex_;
  http::Response response_;
  http::Request last_;
  std::unique_ptr<http::HttpListener> listener_;
};

class FederationClientTest : public testing::Test {
 protected:
  absl::StatusOr<matrix::ServerKeys> Fetch(http::ClientOptions options) {
    FederationClient client(std::move(options));
    return client.FetchKeys(*matrix::ServerName::Parse(endpoint_.name()), absl::Seconds(10));
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
  EXPECT_EQ(keys->keys.at(0).key_id, "ed25519:r1");
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
