#include "http/address_policy.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace postern::http {
namespace {

struct NetworkCase {
  const char* network;
  const char* literal;
  bool holds;
};

void PrintTo(const NetworkCase& c, std::ostream* out) { *out << c.network << " and " << c.literal; }

class Network : public testing::TestWithParam<NetworkCase> {};

TEST_P(Network, HoldsWhatBeginsAsItDoes) {
  const auto network = IpNetwork::Parse(GetParam().network);
  ASSERT_TRUE(network.ok()) << network.status();
  const AddressPolicy policy{.allow_private_networks = false, .allowed_networks = {*network}};
  EXPECT_EQ(policy.Allows(GetParam().literal), GetParam().holds);
}

INSTANTIATE_TEST_SUITE_P(Literals, Network,
                         testing::ValuesIn(std::to_array<NetworkCase>({
                             {"10.0.0.0/8", "10.255.0.1", true},
                             {"10.0.0.0/8", "11.0.0.1", true},  // public anyway
                             {"10.0.0.0/8", "192.168.0.1", false},
                             {"10.0.0.0/8", "::ffff:10.1.2.3", true},
                             {"10.0.0.0/8", "::ffff:192.168.0.1", false},
                             {"10.0.0.0/8", "64:ff9b::a01:203", false},
                             {"127.0.0.2", "127.0.0.2", true},
                             {"127.0.0.2", "127.0.0.3", false},
                             {"127.0.0.2/31", "127.0.0.3", true},
                             {"127.0.0.2/31", "127.0.0.4", false},
                             {"0.0.0.0/0", "169.254.169.254", true},
                             {"0.0.0.0/0", "::1", false},
                             {"::/0", "fe80::1", true},
                             {"::/0", "127.0.0.1", false},
                             {"::/0", "::ffff:127.0.0.1", false},
                             {"::1", "::1", true},
                             {"::1", "::", false},
                             {"fd00::/9", "fd7f::1", true},
                             {"fd00::/9", "fd80::1", false},
                             {"::ffff:10.0.0.0/104", "10.9.9.9", true},
                             {"::ffff:10.0.0.0/104", "172.16.0.1", false},
                             {"10.0.0.0/8", "no.literal", false},
                             {"10.0.0.0/8", "", false},
                         })));

TEST(NetworkText, IsReadStrictly) {
  const std::string with_null("10.0.0.1\0", 9);
  for (const std::string& text :
       {std::string("10.0.0.0/33"), std::string("10.0.0.1/8"), std::string("10.0.0.0/"), std::string("10.0.0.0/-1"),
        std::string("10.0.0.0/8x"), std::string("10.0.0/8"), std::string("::1/129"), std::string("::ffff:10.0.0.0/95"),
        std::string("a.example"), std::string("[::1]"), std::string(), with_null}) {
    EXPECT_FALSE(IpNetwork::Parse(text).ok()) << text;
  }
}

TEST(Policy, LetsPublicAddressesPassAndPrivateOnesOnlyOnRequest) {
  const AddressPolicy strict;
  EXPECT_TRUE(strict.Allows("8.8.8.8"));
  EXPECT_FALSE(strict.Allows("127.0.0.1"));
  const AddressPolicy open{.allow_private_networks = true};
  EXPECT_TRUE(open.Allows("127.0.0.1"));
}

}  // namespace
}  // namespace postern::http
