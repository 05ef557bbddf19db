#include "matrix/signature.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "matrix/base64.h"
#include "matrix/redaction.h"
#include "matrix/refusal.h"
#include "tests/matrix/sample_events.h"

namespace postern::matrix {
namespace {

using samples::EventOf;
using samples::Object;
using samples::Rules;

constexpr std::int64_t kEventTime = 1700000000000;  // that of the sample event
constexpr std::int64_t kDay = 24 * 3600 * 1000;

SigningKey KeyOf(char seed, std::string_view key_id = "ed25519:k") {
  return *SigningKey::FromSeed(key_id, std::string(kSeedBytes, seed));
}

std::string SignatureIn(const JsonObject& object, std::string_view server, std::string_view key_id) {
  return *object.Find("signatures")->AsObject()->Find(server)->AsObject()->Find(key_id)->AsString();
}

// Appendices, "Cryptographic Test Vectors".
SigningKey SpecificationsKey() {
  return *SigningKey::FromTestVectorSeed("ed25519:1",
                                         DecodeBase64("YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1").value_or(""));
}

TEST(SignJson, SignsAsTheSpecificationsExamples) {
  JsonObject empty;
  SignJson(empty, "domain", SpecificationsKey());
  EXPECT_EQ(SignatureIn(empty, "domain", "ed25519:1"),
            "K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ");
  JsonObject two = Object(R"({"one":1,"two":"Two"})");
  SignJson(two, "domain", SpecificationsKey());
  EXPECT_EQ(SignatureIn(two, "domain", "ed25519:1"),
            "KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw");
}

TEST(HashAndSignEvent, SignsAsTheSpecificationsExamples) {
  JsonObject minimal =
      Object(R"({"room_id":"!x:domain","sender":"@a:domain","origin":"domain","origin_server_ts":1000000,
    "signatures":{},"hashes":{},"type":"X","content":{},"prev_events":[],"auth_events":[],"depth":3,
    "unsigned":{"age_ts":1000000}})");
  HashAndSignEvent(minimal, "domain", SpecificationsKey(), Rules("1"));
  EXPECT_EQ(SignatureIn(minimal, "domain", "ed25519:1"),
            "KxwGjPSDEtvnFgU00fwFz+l6d2pJM6XBIaMEn81SXPTRl16AqLAYqfIReFGZlHi5KLjAWbOoMszkwsQma+lYAg");
  JsonObject message =
      Object(R"({"content":{"body":"Here is the message content"},"event_id":"$0:domain","origin":"domain",
    "origin_server_ts":1000000,"type":"m.room.message","room_id":"!r:domain","sender":"@u:domain","signatures":{},
    "unsigned":{"age_ts":1000000}})");
  HashAndSignEvent(message, "domain", SpecificationsKey(), Rules("1"));
  EXPECT_EQ(SignatureIn(message, "domain", "ed25519:1"),
            "Wm+VzmOUOz08Ds+0NTWb1d4CZrVsJSikkeRxh6aCcUwu6pNC78FunoD7KNWzqFn241eYHYMGCA5McEiVPdhzBA");
}

// J09
TEST(SignEvent, KeepsEverySignatureAndTheHashes) {
  JsonObject event = EventOf("10");
  SignEvent(event, "b.example", KeyOf('b'), Rules("10"));
  SignEvent(event, "b.example", KeyOf('c', "ed25519:other"), Rules("10"));
  EXPECT_EQ(SignatureIn(event, "a.example", "ed25519:x"), "BBBB");
  const JsonObject redacted = Redact(event, Rules("10"));
  EXPECT_TRUE(VerifyJson(redacted, "b.example", "ed25519:k", KeyOf('b').public_key()));
  EXPECT_TRUE(VerifyJson(redacted, "b.example", "ed25519:other", KeyOf('c').public_key()));
  EXPECT_TRUE(*event.Find("hashes") == *EventOf("10").Find("hashes"));
}

