// Asking another server for missing events, over TLS on loopback.
#include "services/gateway/peer_events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>
#include <utility>
#include <vector>

#include "matrix/refusal.h"
#include "matrix/x_matrix.h"
#include "tests/gateway/key_endpoint.h"
#include "tests/gateway/loopback_federation.h"
#include "tests/gateway/test_signer.h"

namespace postern::gateway {
namespace {

using matrix::Reason;

class FederatedEventsTest : public testing::Test {
 protected:
  FederatedEventsTest() : federation_(Insecure()) {}

  static http::ClientOptions Insecure() {
    http::ClientOptions options;
    options.allow_private_networks = true;
    options.insecure_tls = true;
    return options;
  }
  absl::StatusOr<matrix::JsonArray> Ask(absl::Duration within = absl::Seconds(10)) {
    return events_.MissingEvents(*matrix::ServerName::Parse(endpoint_.name()),
                                 {.room_id = "!room/a:here.example", .latest = {"$l"}, .earliest = {"$e", "$f"}},
                                 absl::Now() + within);
  }

  KeyEndpoint endpoint_;
  LoopbackFederation federation_;
  EventSigner signer_ = TestSigner();
  FederatedEvents events_{signer_, federation_.client()};
};

TEST_F(FederatedEventsTest, AsksAsTheSpecificationSaysAndSigns) {
  endpoint_.Answer({.status = 200, .headers = {}, .body = R"({"events":[{"a":1},2]})"});
  const auto events = Ask();
  ASSERT_TRUE(events.ok()) << events.status();
  EXPECT_EQ(matrix::Json(*events), ParseOrDie(R"([{"a":1},2])"));
  const http::Request asked = endpoint_.last();
  EXPECT_EQ(asked.method, "POST");
  EXPECT_EQ(asked.target, "/_matrix/federation/v1/get_missing_events/%21room%2Fa%3Ahere.example");
  const matrix::Json body = ParseOrDie(asked.body);
  EXPECT_EQ(body, ParseOrDie(R"({"earliest_events":["$e","$f"],"latest_events":["$l"],"limit":20,"min_depth":0})"));
  const auto header = matrix::ParseXMatrix(*http::FindHeader(asked.headers, "Authorization"));
  ASSERT_TRUE(header.ok());
  const std::string destination = endpoint_.name();
  const matrix::SignedRequest signed_request{
      .method = "POST", .uri = asked.target, .origin = kOurName, .destination = destination, .content = &body};
  EXPECT_TRUE(
      matrix::VerifyRequest(signed_request, header->sig, signer_.PublicKeys(absl::Now()).keys.front().public_key));
}

TEST_F(FederatedEventsTest, WhatIsNoAnswerIsNone) {
  for (const auto& [status, body] :
       std::vector<std::pair<int, std::string>>{{403, R"({"events":[]})"},
                                                {200, "{}"},
                                                {200, R"({"events":{}})"},
                                                {200, "[]"},
                                                {200, "no json"},
                                                {200, std::string(2'100'000, ' ') + "{}"}}) {
    endpoint_.Answer({.status = status, .headers = {}, .body = body});
    EXPECT_EQ(matrix::ReasonOf(Ask().status()), Reason::kPeerUnavailable) << status;
  }
}

TEST_F(FederatedEventsTest, TwentyEventsOfFullSizeFit) {
  endpoint_.Answer(
      {.status = 200, .headers = {}, .body = R"({"events":[")" + std::string(20 * 65'536, 'x') + R"("]})"});
  EXPECT_TRUE(Ask().ok());
}

TEST_F(FederatedEventsTest, NobodyIsWaitedForBeyondTheDeadline) {
  EXPECT_EQ(matrix::ReasonOf(Ask(absl::ZeroDuration()).status()), Reason::kPeerUnavailable);
  endpoint_.Hold();
  const absl::Time begun = absl::Now();
  const auto events =
      events_.MissingEvents(*matrix::ServerName::Parse(endpoint_.name()),
                            {.room_id = "!a:b", .latest = {}, .earliest = {}}, begun + absl::Milliseconds(300));
  EXPECT_EQ(matrix::ReasonOf(events.status()), Reason::kPeerUnavailable);
  EXPECT_LT(absl::Now() - begun, absl::Seconds(10));
  endpoint_.Release();
}

}  // namespace
}  // namespace postern::gateway
