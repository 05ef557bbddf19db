#include "posternctl/peer/key_endpoint.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "http/http_client.h"
#include "matrix/json.h"
#include "tests/posternctl/played_server.h"

namespace postern::peer {
namespace {

class KeyEndpointTest : public testing::Test {
 protected:
  KeyEndpointTest() : identity_(IdentityOf("localhost:8448")) {
    auto endpoint = KeyEndpoint::Start(identity_, "127.0.0.1:0");
    EXPECT_TRUE(endpoint.ok()) << endpoint.status();
    endpoint_ = *std::move(endpoint);
  }

  http::Response Get(const std::string& path, const std::string& method = "GET") {
    const auto response =
        client_.Send({.method = method, .url = fmt::format("https://127.0.0.1:{}{}", endpoint_->port(), path)});
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? *response : http::Response{.status = 0, .headers = {}, .body = ""};
  }

  const ServerIdentity identity_;
  http::HttpClient client_{{.allow_private_networks = true, .insecure_tls = true}};
  std::unique_ptr<KeyEndpoint> endpoint_;
};

TEST_F(KeyEndpointTest, ServesTheSignedDocumentOverTls) {
  const http::Response response = Get("/_matrix/key/v2/server");
  EXPECT_EQ(response.status, 200);
  const auto document = matrix::ParseJson(response.body);
  ASSERT_TRUE(document.ok());
  EXPECT_TRUE(matrix::VerifyJson(*document->AsObject(), identity_.name(), identity_.key().key_id(),
                                 identity_.key().public_key()));
  EXPECT_EQ(endpoint_->requests(), 1);
}

TEST_F(KeyEndpointTest, SignsInvites) {
  const std::string url = fmt::format("https://127.0.0.1:{}/_matrix/federation/v2/invite/!r:h/$e", endpoint_->port());
  const auto put = [&](const char* body) { return client_.Send({.method = "PUT", .url = url, .body = body}); };
  const auto signed_invite =
      put(R"({"room_version":"10","event":{"type":"m.room.member","content":{"membership":"invite"}}})");
  ASSERT_TRUE(signed_invite.ok()) << signed_invite.status();
  EXPECT_EQ(signed_invite->status, 200);
  const auto answer = matrix::ParseJson(signed_invite->body);
  ASSERT_TRUE(answer.ok());
  EXPECT_TRUE(matrix::VerifyJson(*answer->AsObject()->Find("event")->AsObject(), identity_.name(),
                                 identity_.key().key_id(), identity_.key().public_key()));
  for (const char* nonsense :
       {"[]", "{}", R"({"room_version":"99","event":{}})", R"({"room_version":"10","event":1})"}) {
    EXPECT_EQ(put(nonsense)->status, 400) << nonsense;
  }
}

TEST_F(KeyEndpointTest, ServesNothingElse) {
  EXPECT_EQ(Get("/_matrix/federation/v1/version").status, 404);
  EXPECT_EQ(Get("/_matrix/key/v2/server", "DELETE").status, 405);
  EXPECT_EQ(endpoint_->requests(), 0);
}

TEST_F(KeyEndpointTest, LeavesATakenPortAlone) {
  EXPECT_FALSE(KeyEndpoint::Start(identity_, fmt::format("127.0.0.1:{}", endpoint_->port())).ok());
}

TEST(LoopbackAddress, IsGivenForPortsOfThisMachineOnly) {
  const auto of = [](const char* name) { return LoopbackAddressOf(*matrix::ServerName::Parse(name)); };
  EXPECT_EQ(of("localhost:8448"), "127.0.0.1:8448");
  EXPECT_EQ(of("127.0.0.1:1"), "127.0.0.1:1");
  EXPECT_EQ(of("[::1]:8448"), "[::1]:8448");
  EXPECT_EQ(of("localhost"), "");
  EXPECT_EQ(of("127.example:8448"), "");
  EXPECT_EQ(of("there.example:8448"), "");
}

}  // namespace
}  // namespace postern::peer