TEST(SignEvent, ReplacesWhatIsNoListOfSignatures) {
  JsonObject event = EventOf("10");
  event.Set("signatures", Object(R"({"b.example":7})"));
  SignEvent(event, "b.example", KeyOf('b'), Rules("10"));
  EXPECT_EQ(SignatureIn(event, "b.example", "ed25519:k").size(), 86U);
}

TEST(VerifyJson, FailsOnAnyChange) {
  JsonObject object = Object(R"({"a":1})");
  const SigningKey key = KeyOf('a');
  SignJson(object, "a.example", key);
  EXPECT_TRUE(VerifyJson(object, "a.example", key.key_id(), key.public_key()));
  EXPECT_FALSE(VerifyJson(object, "a.example", key.key_id(), KeyOf('b').public_key()));
  EXPECT_FALSE(VerifyJson(object, "b.example", key.key_id(), key.public_key()));
  EXPECT_FALSE(VerifyJson(object, "a.example", "ed25519:z", key.public_key()));
  EXPECT_FALSE(VerifyJson(object, "a.example", key.key_id(), "short"));
  object.Set("unsigned", 1);
  EXPECT_TRUE(VerifyJson(object, "a.example", key.key_id(), key.public_key()));
  object.Set("a", 2);
  EXPECT_FALSE(VerifyJson(object, "a.example", key.key_id(), key.public_key()));
}

TEST(VerifySignature, RefusesWrongLengths) {
  const SigningKey key = KeyOf('a');
  const std::string signature = key.Sign("text");
  EXPECT_TRUE(VerifySignature("text", signature, key.public_key()));
  EXPECT_FALSE(VerifySignature("text", signature.substr(1), key.public_key()));
  EXPECT_FALSE(VerifySignature("text", signature + "x", key.public_key()));
  EXPECT_FALSE(VerifySignature("text", signature, ""));
  EXPECT_FALSE(VerifySignature("text", "", key.public_key()));
}

TEST(SigningKey, NeedsAnEd25519IdAndASeedOf32Bytes) {
  for (const auto& [key_id, seed] : {std::pair<std::string, std::size_t>("rsa:1", 32),
                                     {"ed25519:", 32},
                                     {"", 32},
                                     {"ed25519:a", 31},
                                     {"ed25519:a", 33},
                                     {"ed25519:a", 0}}) {
    const auto key = SigningKey::FromSeed(key_id, std::string(seed, 's'));
    EXPECT_EQ(ReasonOf(key.status()), Reason::kInvalidArgument) << key_id << seed;
  }
}

// K07
TEST(SigningKey, RefusesKeysWhoseSecretIsPublic) {
  EXPECT_FALSE(SigningKey::FromSeed("ed25519:1", std::string(kSeedBytes, '\0')).ok());
  EXPECT_FALSE(
      SigningKey::FromSeed("ed25519:1", DecodeBase64("YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1").value_or("")).ok());
  EXPECT_TRUE(IsKnownBadKey(SpecificationsKey().public_key()));
  EXPECT_TRUE(IsKnownBadKey(DecodeBase64("l/O9hxMVKB6Lg+3Hqf0FQQZhVESQcMzbPN1Cz2nM3og=").value_or("")));
  EXPECT_FALSE(IsKnownBadKey(KeyOf('a').public_key()));
}

TEST(SigningKey, StaysUsableWhenMoved) {
  SigningKey first = KeyOf('a');
  const std::string signature = first.Sign("x");
  SigningKey second = std::move(first);
  EXPECT_EQ(second.Sign("x"), signature);
  SigningKey third = KeyOf('b');
  third = std::move(second);
  EXPECT_EQ(third.Sign("x"), signature);
}

struct Signers {
  const char* name;
  const char* version;
  const char* type;
  const char* content;
  std::vector<std::string> expected;
};

class RequiredSignersOf : public testing::TestWithParam<Signers> {};

