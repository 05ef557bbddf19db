// Asking another server for the state of a room, over TLS on loopback.
#include "services/gateway/peer_states.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
using testing::ElementsAre;

class FederatedStatesTest : public testing::Test {
 protected:
  FederatedStatesTest() : federation_(Insecure()) {}

  static http::ClientOptions Insecure() {
    http::ClientOptions options;
    options.allow_private_networks = true;
    options.insecure_tls = true;
    return options;
  }
  void Answer(int status, std::string body) {
    endpoint_.Answer({.status = status, .headers = {}, .body = std::move(body)});
  }
  matrix::ServerName Server() const { return *matrix::ServerName::Parse(endpoint_.name()); }
  absl::Time Soon() const { return absl::Now() + absl::Seconds(10); }
  auto Ids() { return states_.StateIds(Server(), "!room/a:here.example", "$e/1", Soon()); }
  auto State() { return states_.State(Server(), "!room/a:here.example", "$e/1", Soon()); }
  auto Event() { return states_.Event(Server(), "$e/1", Soon()); }
  void ExpectSigned(std::string_view target) {
    const http::Request asked = endpoint_.last();
    EXPECT_EQ(asked.method, "GET");
    EXPECT_EQ(asked.target, target);
    const auto header = matrix::ParseXMatrix(*http::FindHeader(asked.headers, "Authorization"));
    ASSERT_TRUE(header.ok());
    const std::string destination = endpoint_.name();
    const matrix::SignedRequest signed_request{
        .method = "GET", .uri = asked.target, .origin = kOurName, .destination = destination, .content = nullptr};
    EXPECT_TRUE(
        matrix::VerifyRequest(signed_request, header->sig, signer_.PublicKeys(absl::Now()).keys.front().public_key));
  }

  KeyEndpoint endpoint_;
  LoopbackFederation federation_;
  EventSigner signer_ = TestSigner();
  FederatedStates states_{signer_, federation_.client()};
};

TEST_F(FederatedStatesTest, AsksForIdsAsTheSpecificationSaysAndSigns) {
  Answer(200, R"({"pdu_ids":["$a","$b"],"auth_chain_ids":["$c"]})");
  const auto ids = Ids();
  ASSERT_TRUE(ids.ok()) << ids.status();
  EXPECT_THAT(ids->state, ElementsAre("$a", "$b"));
  EXPECT_THAT(ids->auth_chain, ElementsAre("$c"));
  ExpectSigned("/_matrix/federation/v1/state_ids/%21room%2Fa%3Ahere.example?event_id=%24e%2F1");
}

TEST_F(FederatedStatesTest, AsksForAWholeState) {
  Answer(200, R"({"pdus":[{"a":1}],"auth_chain":[{"b":2}]})");
  const auto events = State();
  ASSERT_TRUE(events.ok()) << events.status();
  EXPECT_EQ(matrix::Json(*events), ParseOrDie(R"([{"a":1},{"b":2}])"));
  ExpectSigned("/_matrix/federation/v1/state/%21room%2Fa%3Ahere.example?event_id=%24e%2F1");
}

TEST_F(FederatedStatesTest, AsksForOneEvent) {
  Answer(200, R"({"origin":"x","origin_server_ts":1,"pdus":[{"a":1}]})");
  const auto event = Event();
  ASSERT_TRUE(event.ok()) << event.status();
  EXPECT_EQ(*event, ParseOrDie(R"({"a":1})"));
  ExpectSigned("/_matrix/federation/v1/event/%24e%2F1");
}

TEST_F(FederatedStatesTest, WhatIsNoAnswerIsNone) {
  for (const auto& [status, body] : std::vector<std::pair<int, std::string>>{
           {404, R"({"pdu_ids":[],"auth_chain_ids":[],"pdus":[],"auth_chain":[]})"},
           {200, "{}"},
           {200, "[]"},
           {200, "no json"},
           {200, R"({"pdu_ids":[7],"auth_chain_ids":[],"pdus":{},"auth_chain":[]})"},
           {200, R"({"pdu_ids":["$a"],"auth_chain_ids":{},"pdus":[1,2]})"},
           {200, std::string(9'000'000, ' ') + "{}"}}) {
    Answer(status, body);
    EXPECT_EQ(matrix::ReasonOf(Ids().status()), Reason::kPeerUnavailable) << status;
    EXPECT_EQ(matrix::ReasonOf(State().status()), Reason::kPeerUnavailable) << status;
    EXPECT_EQ(matrix::ReasonOf(Event().status()), Reason::kPeerUnavailable) << status;
  }
}

}  // namespace
}  // namespace postern::gateway
