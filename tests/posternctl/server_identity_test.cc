#include "posternctl/peer/server_identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "matrix/base64.h"
#include "matrix/refusal.h"

namespace postern::peer {
namespace {

using matrix::Reason;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::MatchesRegex;

const std::string kSeed(32, 's');

TEST(KeyFile, IsReadBackAsItWasWritten) {
  std::string seed;
  const auto key = GenerateKey("", &seed);
  ASSERT_TRUE(key.ok());
  const std::string line = KeyFileLine(key->key_id(), seed);
  EXPECT_THAT(line, MatchesRegex("ed25519 a_[A-Za-f]{4} [A-Za-z0-9+/]{43}"));

  const auto keys = ReadKeyText("# of this server\n\n" + line + "\n");
  ASSERT_TRUE(keys.ok()) << keys.status();
  ASSERT_EQ(keys->size(), 1U);
  EXPECT_EQ(keys->front().key_id(), key->key_id());
  EXPECT_EQ(keys->front().public_key(), key->public_key());
}

TEST(KeyFile, TwoKeysDiffer) {
  std::string one;
  std::string two;
  ASSERT_TRUE(GenerateKey("", &one).ok());
  ASSERT_TRUE(GenerateKey("", &two).ok());
  EXPECT_NE(one, two);
}

TEST(KeyFile, TheFirstKeySigns) {
  const std::string first = matrix::EncodeBase64(kSeed);
  const std::string second = matrix::EncodeBase64(std::string(32, 't'));
  auto keys = ReadKeyText("ed25519 1 " + first + "\r\ned25519 2 " + second);
  ASSERT_TRUE(keys.ok()) << keys.status();
  const ServerIdentity identity(*matrix::ServerName::Parse("there.example"), *std::move(keys));
  EXPECT_EQ(identity.key().key_id(), "ed25519:1");
}

struct BrokenFile {
  const char* name;
  const char* text;
  const char* says;
};
class BrokenKeyFile : public testing::TestWithParam<BrokenFile> {};

TEST_P(BrokenKeyFile, NamesTheLine) {
  const auto keys = ReadKeyText(GetParam().text);
  EXPECT_EQ(matrix::ReasonOf(keys.status()), Reason::kInvalidArgument);
  EXPECT_THAT(std::string(matrix::DetailOf(keys.status())), HasSubstr(GetParam().says));
}

INSTANTIATE_TEST_SUITE_P(Each, BrokenKeyFile,
                         testing::Values(BrokenFile{"Empty", "\n# nothing\n", "no key"},
                                         BrokenFile{"OtherAlgorithm", "\nrsa 1 AAAA\n", "line 2"},
                                         BrokenFile{"NoSeed", "ed25519 1\n", "line 1"},
                                         BrokenFile{"ShortSeed", "ed25519 1 AAAA\n", "line 1"},
                                         BrokenFile{"NotBase64", "ed25519 1 *\n", "line 1"}),
                         [](const auto& test) { return test.param.name; });

TEST(KeyFile, ThatIsNotThereIsNamed) {
  const auto keys = ReadKeyFile("/nowhere/at.all");
  EXPECT_THAT(std::string(matrix::DetailOf(keys.status())), HasSubstr("/nowhere/at.all"));
}

TEST(KeyDocument, IsSignedByEveryKeyAndValidForADay) {
  auto keys = ReadKeyText("ed25519 1 " + matrix::EncodeBase64(kSeed) + "\ned25519 2 " +
                          matrix::EncodeBase64(std::string(32, 't')));
  ASSERT_TRUE(keys.ok());
  const std::string first = (*keys)[0].public_key();
  const std::string second = (*keys)[1].public_key();
  const ServerIdentity identity(*matrix::ServerName::Parse("there.example:8448"), *std::move(keys));

  const absl::Time now = absl::FromUnixMillis(1'700'000'000'000);
  const matrix::JsonObject document = identity.KeyDocument(now);
  EXPECT_EQ(*document.Find("server_name")->AsString(), "there.example:8448");
  EXPECT_EQ(*document.Find("valid_until_ts")->AsInteger(), absl::ToUnixMillis(now + absl::Hours(24)));
  EXPECT_EQ(document.Find("verify_keys")->AsObject()->size(), 2U);
  EXPECT_TRUE(matrix::VerifyJson(document, "there.example:8448", "ed25519:1", first));
  EXPECT_TRUE(matrix::VerifyJson(document, "there.example:8448", "ed25519:2", second));
}

}  // namespace
}  // namespace postern::peer