TEST_P(RequiredSignersOf, AreThoseOfTheVersion) {
  const Signers& c = GetParam();
  JsonObject event = EventOf(c.version);
  event.Set("type", c.type);
  event.Set("content", Object(c.content));
  if (event.Contains("event_id")) event.Set("event_id", "$e:id.example");
  EXPECT_EQ(RequiredSigners(event, Rules(c.version)), c.expected);
}

// J10
INSTANTIATE_TEST_SUITE_P(
    Cases, RequiredSignersOf,
    testing::ValuesIn(std::vector<Signers>{
        {"Sender", "3", "m.room.message", "{}", {"a.example"}},
        {"EventIdToo", "2", "m.room.message", "{}", {"a.example", "id.example"}},
        {"Invite", "10", "m.room.member", R"({"membership":"invite"})", {"a.example"}},
        {"ThirdPartyInvite", "10", "m.room.member", R"({"membership":"invite","third_party_invite":{}})", {}},
        {"ThirdPartyInviteVersion1",
         "1",
         "m.room.member",
         R"({"membership":"invite","third_party_invite":1})",
         {"id.example"}},
        {"ThirdPartyInviteOfAMessage",
         "10",
         "m.room.message",
         R"({"membership":"invite","third_party_invite":{}})",
         {"a.example"}},
        {"RestrictedJoin",
         "8",
         "m.room.member",
         R"({"membership":"join","join_authorised_via_users_server":"@b:b.example:1"})",
         {"a.example", "b.example:1"}},
        {"RestrictedJoinBefore8",
         "7",
         "m.room.member",
         R"({"membership":"join","join_authorised_via_users_server":"@b:b.example"})",
         {"a.example"}},
        {"RestrictedLeave",
         "8",
         "m.room.member",
         R"({"membership":"leave","join_authorised_via_users_server":"@b:b.example"})",
         {"a.example"}},
        {"OddAuthoriser",
         "8",
         "m.room.member",
         R"({"membership":"join","join_authorised_via_users_server":7})",
         {"a.example", ""}},
    }),
    [](const auto& c) { return std::string(c.param.name); });

struct Validity {
  const char* name;
  const char* version;
  std::int64_t valid_until;
  std::int64_t now;
  std::optional<std::int64_t> expired;
  bool ok;
};

class KeyValidity : public testing::TestWithParam<Validity> {};

TEST_P(KeyValidity, DecidesWhichSignaturesCount) {
  const Validity& c = GetParam();
  const SigningKey key = KeyOf('a');
  JsonObject event = EventOf(c.version);
  SignEvent(event, "a.example", key, Rules(c.version));
  std::optional<absl::Time> expired;
  if (c.expired) expired = absl::FromUnixMillis(*c.expired);
  const KeyDirectory keys{
      {"a.example", {"a.example", absl::FromUnixMillis(c.valid_until), {{key.key_id(), key.public_key(), expired}}}}};
  std::vector<UsedKey> used;
  const auto status = CheckEventSignatures(event, Rules(c.version), keys, absl::FromUnixMillis(c.now), &used);
  EXPECT_EQ(status.ok(), c.ok) << status;
  EXPECT_EQ(used.size(), c.ok ? 1U : 0U);
  if (!status.ok()) {
    EXPECT_EQ(ReasonOf(status), Reason::kBadSignature);
  }
}

// J10, X07
INSTANTIATE_TEST_SUITE_P(Cases, KeyValidity,
                         testing::ValuesIn(std::vector<Validity>{
                             {"Valid", "5", kEventTime + kDay, kEventTime, {}, true},
                             {"ValidToTheMillisecond", "5", kEventTime, kEventTime, {}, true},
                             {"Ended", "5", kEventTime - 1, kEventTime, {}, false},
                             {"EndedBeforeVersion5", "4", kEventTime - 1, kEventTime, {}, true},
                             {"BelievedSevenDays", "5", kEventTime + kDay, kEventTime - 7 * kDay, {}, true},
                             {"NotBelievedLonger", "5", kEventTime + kDay, kEventTime - 7 * kDay - 1, {}, false},
                             {"OldKeyStillCurrentThen", "5", 0, kEventTime, kEventTime, true},
                             {"OldKeyExpiredBefore", "5", kEventTime + kDay, kEventTime, kEventTime - 1, false},
                             {"OldKeyExpiredBeforeInVersion1", "3", kEventTime + kDay, kEventTime, kEventTime - 1,
                              false},
                         }),
                         [](const auto& c) { return std::string(c.param.name); });

