// m.room.server_acl (pitfalls R04, R05).
#include "matrix/server_acl.h"

#include <gtest/gtest.h>

#include "tests/support/room_builder.h"

namespace postern::matrix {
namespace {

using support::Object;

struct AclCase {
  std::string name;
  std::string content;
  std::string server = "b.example";
  bool passes = false;
};

class ServerAcl : public testing::TestWithParam<AclCase> {};

INSTANTIATE_TEST_SUITE_P(
    R04R05, ServerAcl,
    testing::ValuesIn(std::vector<AclCase>{
        {.name = "AllowAll", .content = R"({"allow":["*"]})", .passes = true},
        {.name = "DenyBeforeAllow", .content = R"({"allow":["*"],"deny":["b.example"]})"},
        {.name = "DenyByGlob", .content = R"({"allow":["*"],"deny":["*.example"]})"},
        {.name = "DenyOfAnother", .content = R"({"allow":["*"],"deny":["c.example"]})", .passes = true},
        {.name = "NoAllow", .content = R"({"deny":[]})"},
        {.name = "EmptyAllow", .content = R"({"allow":[]})"},
        {.name = "AllowNoList", .content = R"({"allow":"*"})"},
        {.name = "NonStringsSkipped", .content = R"({"allow":[1,null,"*"],"deny":[{},true]})", .passes = true},
        {.name = "DenyNoListIsNone", .content = R"({"allow":["*"],"deny":"*"})", .passes = true},
        {.name = "WholeName", .content = R"({"allow":["b.exam"]})"},
        {.name = "WholeNameAtTheStart", .content = R"({"allow":["example"]})"},
        {.name = "QuestionMark", .content = R"({"allow":["?.example"]})", .passes = true},
        {.name = "QuestionMarkIsOne", .content = R"({"allow":["?b.example"]})"},
        {.name = "OtherSignsAreThemselves", .content = R"({"allow":["b[.]example"]})"},
        {.name = "CaseOfPattern", .content = R"({"allow":["*"],"deny":["B.EXAMPLE"]})"},
        {.name = "CaseOfName", .content = R"({"allow":["*"],"deny":["b.example"]})", .server = "B.Example"},
        {.name = "PortDoesNotCount", .content = R"({"allow":["*"],"deny":["b.example"]})", .server = "b.example:8448"},
        {.name = "PortInPatternMatchesNothing",
         .content = R"({"allow":["b.example:8448"]})",
         .server = "b.example:8448"},
        {.name = "Ipv4Allowed", .content = R"({"allow":["*"]})", .server = "1.2.3.4", .passes = true},
        {.name = "Ipv4Refused", .content = R"({"allow":["*"],"allow_ip_literals":false})", .server = "1.2.3.4:8448"},
        {.name = "Ipv6Refused", .content = R"({"allow":["*"],"allow_ip_literals":false})", .server = "[::1]"},
        {.name = "Ipv6WithPortRefused",
         .content = R"({"allow":["*"],"allow_ip_literals":false})",
         .server = "[::1]:8448"},
        {.name = "OddLiteralsIsTrue",
         .content = R"({"allow":["*"],"allow_ip_literals":"false"})",
         .server = "1.2.3.4",
         .passes = true},
        {.name = "Ipv6ByName", .content = R"({"allow":["*"],"deny":["[::1]"]})", .server = "[::1]:8448"},
        {.name = "NameWhereLiteralsRefused", .content = R"({"allow":["*"],"allow_ip_literals":false})", .passes = true},
    }),
    [](const auto& tested) { return tested.param.name; });

TEST_P(ServerAcl, IsEvaluatedAsTheSpecificationSays) {
  const AclCase& c = GetParam();
  EXPECT_EQ(PassesServerAcl(Object(c.content), *ServerName::Parse(c.server)), c.passes);
}

TEST(ServerAclGlobs, AreNoBomb) {
  std::string pattern;
  for (int i = 0; i < 20000; ++i) pattern += "*a";
  JsonObject content;
  content.Set("allow", Json(JsonArray{Json(pattern + "*b")}));
  EXPECT_FALSE(
      PassesServerAcl(content, *ServerName::Parse(std::string(200, 'a'))));  // in no time, or the test times out
}

}  // namespace
}  // namespace postern::matrix
