#include "http/http_message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postern::http {
namespace {

TEST(Headers, AreFoundWithoutCaseAndInOrder) {
  const Headers headers{{"A", "1"}, {"b", "2"}, {"a", "3"}};
  EXPECT_EQ(FindHeader(headers, "a"), "1");
  EXPECT_EQ(FindHeader(headers, "B"), "2");
  EXPECT_EQ(FindHeader(headers, "c"), std::nullopt);
  EXPECT_THAT(FindHeaders(headers, "A"), testing::ElementsAre("1", "3"));
}

TEST(Target, HasAPathBeforeTheQuery) {
  EXPECT_EQ(PathOf("/a/%2F?b?c"), "/a/%2F");
  EXPECT_EQ(PathOf("/a"), "/a");
  EXPECT_EQ(PathOf("?"), "");
}

TEST(PercentDecode, ReadsEscapesAndNothingElse) {
  EXPECT_EQ(PercentDecode("%21a%2fb+c%00"), std::string("!a/b+c\0", 7));
  for (const char* broken : {"%", "a%2", "%zz", "%2g", "%%20"})
    EXPECT_EQ(PercentDecode(broken), std::nullopt) << broken;
}

TEST(PercentEncode, LeavesUnreservedCharactersAlone) {
  EXPECT_EQ(PercentEncode("!r:a.b-c_d~9/ \xff"), "%21r%3Aa.b-c_d~9%2F%20%FF");
  EXPECT_EQ(PercentDecode(PercentEncode("$\x01@é")), "$\x01@é");
}

TEST(Query, AParameterMayComeSeveralTimes) {
  const std::string_view target = "/a?ver=1&x=ver&v%65r=org%2Eexample&ver=%zz&ver&verb=2&ver=%2B+";
  EXPECT_EQ(QueryParameters(target, "ver"), (std::vector<std::string>{"1", "org.example", "", "++"}));
  EXPECT_EQ(QueryParameter(target, "ver"), "1");
  EXPECT_EQ(QueryParameters(target, "y"), std::vector<std::string>());
  EXPECT_EQ(QueryParameter("/a", "ver"), std::nullopt);
  EXPECT_EQ(QueryParameter("/a?ver=%zz&ver=1", "ver"), std::nullopt);
}

}  // namespace
}  // namespace postern::http
