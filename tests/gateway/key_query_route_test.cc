// This server as a notary: what others say of their keys, proved twice (pitfalls K04, K05).
#include "services/gateway/key_query_route.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "matrix/canonical_json.h"
#include "tests/gateway/leave_rig.h"

namespace postern::gateway {
namespace {

class KeyQueries : public testing::Test {
 protected:
  http::Response Get(const std::string& server_and_query) {
    http::Request request;
    request.method = "GET";
    request.target = "/_matrix/key/v2/query/" + server_and_query;
    request.remote_address = "192.0.2.1";
    return rig_.Send(std::move(request));
  }
  http::Response Post(std::string body) {
    http::Request request;
    request.method = "POST";
    request.target = "/_matrix/key/v2/query";
    request.remote_address = "192.0.2.1";
    request.has_body = true;
    request.body = std::move(body);
    return rig_.Send(std::move(request));
  }
  /// The documents of an answer, by their server.
  static std::map<std::string, matrix::JsonObject> DocumentsIn(const http::Response& response) {
    EXPECT_EQ(response.status, 200) << response.body;
    std::map<std::string, matrix::JsonObject> documents;
    const matrix::JsonObject answer = ObjectOrDie(response.body);
    for (const matrix::Json& document : *answer.Find("server_keys")->AsArray()) {
      documents[*document.AsObject()->Find("server_name")->AsString()] = *document.AsObject();
    }
    return documents;
  }
  void Publish(const RemoteServer& server, absl::Time valid_until) {
    rig_.source_.Set(*ReadKeyDocument(server.KeyDocument(valid_until), *matrix::ServerName::Parse(server.name())));
  }
  static bool IsSignedByUs(const matrix::JsonObject& document) {
    return matrix::VerifyJson(document, kOurName, "ed25519:h1", KeyOf('h', "ed25519:h1").public_key());
  }

  LeaveRig rig_;
  const absl::Time now_ = rig_.clock_.now();
  const RemoteServer one_{"one.example", '1'};
  const RemoteServer two_{"two.example", '2'};
};

TEST_F(KeyQueries, AreAnsweredWithTheServersSignatureAndOurs) {
  Publish(one_, now_ + absl::Hours(1));
  for (const std::string query : {"one.example", "one.example?minimum_valid_until_ts=5"}) {
    const auto documents = DocumentsIn(Get(query));
    ASSERT_EQ(documents.size(), 1U);
    const matrix::JsonObject& document = documents.at("one.example");
    EXPECT_TRUE(matrix::VerifyJson(document, "one.example", "ed25519:r1", one_.key().public_key()));
    EXPECT_TRUE(IsSignedByUs(document));
    EXPECT_EQ(document.Find("signatures")->AsObject()->size(), 2U);
  }
  EXPECT_EQ(rig_.source_.fetches(), 1);
}

TEST_F(KeyQueries, LeaveOutWhatCannotBeHad) {
  Publish(one_, now_ + absl::Hours(1));
  Publish(two_, now_ + absl::Hours(1));
  const auto documents =
      DocumentsIn(Post(R"({"server_keys":{"one.example":{},"silent.example":{},"two.example":{"ed25519:r1":{}}}})"));
  EXPECT_THAT(documents, testing::UnorderedElementsAre(testing::Key("one.example"), testing::Key("two.example")));
  EXPECT_THAT(DocumentsIn(Get("silent.example")), testing::IsEmpty());
}

TEST_F(KeyQueries, ArePassedOnOverTheirTimeWhereNothingIsBetter) {
  Publish(one_, now_ - absl::Hours(1));
  EXPECT_EQ(DocumentsIn(Get("one.example")).size(), 1U);
}

TEST_F(KeyQueries, HonourHowLongTheKeysMustHold) {
  Publish(one_, now_ + absl::Hours(1));
  ASSERT_EQ(DocumentsIn(Get("one.example")).size(), 1U);
  Publish(one_, now_ + absl::Hours(9));
  const std::string wanted = std::to_string(absl::ToUnixMillis(now_ + absl::Hours(5)));
  const auto documents =
      DocumentsIn(Post(R"({"server_keys":{"one.example":{"ed25519:r1":{"minimum_valid_until_ts":)" + wanted + "}}}}"));
  EXPECT_EQ(*documents.at("one.example").Find("valid_until_ts")->AsInteger(),
            absl::ToUnixMillis(now_ + absl::Hours(9)));
}

TEST_F(KeyQueries, ForOurOwnKeysAreAnsweredWithThem) {
  const auto documents = DocumentsIn(Get("here.example"));
  ASSERT_EQ(documents.size(), 1U);
  EXPECT_EQ(matrix::CanonicalJson(documents.at("here.example")), rig_.key_route_.Document());
  EXPECT_EQ(rig_.source_.fetches(), 0);
}

TEST_F(KeyQueries, OfManyServersAreAnsweredWhole) {
  std::string names;
  for (std::size_t i = 0; i < kMostServersQueried; ++i) {
    const std::string name = "s" + std::to_string(i) + ".example";
    Publish(RemoteServer(name), now_ + absl::Hours(1));
    names += (names.empty() ? "\"" : ",\"") + name + "\":{}";
  }
  EXPECT_EQ(DocumentsIn(Post("{\"server_keys\":{" + names + "}}")).size(), kMostServersQueried);
  EXPECT_EQ(Post("{\"server_keys\":{\"more.example\":{}," + names + "}}").status, 400);
}

TEST_F(KeyQueries, ThatDoNotReadAreRefused) {
  for (const std::string body : {"", "[]", "{", "{}", R"({"server_keys":[]})", R"({"server_keys":{"one.example":1}})",
                                 R"({"server_keys":{"one.example":{"ed25519:a":1}}})", R"({"server_keys":{"a b":{}}})",
                                 R"({"server_keys":{"one.example":{"ed25519:a":{"minimum_valid_until_ts":"1"}}}})"}) {
    EXPECT_EQ(Post(body).status, 400) << body;
  }
  EXPECT_EQ(Get("a%20b").status, 400);
  EXPECT_EQ(Get("one.example?minimum_valid_until_ts=soon").status, 400);
}

TEST_F(KeyQueries, AskedBySomebodyElseAtOnceCostOneFetch) {
  Publish(one_, now_ + absl::Hours(1));
  rig_.source_.Close();
  std::vector<std::thread> asking;
  for (int i = 0; i < 3; ++i) {
    asking.emplace_back([&] { EXPECT_EQ(DocumentsIn(Get("one.example")).size(), 1U); });
  }
  rig_.source_.WaitUntilAsked(1);
  rig_.source_.Open();
  for (std::thread& thread : asking) thread.join();
  EXPECT_EQ(rig_.source_.fetches(), 1);
}

}  // namespace
}  // namespace postern::gateway
