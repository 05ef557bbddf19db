#include "matrix/identifiers.h"

#include <string>

#include "gmock/gmock.h"
#include "matrix/refusal.h"

namespace postern::matrix {
namespace {

struct Name {
  std::string text;
  std::string host;
  std::optional<std::uint16_t> port;
  bool ip_literal = false;
};

TEST(ServerName, HasAHostAndMayHaveAPort) {
  const Name names[]{{"a.example", "a.example", std::nullopt},
                     {"a.example:8448", "a.example", 8448},
                     {"localhost", "localhost", std::nullopt},
                     {"A-b.C", "A-b.C", std::nullopt},
                     {"1.2.3.4", "1.2.3.4", std::nullopt, true},
                     {"1.2.3.4:1", "1.2.3.4", 1, true},
                     {"[::1]", "::1", std::nullopt, true},
                     {"[2001:DB8::1]:65535", "2001:DB8::1", 65535, true},
                     {"[::ffff:1.2.3.4]", "::ffff:1.2.3.4", std::nullopt, true},
                     {"1.2.3.256", "1.2.3.256", std::nullopt}};
  for (const Name& name : names) {
    const auto parsed = ServerName::Parse(name.text);
    ASSERT_TRUE(parsed.ok()) << name.text;
    EXPECT_EQ(parsed->text(), name.text);
    EXPECT_EQ(parsed->host(), name.host);
    EXPECT_EQ(parsed->port(), name.port) << name.text;
    EXPECT_EQ(parsed->IsIpLiteral(), name.ip_literal) << name.text;
  }
}

// X06
TEST(ServerName, RefusesWhatIsOutsideTheGrammar) {
  const std::string bad[]{"",
                          ":8448",
                          "a.example:",
                          "a.example:text",
                          "a.example:65536",
                          "a.example:123456",
                          "a.example:-1",
                          "a.example:80:80",
                          "a b",
                          "a_b",
                          "a.example/",
                          "user@a.example",
                          "[::1",
                          "::1",
                          "[]",
                          "[g::1]",
                          "[1.2.3.4]",
                          "[::1]x",
                          "[::1%eth0]",
                          std::string("a\0b", 3),
                          "\xc3\xa9.example",
                          std::string(256, 'a')};
  for (const std::string& text : bad) {
    const auto parsed = ServerName::Parse(text);
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_EQ(ReasonOf(parsed.status()), Reason::kInvalidArgument);
  }
}

// X06: the domain keeps its port and its brackets.
TEST(UserId, SplitsAtTheFirstColon) {
  const auto user = UserId::Parse("@ann:[::1]:8448");
  ASSERT_TRUE(user.ok());
  EXPECT_EQ(user->localpart(), "ann");
  EXPECT_EQ(user->server().text(), "[::1]:8448");
}

TEST(UserId, AcceptsHistoricalLocalparts) {
  for (const char* text : {"@Ann!:a.example", "@\xc3\xa9:a.example", "@:a.example", "@a/b c:a.example"}) {
    EXPECT_TRUE(IsUserId(text)) << text;
  }
}

TEST(UserId, RefusesOtherText) {
  for (const std::string text : {"", "@", "ann:a.example", "@ann", "@ann:", "@ann:a b", "#ann:a.example"}) {
    EXPECT_FALSE(IsUserId(text)) << text;
  }
  EXPECT_FALSE(IsUserId(std::string("@a\0b:a.example", 14)));
  EXPECT_TRUE(IsUserId("@" + std::string(244, 'a') + ":b.example"));
  EXPECT_FALSE(IsUserId("@" + std::string(245, 'a') + ":b.example"));
}

TEST(DomainOf, IsWhatFollowsTheFirstColon) {
  EXPECT_EQ(DomainOf("@ann:h:8448"), "h:8448");
  EXPECT_EQ(DomainOf("$hash"), "");
}

TEST(IsRoomId, TakesBothForms) {
  EXPECT_TRUE(IsRoomId("!room:a.example"));
  EXPECT_TRUE(IsRoomId("!" + std::string(43, 'A')));
  for (const char* text : {"", "!", "room:a.example", "!room", "!room:", "!AAAA"}) EXPECT_FALSE(IsRoomId(text)) << text;
}

TEST(IsRoomAlias, NeedsANameAndAServer) {
  EXPECT_TRUE(IsRoomAlias("#x:a.example"));
  EXPECT_TRUE(IsRoomAlias("#caf\u00e9 and tea:a.example:8448"));
  for (const char* text : {"", "#", "#x", "#x:", "#:a.example", "x:a.example", "!x:a.example", "#x:a.example/"}) {
    EXPECT_FALSE(IsRoomAlias(text)) << text;
  }
  EXPECT_FALSE(IsRoomAlias("#" + std::string(246, 'x') + ":a.example"));
  EXPECT_TRUE(IsRoomAlias("#" + std::string(244, 'x') + ":a.example"));
}

TEST(IsEventId, NeedsASigilAndSomething) {
  EXPECT_TRUE(IsEventId("$x"));
  EXPECT_TRUE(IsEventId("$x:a.example"));
  EXPECT_FALSE(IsEventId("$"));
  EXPECT_FALSE(IsEventId("x"));
  EXPECT_FALSE(IsEventId("$" + std::string(255, 'x')));
}

}  // namespace
}  // namespace postern::matrix
