#include "matrix/canonical_json.h"

#include <random>
#include <string>

#include "gmock/gmock.h"

namespace postern::matrix {
namespace {

std::string Canonical(std::string_view text) { return CanonicalJson(*ParseJson(text)); }

TEST(CanonicalJson, HasNoWhiteSpace) { EXPECT_EQ(Canonical(" { \"a\" : [ 1 , 2 ] } "), R"({"a":[1,2]})"); }

TEST(CanonicalJson, SortsKeysAtEveryDepth) {
  EXPECT_EQ(Canonical(R"({"b":{"d":1,"c":2},"a":3})"), R"({"a":3,"b":{"c":2,"d":1}})");
}

TEST(CanonicalJson, EscapesOnlyWhatMustBe) {
  EXPECT_EQ(Canonical(R"("\u0000\b\t\n\u000b\f\r\u001f\"\\\/\u007f\u00e9")"),
            "\"\\u0000\\b\\t\\n\\u000b\\f\\r\\u001f\\\"\\\\/\x7f\xc3\xa9\"");
}

// J04
TEST(CanonicalJson, KeepsOddNumbersAsWritten) {
  EXPECT_EQ(Canonical("[-0,1.50,1E+2,9223372036854775808]"), "[-0,1.50,1E+2,9223372036854775808]");
}

TEST(CanonicalJson, WritesEveryScalar) {
  EXPECT_EQ(Canonical("[null,true,false,-7,\"\",[],{}]"), "[null,true,false,-7,\"\",[],{}]");
}

TEST(CanonicalJsonWithout, LeavesOutMembersOfTheOutermostObjectOnly) {
  const auto value = ParseJson(R"({"a":1,"b":{"a":2},"c":3})");
  EXPECT_EQ(CanonicalJsonWithout(*value->AsObject(), {"a", "c", "none"}), R"({"b":{"a":2}})");
  EXPECT_EQ(CanonicalJsonWithout(*value->AsObject(), {"a", "b", "c"}), "{}");
}

TEST(CanonicalObjectWriter, SeparatesWhatItIsGiven) {
  std::string out = "before ";
  CanonicalObjectWriter writer(out);
  writer.Add("a", Json(1));
  writer.BeginMember("b");
  out += "[]";
  writer.Add("c", std::string_view("\""));
  writer.End();
  EXPECT_EQ(out, R"(before {"a":1,"b":[],"c":"\""})");
}

TEST(FitsCanonically, CountsBytesAsTheyAreWritten) {
  for (const char* text : {"[1,-9223372036854775808]", R"({"\u0001":"\u0002\"","b":{}})", "1.50e10", "null", "[[],[]]",
                           R"(["","",""])", "[true,false,null]"}) {
    const Json value = *ParseJson(text);
    const std::size_t size = CanonicalJson(value).size();
    EXPECT_TRUE(FitsCanonically(value, size)) << text;
    EXPECT_FALSE(FitsCanonically(value, size - 1)) << text;
  }
}

TEST(HasOnlyCanonicalNumbers, MeansIntegersWithin53Bits) {
  for (const char* good : {"9007199254740991", "-9007199254740991", "[[{\"a\":0}]]", "\"1.5\"", "null"}) {
    EXPECT_TRUE(HasOnlyCanonicalNumbers(*ParseJson(good))) << good;
  }
  for (const char* bad :
       {"9007199254740992", "-9007199254740992", "[[{\"a\":1.0}]]", "-0", "1e2", "9223372036854775808"}) {
    EXPECT_FALSE(HasOnlyCanonicalNumbers(*ParseJson(bad))) << bad;
  }
}

/// Random trees; the same seed gives the same tree.
class TreeMaker {
 public:
  explicit TreeMaker(unsigned seed) : random_(seed) {}

  Json Make(int depth) {
    switch (Below(depth > 0 ? 7 : 5)) {
      case 0:
        return {};
      case 1:
        return Below(2) == 1;
      case 2:
        return static_cast<std::int64_t>(random_());
      case 3:
        return OddNumber{std::to_string(Below(1000)) + ".5e-" + std::to_string(Below(30))};
      case 4:
        return Text();
      case 5: {
        JsonArray array(Below(5));
        for (Json& item : array) item = Make(depth - 1);
        return array;
      }
      default: {
        JsonObject object;
        for (std::uint64_t i = Below(6); i > 0; --i) object.Set(Text(), Make(depth - 1));
        return object;
      }
    }
  }

 private:
  std::uint64_t Below(std::uint64_t limit) { return random_() % limit; }
  std::string Text() {
    static const std::vector<std::string> kPieces{
        "a", "\"",       "\\",           std::string(1, '\0'), "\n", "\x1f", "\x7f",
        "/", "\xc3\xa9", "\xef\xbf\xbf", "\xf0\x9f\x98\x80"};
    std::string text;
    for (std::uint64_t i = Below(6); i > 0; --i) text += kPieces[Below(kPieces.size())];
    return text;
  }
  std::mt19937_64 random_;
};

TEST(CanonicalJson, ReadsBackAsTheSameTree) {
  for (unsigned seed = 0; seed < 500; ++seed) {
    const Json tree = TreeMaker(seed).Make(6);
    const std::string text = CanonicalJson(tree);
    const auto again = ParseJson(text);
    ASSERT_TRUE(again.ok()) << text;
    EXPECT_TRUE(*again == tree) << text;
    EXPECT_EQ(CanonicalJson(*again), text);
  }
}

}  // namespace
}  // namespace postern::matrix
