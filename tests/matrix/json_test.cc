#include "matrix/json.h"

#include <pthread.h>

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "matrix/canonical_json.h"
#include "matrix/refusal.h"

namespace postern::matrix {
namespace {

std::string Nested(std::string_view open, std::string_view inside, std::string_view close, std::size_t depth) {
  std::string text;
  for (std::size_t i = 0; i < depth; ++i) text += open;
  text += inside;
  for (std::size_t i = 0; i < depth; ++i) text += close;
  return text;
}

struct Refused {
  const char* name;
  std::string text;
  Reason reason;
};

class RefusedJson : public testing::TestWithParam<Refused> {};

TEST_P(RefusedJson, HasItsReason) {
  const auto value = ParseJson(GetParam().text);
  ASSERT_FALSE(value.ok());
  EXPECT_EQ(ReasonOf(value.status()), GetParam().reason) << value.status();
}

// J02, J03: what other readers would guess at.
INSTANTIATE_TEST_SUITE_P(Cases, RefusedJson,
                         testing::ValuesIn(std::vector<Refused>{
                             {"Nothing", "", Reason::kNotJson},
                             {"WhiteSpaceOnly", " \n", Reason::kNotJson},
                             {"Words", "not json", Reason::kNotJson},
                             {"Unfinished", R"({"a":)", Reason::kNotJson},
                             {"TrailingComma", "[1,]", Reason::kNotJson},
                             {"SecondDocument", "{} {}", Reason::kNotJson},
                             {"Comment", "[1 /* one */]", Reason::kNotJson},
                             {"SingleQuotes", "{'a':1}", Reason::kNotJson},
                             {"LeadingZero", "[01]", Reason::kNotJson},
                             {"LeadingPlus", "[+1]", Reason::kNotJson},
                             {"NotANumber", "[NaN]", Reason::kNotJson},
                             {"BareControlCharacter", "\"\x01\"", Reason::kNotJson},
                             {"ByteOrderMark", "\xef\xbb\xbf{}", Reason::kNotJson},
                             {"BrokenUtf8", "\"\xc3\x28\"", Reason::kNotJson},
                             {"OverlongUtf8", "\"\xc0\xaf\"", Reason::kNotJson},
                             {"SurrogateInUtf8", "\"\xed\xa0\x80\"", Reason::kNotJson},
                             {"SameKeyTwice", R"({"a":1,"a":1})", Reason::kBadJson},
                             {"SameKeyTwiceApart", R"({"b":1,"a":2,"c":3,"b":4})", Reason::kBadJson},
                             {"SameKeyTwiceSpeltWithAnEscape", R"({"a":1,"\u0061":2})", Reason::kBadJson},
                             {"SameKeyTwiceDeepInside", R"({"x":[{"y":{"a":1,"a":2}}]})", Reason::kBadJson},
                             {"EmptyKeyTwice", R"({"":1,"":2})", Reason::kBadJson},
                             {"LeadingSurrogateAlone", R"(["\ud800"])", Reason::kBadJson},
                             {"LeadingSurrogateBeforeText", R"(["\ud800x"])", Reason::kBadJson},
                             {"LeadingSurrogateBeforeAnEscape", R"(["\ud800\n"])", Reason::kBadJson},
                             {"LeadingSurrogateTwice", R"(["\ud800\ud800"])", Reason::kBadJson},
                             {"TrailingSurrogateAlone", R"(["\udc00"])", Reason::kBadJson},
                             {"SurrogateInAKey", R"({"\ud800":1})", Reason::kBadJson},
                             {"DeeperThanAllowed", Nested("[", "", "]", kMaxJsonDepth + 1), Reason::kBadJson},
                         }),
                         [](const auto& refused) { return std::string(refused.param.name); });

TEST(ParseJson, KeepsPlainIntegersAsIntegers) {
  for (const std::string text : {"0", "-1", "9223372036854775807", "-9223372036854775808"}) {
    const auto value = ParseJson(text);
    ASSERT_TRUE(value.ok()) << text;
    ASSERT_NE(value->AsInteger(), nullptr) << text;
    EXPECT_EQ(std::to_string(*value->AsInteger()), text);
  }
}

// J04: versions 1-5 hash and sign odd numbers as they were written.
TEST(ParseJson, KeepsTheTextOfOddNumbers) {
  for (const std::string text :
       {"-0", "1.0", "-0.0", "0.10", "1e5", "1E+2", "12e-07", "9223372036854775808", "-9223372036854775809",
        "18446744073709551615", "123456789012345678901234567890.5e3"}) {
    const auto value = ParseJson(" " + text + " ");
    ASSERT_TRUE(value.ok()) << text;
    ASSERT_NE(value->AsOddNumber(), nullptr) << text;
    EXPECT_EQ(value->AsOddNumber()->text, text);
  }
}

TEST(ParseJson, MakesSurrogatePairsOneCharacter) {
  EXPECT_EQ(*ParseJson(R"("\ud83d\ude00")")->AsString(), "\xf0\x9f\x98\x80");
}

TEST(ParseJson, NormalisesNoUnicode) { EXPECT_EQ(*ParseJson("\"e\xcc\x81\"")->AsString(), "e\xcc\x81"); }

TEST(ParseJson, KeepsNulCharacters) { EXPECT_EQ(*ParseJson(R"("a\u0000b")")->AsString(), std::string("a\0b", 3)); }

TEST(ParseJson, SortsMembersByCodePoint) {
  const auto value = ParseJson("{\"\xf0\x9f\x98\x80\":1,\"\xef\xbf\xbf\":2,\"b\":3,\"a\":4}");
  std::vector<std::string> keys;
  for (const JsonMember& member : *value->AsObject()) keys.push_back(member.key);
  EXPECT_THAT(keys, testing::ElementsAre("a", "b", "\xef\xbf\xbf", "\xf0\x9f\x98\x80"));
}

TEST(ParseJson, GivesEachObjectItsOwnMembers) {
  EXPECT_EQ(CanonicalJson(*ParseJson(R"({"b":{"z":[1,{"q":{}}],"a":[]},"a":{"b":{"c":2}}})")),
            R"({"a":{"b":{"c":2}},"b":{"a":[],"z":[1,{"q":{}}]}})");
}

void UseDeepDocuments() {
  for (const std::string& text : {Nested("[", "1", "]", kMaxJsonDepth), Nested("{\"a\":", "1", "}", kMaxJsonDepth)}) {
    const auto value = ParseJson(text);
    ASSERT_TRUE(value.ok());
    Json copy;
    copy = *value;
    EXPECT_TRUE(copy == *value);
    EXPECT_EQ(CanonicalJson(copy), text);
    EXPECT_TRUE(HasOnlyCanonicalNumbers(copy));
  }
}

// A peer may nest deeply: whatever we do with such a document fits half of a thread's usual stack, sanitizers included.
TEST(DeepJson, FitsHalfAStack) {
  pthread_attr_t attributes;
  ASSERT_EQ(pthread_attr_init(&attributes), 0);
  ASSERT_EQ(pthread_attr_setstacksize(&attributes, std::size_t{4} << 20), 0);
  pthread_t thread;
  const auto run = [](void*) -> void* {
    UseDeepDocuments();
    return nullptr;
  };
  ASSERT_EQ(pthread_create(&thread, &attributes, run, nullptr), 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

TEST(DeepJson, OfAnyDepthBuiltByHandNeedsNoStack) {
  Json deep;
  for (int i = 0; i < 300'000; ++i) {
    JsonArray around;
    around.push_back(std::move(deep));
    deep = Json(std::move(around));
  }
  const Json copy = deep;
  EXPECT_TRUE(copy == deep);
  EXPECT_EQ(CanonicalJson(copy).size(), 600'004U);
}

TEST(JsonObject, ReplacesTheMemberOfAKey) {
  JsonObject object;
  object.Set("b", 1);
  object.Set("a", 2);
  object.Set("b", "new");
  EXPECT_EQ(CanonicalJson(object), R"({"a":2,"b":"new"})");
}

TEST(JsonObject, ErasesWhatItHas) {
  JsonObject object;
  object.Set("a", 1);
  EXPECT_TRUE(object.Erase("a"));
  EXPECT_FALSE(object.Erase("a"));
  EXPECT_TRUE(object.empty());
}

TEST(Json, ReadsTheWrongKindAsNothing) {
  const Json text("1");
  EXPECT_EQ(text.AsInteger(), nullptr);
  EXPECT_EQ(text.AsBool(), nullptr);
  EXPECT_EQ(text.AsObject(), nullptr);
  EXPECT_FALSE(text.IsNull());
}

TEST(Json, TellsKindsApart) {
  EXPECT_FALSE(Json(true) == Json(1));
  EXPECT_FALSE(Json(1) == Json(OddNumber{"1.0"}));
  EXPECT_FALSE(Json() == Json(false));
}

}  // namespace
}  // namespace postern::matrix
