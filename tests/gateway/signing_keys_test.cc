// The key file in the format of homeservers, and what it must not hold (pitfalls K02, K07).
#include "services/gateway/signing_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdio>
#include <fstream>

#include "matrix/base64.h"
#include "matrix/refusal.h"

namespace postern::gateway {
namespace {

std::string Seed(char letter) { return matrix::EncodeBase64(std::string(matrix::kSeedBytes, letter)); }

TEST(SigningKeys, TheFirstOfSeveralLinesSigns) {
  const auto keys =
      SigningKeys::Parse("# ours\n\ned25519 a_one " + Seed('1') + "\ned25519 a_two " + Seed('2') + "\n", {});
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_EQ(keys->key_id(), "ed25519:a_one");
}

struct BrokenFile {
  const char* name;
  std::string text;
  std::vector<std::string> retired;
};

class BrokenKeyFile : public testing::TestWithParam<BrokenFile> {};

TEST_P(BrokenKeyFile, IsRefused) {
  const auto keys = SigningKeys::Parse(GetParam().text, GetParam().retired);
  EXPECT_EQ(matrix::ReasonOf(keys.status()), matrix::Reason::kInvalidArgument);
}

INSTANTIATE_TEST_SUITE_P(
    Files, BrokenKeyFile,
    testing::Values(
        BrokenFile{"Empty", "", {}}, BrokenFile{"OnlyAComment", "# nothing\n", {}},
        BrokenFile{"NoSeed", "ed25519 a_one\n", {}}, BrokenFile{"ShortSeed", "ed25519 a_one AAAA\n", {}},
        BrokenFile{"NoBase64", "ed25519 a_one ****\n", {}},
        BrokenFile{"OtherAlgorithm", "rsa a_one " + Seed('1') + "\n", {}},
        BrokenFile{"TooManyWords", "ed25519 a_one " + Seed('1') + " more\n", {}},
        BrokenFile{"OddVersion", "ed25519 a:one " + Seed('1') + "\n", {}},
        BrokenFile{"Twice", "ed25519 a_one " + Seed('1') + "\ned25519 a_one " + Seed('2') + "\n", {}},
        BrokenFile{"RetiredWithoutTime", "ed25519 a_one " + Seed('1') + "\n", {"ed25519:old " + Seed('0')}},
        BrokenFile{"RetiredIsCurrent", "ed25519 a_one " + Seed('1') + "\n", {"ed25519:a_one " + Seed('0') + " 1000"}}),
    [](const auto& test) { return test.param.name; });

TEST(SigningKeys, AKeyThatIsInUseAndRetiredIsInUse) {
  const auto key = *matrix::SigningKey::FromSeed("ed25519:a_one", std::string(matrix::kSeedBytes, '1'));
  const auto keys = SigningKeys::Parse("ed25519 a_one " + Seed('1') + "\n",
                                       {"ed25519:a_one " + matrix::EncodeBase64(key.public_key()) + " 1000"});
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_EQ(keys->key_id(), "ed25519:a_one");
}

TEST(SigningKeys, RetiredOnesStandInAFileOfTheirOwn) {
  const std::string path = testing::TempDir() + "/postern_old_verify_keys";
  std::ofstream(path) << "# ours\n\ned25519:old AAAA 1000\n";
  EXPECT_EQ(*SigningKeys::ReadRetired(path), std::vector<std::string>{"ed25519:old AAAA 1000"});
  std::remove(path.c_str());
  EXPECT_EQ(matrix::ReasonOf(SigningKeys::ReadRetired(path).status()), matrix::Reason::kInvalidArgument);
  EXPECT_TRUE(SigningKeys::ReadRetired("")->empty());
}

TEST(SigningKeys, AFileThatOthersMayReadIsNoticed) {
  const std::string path = testing::TempDir() + "/postern_signing.key";
  std::ofstream(path) << "ed25519 a_one " << Seed('1') << '\n';
  chmod(path.c_str(), 0644);
  EXPECT_TRUE(SigningKeys::Read(path, {})->file_is_exposed());
  chmod(path.c_str(), 0600);
  EXPECT_FALSE(SigningKeys::Read(path, {})->file_is_exposed());
  std::remove(path.c_str());
  EXPECT_EQ(matrix::ReasonOf(SigningKeys::Read(path, {}).status()), matrix::Reason::kInvalidArgument);
}

}  // namespace
}  // namespace postern::gateway
