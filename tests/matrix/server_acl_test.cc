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
        {.name = "DenyBeforeAllowOfTheVeryName", .content = R"({"allow":["b.example"],"deny":["b.example"]})"},
        {.name = "NoContent", .content = R"({})"},  // redacted, say: nobody may
        {.name = "AllowIsNull", .content = R"({"allow":null})"},
        {.name = "AllowOfNonStringsOnly", .content = R"({"allow":[true,{"*":"*"},["*"]]})"},
        {.name = "UnknownKeysDoNotCount", .content = R"({"allow":["*"],"denied":["*"]})", .passes = true},
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
        {.name = "EmptyPatternMatchesNothing", .content = R"({"allow":[""]})"},
        {.name = "ASubdomainIsAnotherName",
         .content = R"({"allow":["*"],"deny":["b.example"]})",
         .server = "a.b.example",
         .passes = true},
        {.name = "SubdomainsByGlob", .content = R"({"allow":["*"],"deny":["*.b.example"]})", .server = "a.b.example"},
        {.name = "SubdomainsAreNotTheName", .content = R"({"allow":["*"],"deny":["*.b.example"]})", .passes = true},
        {.name = "Ipv4Allowed", .content = R"({"allow":["*"]})", .server = "1.2.3.4", .passes = true},
        {.name = "Ipv4Refused", .content = R"({"allow":["*"],"allow_ip_literals":false})", .server = "1.2.3.4:8448"},
        {.name = "Ipv6Refused", .content = R"({"allow":["*"],"allow_ip_literals":false})", .server = "[::1]"},
        {.name = "Ipv6WithPortRefused",
         .content = R"({"allow":["*"],"allow_ip_literals":false})",
         .server = "[::1]:8448"},
        {.name = "Ipv6Allowed", .content = R"({"allow":["*"]})", .server = "[2001:db8::1]:8448", .passes = true},
        {.name = "Ipv6ByNameInAnotherCase",
         .content = R"({"allow":["*"],"deny":["[2001:DB8::*]"]})",
         .server = "[2001:db8::1]"},
        {.name = "Ipv4ByNameWithPort", .content = R"({"allow":["*"],"deny":["1.2.3.4"]})", .server = "1.2.3.4:8448"},
        {.name = "LiteralsAllowedStillNeedAllow",
         .content = R"({"allow":["*.example"],"allow_ip_literals":true})",
         .server = "1.2.3.4"},
        {.name = "NumbersThatAreNoAddress",
         .content = R"({"allow":["*"],"allow_ip_literals":false})",
         .server = "1.2.3",
         .passes = true},
        {.name = "LiteralsNullIsTrue",
         .content = R"({"allow":["*"],"allow_ip_literals":null})",
         .server = "[::1]",
         .passes = true},
        {.name = "LiteralsZeroIsTrue",
         .content = R"({"allow":["*"],"allow_ip_literals":0})",
         .server = "1.2.3.4",
         .passes = true},
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

}  // namespace
}  // namespace postern::matrix
