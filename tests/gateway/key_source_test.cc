// Whom keys are asked of, in which order, and what a notary's word is worth (pitfalls K03, K04).
#include "services/gateway/key_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <utility>

#include "absl/time/clock.h"
#include "matrix/base64.h"
#include "matrix/refusal.h"
#include "tests/gateway/key_endpoint.h"
#include "tests/gateway/loopback_federation.h"

namespace postern::gateway {
namespace {

using matrix::Reason;
using testing::ElementsAre;

const absl::Time kNow = absl::FromUnixSeconds(1700000000);
absl::Time Now() { return kNow; }
matrix::ServerName Remote() { return *matrix::ServerName::Parse(kRemoteName); }

class NotaryTest : public testing::Test {
 protected:
  matrix::SigningKey key() const { return KeyOf('n', "ed25519:n1"); }
  matrix::JsonObject Notarised(absl::Time valid_until, const RemoteServer& server = RemoteServer()) const {
    matrix::JsonObject document = server.KeyDocument(valid_until);
    matrix::SignJson(document, endpoint_.name(), key());
    return document;
  }
  void Answer(std::vector<matrix::JsonObject> documents) {
    matrix::JsonArray list;
    for (matrix::JsonObject& document : documents) list.emplace_back(std::move(document));
    matrix::JsonObject answer;
    answer.Set("server_keys", std::move(list));
    endpoint_.Answer({.status = 200, .headers = {}, .body = matrix::CanonicalJson(answer)});
  }
  absl::StatusOr<FetchedKeys> Ask() {
    NotaryKeys source(federation_.client(),
                      {*matrix::ServerName::Parse(endpoint_.name()), key().key_id(), key().public_key()}, Now);
    return source.FetchKeys(Remote(), absl::Seconds(20));
  }

  KeyEndpoint endpoint_;
  LoopbackFederation federation_{{.allow_private_networks = true, .ca_file = endpoint_.certificate()}};
};

TEST_F(NotaryTest, IsBelievedWithItsSignatureAndTheServers) {
  Answer({Notarised(kNow + absl::Hours(1))});
  const auto fetched = Ask();
  ASSERT_TRUE(fetched.ok()) << fetched.status();
  EXPECT_EQ(fetched->keys.keys.at(0).public_key, RemoteServer().key().public_key());
  EXPECT_EQ(fetched->from, endpoint_.name());
  EXPECT_EQ(endpoint_.last().target,
            "/_matrix/key/v2/query/remote.example%3A8448?minimum_valid_until_ts=1700000000000");
}

TEST_F(NotaryTest, MayAnswerWithKeysOverTheirTime) {
  Answer({Notarised(kNow - absl::Hours(1))});
  EXPECT_TRUE(Ask().ok());
}

TEST_F(NotaryTest, IsTakenByItsLatestDocument) {
  Answer({Notarised(kNow + absl::Hours(1)), Notarised(kNow + absl::Hours(3)), Notarised(kNow + absl::Hours(2))});
  EXPECT_EQ(Ask()->keys.valid_until, kNow + absl::Hours(3));
}

TEST_F(NotaryTest, IsNotBelievedWithoutBothSignatures) {
  matrix::JsonObject not_the_notarys = RemoteServer().KeyDocument(kNow + absl::Hours(1));
  matrix::JsonObject by_another_key = not_the_notarys;
  matrix::SignJson(by_another_key, endpoint_.name(), KeyOf('x', "ed25519:n1"));
  matrix::JsonObject changed = RemoteServer().KeyDocument(kNow + absl::Hours(1));
  changed.Set("valid_until_ts", absl::ToUnixMillis(kNow + absl::Hours(2)));
  matrix::SignJson(changed, endpoint_.name(), key());
  for (const matrix::JsonObject& document :
       {not_the_notarys, by_another_key, changed, Notarised(kNow, RemoteServer("else.example"))}) {
    Answer({document});
    EXPECT_EQ(matrix::ReasonOf(Ask().status()), Reason::kOriginKeyUnavailable) << matrix::CanonicalJson(document);
  }
}

TEST_F(NotaryTest, ThatAnswersOddlyIsNoSource) {
  for (const std::string body :
       {"", "[]", "{}", R"({"server_keys":{}})", R"({"server_keys":[]})", R"({"server_keys":[1,{}]})"}) {
    endpoint_.Answer({.status = 200, .headers = {}, .body = body});
    EXPECT_EQ(matrix::ReasonOf(Ask().status()), Reason::kOriginKeyUnavailable) << body;
  }
}

TEST(NotaryText, IsANameAKeyIdAndItsKey) {
  const std::string key = matrix::EncodeBase64(KeyOf('n', "ed25519:n1").public_key());
  const auto notary = Notary::Parse("matrix.example ed25519:auto " + key);
  ASSERT_TRUE(notary.ok()) << notary.status();
  EXPECT_EQ(notary->name.text(), "matrix.example");
  EXPECT_EQ(notary->key_id, "ed25519:auto");
  for (const std::string& text : std::vector<std::string>{
           "", "matrix.example ed25519:auto", "matrix.example rsa:auto " + key, "a b ed25519:auto " + key,
           "matrix.example ed25519:auto AAAA", "matrix.example ed25519:auto " + key + " more"}) {
    EXPECT_EQ(matrix::ReasonOf(Notary::Parse(text).status()), Reason::kInvalidArgument) << text;
  }
}

/// Says what it is told to, and writes down that it was asked.
class Saying : public KeySource {
 public:
  using Answer = std::function<absl::StatusOr<FetchedKeys>(absl::Duration)>;
  Saying(std::string name, std::vector<std::string>& asked, Answer answer)
      : name_(std::move(name)), asked_(asked), answer_(std::move(answer)) {}
  absl::StatusOr<FetchedKeys> FetchKeys(const matrix::ServerName&, absl::Duration timeout) override {
    asked_.push_back(name_);
    return answer_(timeout);
  }

