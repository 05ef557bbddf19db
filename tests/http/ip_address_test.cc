#include "http/ip_address.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <array>
#include <string>

namespace postern::http {
namespace {

struct AddressCase {
  const char* literal;
  bool is_public;
};

void PrintTo(const AddressCase& c, std::ostream* out) { *out << c.literal; }

class Address : public testing::TestWithParam<AddressCase> {};

TEST_P(Address, IsPublicOrNot) {
  const std::string literal = GetParam().literal;
  EXPECT_EQ(IsPublicAddress(literal), GetParam().is_public);
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  v4.sin_family = AF_INET;
  v6.sin6_family = AF_INET6;
  if (inet_pton(AF_INET, literal.c_str(), &v4.sin_addr) == 1) {
    EXPECT_EQ(IsPublicAddress(reinterpret_cast<const sockaddr&>(v4)), GetParam().is_public);
  } else if (inet_pton(AF_INET6, literal.c_str(), &v6.sin6_addr) == 1) {
    EXPECT_EQ(IsPublicAddress(reinterpret_cast<const sockaddr&>(v6)), GetParam().is_public);
  }
}

INSTANTIATE_TEST_SUITE_P(Ranges, Address,
                         testing::ValuesIn(std::to_array<AddressCase>({
                             {"0.0.0.0", false},
                             {"10.0.0.1", false},
                             {"100.63.255.255", true},
                             {"100.64.0.0", false},
                             {"100.127.255.255", false},
                             {"100.128.0.0", true},
                             {"127.0.0.1", false},
                             {"128.0.0.1", true},
                             {"169.254.169.254", false},
                             {"172.15.255.255", true},
                             {"172.16.0.1", false},
                             {"172.31.255.255", false},
                             {"172.32.0.0", true},
                             {"192.0.0.8", false},
                             {"192.0.2.1", false},
                             {"192.168.1.1", false},
                             {"192.167.1.1", true},
                             {"198.18.0.1", false},
                             {"198.19.255.255", false},
                             {"198.20.0.0", true},
                             {"198.51.100.7", false},
                             {"203.0.113.1", false},
                             {"8.8.8.8", true},
                             {"223.255.255.255", true},
                             {"224.0.0.1", false},
                             {"240.0.0.1", false},
                             {"255.255.255.255", false},
                             {"::", false},
                             {"::1", false},
                             {"fe80::1", false},
                             {"fc00::1", false},
                             {"fdff::1", false},
                             {"ff02::1", false},
                             {"2001:db8::1", false},
                             {"3fff::1", false},
                             {"2606:4700::1111", true},
                             {"2a00::1", true},
                             {"2001:4860:4860::8888", true},
                             {"::ffff:10.0.0.1", false},
                             {"::ffff:8.8.8.8", true},
                             {"::10.0.0.1", false},
                             {"64:ff9b::7f00:1", false},
                             {"64:ff9b::808:808", true},
                             {"64:ff9b:1::808:808", false},
                             {"2002:7f00:1::1", false},
                             {"2002:808:808::1", true},
                             {"2001:0:808:808::80ff:fffe", false},
                             {"2001:0:808:808::f7f7:f7f7", true},
                             {"4000::1", false},
                             {"name.example", false},
                             {"", false},
                             {"1.2.3", false},
                         })));

}  // namespace
}  // namespace postern::http
