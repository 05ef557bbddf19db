// What a rotation makes of the two files (pitfall K02).
#include "posternctl/key_rotation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "matrix/base64.h"
#include "matrix/refusal.h"
#include "posternctl/peer/server_identity.h"

namespace postern::posternctl {
namespace {

using matrix::Reason;

const absl::Time kExpired = absl::FromUnixMillis(1700000000000);

std::string Line(std::string_view version, char letter) {
  return peer::KeyFileLine("ed25519:" + std::string(version),
                           matrix::EncodeBase64(std::string(matrix::kSeedBytes, letter)));
}
std::string OldLine(std::string_view version, char letter, std::string_view expired) {
  const auto key =
      *matrix::SigningKey::FromSeed("ed25519:" + std::string(version), std::string(matrix::kSeedBytes, letter));
  return key.key_id() + " " + matrix::EncodeBase64(key.public_key()) + " " + std::string(expired);
}

TEST(KeyRotation, PutsTheNewKeyInThePlaceOfTheOneThatSigns) {
  const KeyFiles before{"# ours\n" + Line("a", '1') + "\n" + Line("b", '2') + "\n", "# old\n" + OldLine("z", '0', "5")};
  const auto after = Rotate(before, Line("c", '3'), kExpired);
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(after->keys, "# ours\n" + Line("c", '3') + "\n" + Line("b", '2') + "\n");
  EXPECT_EQ(after->old_keys, "# old\n" + OldLine("z", '0', "5") + "\n" + OldLine("a", '1', "1700000000000") + "\n");
}

TEST(KeyRotation, ThatWasCutOffCanBeDoneAgain) {
  const KeyFiles cut_off{Line("a", '1') + "\n", OldLine("a", '1', "5") + "\n"};
  const auto after = Rotate(cut_off, Line("c", '3'), kExpired);
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(after->old_keys, OldLine("a", '1', "1700000000000") + "\n");
}

TEST(KeyRotation, NeverUsesAnIdTwice) {
  const KeyFiles files{Line("a", '1') + "\n" + Line("b", '2') + "\n", OldLine("z", '0', "5") + "\n"};
  for (const char* version : {"a", "b", "z"}) {
    EXPECT_EQ(matrix::ReasonOf(Rotate(files, Line(version, '9'), kExpired).status()), Reason::kInvalidArgument)
        << version;
  }
  EXPECT_EQ(matrix::ReasonOf(Rotate({"no key\n", ""}, Line("c", '3'), kExpired).status()), Reason::kInvalidArgument);
}

}  // namespace
}  // namespace postern::posternctl