class EventSignatures : public testing::Test {
 protected:
  absl::Status Check() const {
    return CheckEventSignatures(event_, Rules("10"), keys_, absl::FromUnixMillis(kEventTime));
  }
  void Sign(const SigningKey& key) { SignEvent(event_, "a.example", key, Rules("10")); }
  void Know(const SigningKey& key) {
    ServerKeys& keys = keys_["a.example"];
    keys.server_name = "a.example";
    keys.valid_until = absl::FromUnixMillis(kEventTime + kDay);
    keys.keys.push_back({key.key_id(), key.public_key(), std::nullopt});
  }
  JsonObject event_ = EventOf("10");
  KeyDirectory keys_;
};

TEST_F(EventSignatures, OfAnUnknownServerFail) {
  Sign(KeyOf('a'));
  EXPECT_FALSE(Check().ok());
}

TEST_F(EventSignatures, ByUnknownKeysAreSkipped) {
  Sign(KeyOf('a'));
  Know(KeyOf('a'));
  Sign(KeyOf('b', "ed25519:unknown"));
  EXPECT_TRUE(Check().ok());
}

TEST_F(EventSignatures, ByUsableKeysMustAllHold) {
  Sign(KeyOf('a'));
  Sign(KeyOf('b', "ed25519:second"));
  Know(KeyOf('a'));
  EXPECT_TRUE(Check().ok());
  Know(KeyOf('c', "ed25519:second"));
  EXPECT_FALSE(Check().ok());
}

// J09
TEST_F(EventSignatures, OfOtherAlgorithmsAndPolicyServersDoNotCount) {
  const SigningKey policy = KeyOf('p', "ed25519:policy_server");
  Sign(policy);
  Know(policy);
  EXPECT_FALSE(Check().ok());
  Sign(KeyOf('a'));
  Know(KeyOf('a'));
  EXPECT_TRUE(Check().ok());
}

TEST_F(EventSignatures, UnderTheIdOfAnotherAlgorithmDoNotCount) {
  const SigningKey key = KeyOf('a');
  Sign(key);
  Know(key);
  keys_["a.example"].keys.front().key_id = "rsa:k";
  JsonObject& by_server = *event_.Find("signatures")->AsObject()->Find("a.example")->AsObject();
  const Json signature = *by_server.Find(key.key_id());
  by_server.Erase(key.key_id());
  by_server.Set("rsa:k", signature);
  EXPECT_FALSE(Check().ok());
}

// K07
TEST_F(EventSignatures, ByKnownBadKeysDoNotCount) {
  Sign(SpecificationsKey());
  Know(SpecificationsKey());
  EXPECT_FALSE(Check().ok());
}

TEST_F(EventSignatures, CoverOnlyWhatRedactionKeeps) {
  Sign(KeyOf('a'));
  Know(KeyOf('a'));
  event_.Set("content", Object(R"({"membership":"leave","reason":"another"})"));
  EXPECT_TRUE(Check().ok());
  event_.Set("content", Object(R"({"membership":"ban"})"));
  EXPECT_FALSE(Check().ok());
}

// J08
TEST_F(EventSignatures, OfOddShapesFail) {
  Know(KeyOf('a'));
  for (const char* odd : {"{}", "[]", "7", R"({"a.example":[]})", R"({"a.example":{"ed25519:k":7}})",
                          R"({"a.example":{"ed25519:k":"?"}})", R"({"a.example":{"ed25519:k":""}})"}) {
    event_.Set("signatures", *ParseJson(odd));
    EXPECT_FALSE(Check().ok()) << odd;
  }
}

}  // namespace
}  // namespace postern::matrix