 private:
  const std::string name_;
  std::vector<std::string>& asked_;
  const Answer answer_;
};

class Sources : public testing::Test {
 protected:
  void Add(const std::string& name, Saying::Answer answer) {
    sources_.push_back(std::make_unique<Saying>(name, asked_, std::move(answer)));
  }
  static Saying::Answer Until(absl::Time valid_until) {
    return
        [valid_until](absl::Duration) { return *ReadKeyDocument(RemoteServer().KeyDocument(valid_until), Remote()); };
  }
  static Saying::Answer Silent() {
    return [](absl::Duration) { return matrix::Refuse(Reason::kOriginKeyUnavailable, "silent"); };
  }
  absl::StatusOr<FetchedKeys> Fetch() {
    return KeySources(std::move(sources_), Now).FetchKeys(Remote(), absl::Seconds(9));
  }

  std::vector<std::string> asked_;
  std::vector<std::unique_ptr<KeySource>> sources_;
};

TEST_F(Sources, AreAskedUntilOneKnows) {
  Add("first", Silent());
  Add("second", Until(kNow + absl::Hours(1)));
  Add("third", Until(kNow + absl::Hours(2)));
  EXPECT_EQ(Fetch()->keys.valid_until, kNow + absl::Hours(1));
  EXPECT_THAT(asked_, ElementsAre("first", "second"));
}

TEST_F(Sources, GiveWhatIsOverItsTimeLast) {
  Add("first", Until(kNow - absl::Hours(2)));
  Add("second", Until(kNow - absl::Hours(1)));
  Add("third", Silent());
  EXPECT_EQ(Fetch()->keys.valid_until, kNow - absl::Hours(1));
  EXPECT_THAT(asked_, ElementsAre("first", "second", "third"));
}

TEST_F(Sources, SayOfEachWhyItHadNothing) {
  Add("first", Silent());
  Add("second", Silent());
  const absl::Status why = Fetch().status();
  EXPECT_EQ(matrix::ReasonOf(why), Reason::kOriginKeyUnavailable);
  EXPECT_EQ(matrix::DetailOf(why), "silent; silent");
}

TEST_F(Sources, HaveAShareOfTheTimeEach) {
  absl::Duration first_share;
  Add("first", [&](absl::Duration timeout) {
    first_share = timeout;
    return matrix::Refuse(Reason::kOriginKeyUnavailable, "silent");
  });
  Add("second", Silent());
  Add("third", Silent());
  EXPECT_FALSE(Fetch().ok());
  EXPECT_GT(first_share, absl::Seconds(2));
  EXPECT_LE(first_share, absl::Seconds(3));
}

}  // namespace
}  // namespace postern::gateway
