#include "matrix/base64.h"

#include <string>

#include "gmock/gmock.h"

namespace postern::matrix {
namespace {

using testing::Optional;

struct Pair {
  std::string bytes;
  std::string text;
};

// RFC 4648 10, without padding.
const Pair kPairs[]{{"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
                    {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff", "+/8"}};

TEST(Base64, WritesNoPadding) {
  for (const Pair& pair : kPairs) EXPECT_EQ(EncodeBase64(pair.bytes), pair.text);
}

// J06
TEST(Base64, ReadsPaddedAndUnpadded) {
  for (const Pair& pair : kPairs) {
    EXPECT_THAT(DecodeBase64(pair.text), Optional(pair.bytes));
    EXPECT_THAT(DecodeBase64(pair.text + std::string((4 - pair.text.size() % 4) % 4, '=')), Optional(pair.bytes));
  }
}

TEST(Base64, IgnoresStrayTailBits) {
  EXPECT_THAT(DecodeBase64("Zh"), Optional(std::string("f")));
  EXPECT_THAT(DecodeBase64("Zm9="), Optional(std::string("fo")));
}

TEST(Base64, RefusesWhatIsNone) {
  for (const char* text :
       {"A", "AAAAA", "A===", "====", "Zg=", "Zg==Zg==", "Zm 9v", "Zm9v\n", "Zm-_", "Zm9\xc3\xa9", "Z=g="}) {
    EXPECT_EQ(DecodeBase64(text), std::nullopt) << text;
  }
}

TEST(UrlSafeBase64, HasItsOwnAlphabet) {
  EXPECT_EQ(EncodeUrlSafeBase64("\xfb\xff"), "-_8");
  EXPECT_THAT(DecodeUrlSafeBase64("-_8"), Optional(std::string("\xfb\xff")));
  EXPECT_EQ(DecodeUrlSafeBase64("+/8"), std::nullopt);
}

TEST(Base64, ReadsBackWhatItWrote) {
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    EXPECT_THAT(DecodeBase64(EncodeBase64(bytes)), Optional(bytes));
    EXPECT_THAT(DecodeUrlSafeBase64(EncodeUrlSafeBase64(bytes)), Optional(bytes));
    bytes += static_cast<char>(i * 37);
  }
}

}  // namespace
}  // namespace postern::matrix
