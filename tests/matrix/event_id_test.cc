// The content hash and the event id.
#include "matrix/event_id.h"

#include <string>

#include "gmock/gmock.h"
#include "matrix/base64.h"
#include "matrix/content_hash.h"
#include "matrix/redaction.h"
#include "tests/matrix/sample_events.h"

namespace postern::matrix {
namespace {

using samples::EventOf;
using samples::Object;

TEST(Sha256, IsThatOfTheStandard) {
  EXPECT_EQ(EncodeBase64(Sha256("")), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU");
  EXPECT_EQ(EncodeBase64(Sha256("abc")), "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0");
}

// Appendices, "Event Signing".
TEST(ContentHash, IsThatOfTheSpecificationsExample) {
  const JsonObject event =
      Object(R"({"room_id":"!x:domain","sender":"@a:domain","origin":"domain","origin_server_ts":1000000,
    "signatures":{},"hashes":{},"type":"X","content":{},"prev_events":[],"auth_events":[],"depth":3,
    "unsigned":{"age_ts":1000000}})");
  EXPECT_EQ(EncodeBase64(ContentHash(event)), "5jM4wQpv6lnBo7CLIghJuHdW+s2CMBJPUOGOC89ncos");
}

TEST(ContentHash, DoesNotCountHashesSignaturesAndUnsigned) {
  JsonObject event = EventOf("10");
  const std::string hash = ContentHash(event);
  event.Set("hashes", 1);
  event.Erase("signatures");
  event.Set("unsigned", Object(R"({"x":1})"));
  EXPECT_EQ(ContentHash(event), hash);
  event.Set("depth", 6);
  EXPECT_NE(ContentHash(event), hash);
}

// J06, J08
TEST(ContentHashMatches, OnlyWhereTheClaimedHashDecodesToIt) {
  JsonObject event = EventOf("10");
  const std::string text = EncodeBase64(ContentHash(event));
  const auto with = [&](Json sha256) {
    JsonObject hashes;
    hashes.Set("sha256", std::move(sha256));
    event.Set("hashes", hashes);
    return ContentHashMatches(event);
  };
  EXPECT_TRUE(with(text));
  EXPECT_TRUE(with(text + "="));
  EXPECT_FALSE(with(""));
  EXPECT_FALSE(with(text.substr(1)));
  EXPECT_FALSE(with("?" + text.substr(1)));
  EXPECT_FALSE(with(7));
  EXPECT_FALSE(with(Json()));
  event.Set("hashes", "x");
  EXPECT_FALSE(ContentHashMatches(event));
  event.Erase("hashes");
  EXPECT_FALSE(ContentHashMatches(event));
}

TEST(EventId, IsCarriedInTheFirstTwoVersions) {
  for (const char* version : {"1", "2"}) {
    EXPECT_EQ(ComputeEventId(EventOf(version), samples::Rules(version)), "$e:a.example");
    EXPECT_EQ(ComputeEventId(EventOf("3"), samples::Rules(version)), "");
  }
}

TEST(EventId, IsTheReferenceHashInTheAlphabetOfItsVersion) {
  for (const RoomRules& rules : AllRoomRules().subspan(2)) {
    const JsonObject event = EventOf(rules.version);
    const std::string hash = ReferenceHash(event, rules);
    const std::string expected = rules.version == "3" ? EncodeBase64(hash) : EncodeUrlSafeBase64(hash);
    EXPECT_EQ(ComputeEventId(event, rules), "$" + expected);
  }
}

TEST(EventId, DoesNotCountRedactionSignaturesAndUnsigned) {
  for (const RoomRules& rules : AllRoomRules()) {
    JsonObject event = EventOf(rules.version);
    const std::string id = ComputeEventId(event, rules);
    const std::string hash = ReferenceHash(event, rules);
    event.Set("unsigned", Object(R"({"age":2,"more":[]})"));
    event.Set("signatures", Object(R"({"b.example":{"ed25519:y":"x"}})"));
    EXPECT_EQ(ReferenceHash(event, rules), hash) << rules.version;
    EXPECT_EQ(ReferenceHash(Redact(event, rules), rules), hash) << rules.version;
    EXPECT_EQ(ComputeEventId(Redact(event, rules), rules), id) << rules.version;
    event.Set("hashes", Object("{}"));
    EXPECT_NE(ReferenceHash(event, rules), hash) << rules.version;
  }
}

}  // namespace
}  // namespace postern::matrix
