// What an operator may set for the way to other servers, and what is refused.
#include "services/gateway/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace postern::gateway {
namespace {

using configuration::Start;

Start Read(std::vector<const char*> flags, GatewayConfig& config) {
  std::vector<const char*> arguments{"postern-gateway", "--server-name", "here.example", "--signing-key-file", "a.key"};
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  return ReadConfig(static_cast<int>(arguments.size()), arguments.data(), config);
}

TEST(Config, ReachesNothingPrivateUnlessToldTo) {
  GatewayConfig config;
  ASSERT_EQ(Read({}, config), Start::kRun);
  EXPECT_FALSE(config.allow_private_networks);
  EXPECT_TRUE(config.allowed_networks.empty());
  EXPECT_TRUE(config.dns_servers.empty());
}

TEST(Config, TakesNetworksAndDnsServers) {
  GatewayConfig config;
  ASSERT_EQ(
      Read({"--allowed-networks", "10.20.0.0/16,fd00::/8", "--dns-servers", "192.0.2.53,[2001:db8::53]:5353"}, config),
      Start::kRun);
  ASSERT_EQ(config.allowed_networks.size(), 2U);
  const http::AddressPolicy policy{.allowed_networks = config.allowed_networks};
  EXPECT_TRUE(policy.Allows("10.20.3.4"));
  EXPECT_TRUE(policy.Allows("fd12::1"));
  EXPECT_FALSE(policy.Allows("10.21.0.1"));
  EXPECT_THAT(config.dns_servers, testing::ElementsAre("192.0.2.53", "[2001:db8::53]:5353"));
}

TEST(Config, AsksNothingOfOperatorsThatCannotBeAsked) {
  GatewayConfig config;
  ASSERT_EQ(Read({"--plaintext", "--admin-token-file", "token"}, config), Start::kRun);
  EXPECT_EQ(config.callers.token_file, "token");
  for (const std::vector<const char*>& flags : std::vector<std::vector<const char*>>{
           {"--plaintext", "--allowed-peers", "operator.svc"},
           {"--plaintext", "--admin-token-file", "token", "--admin-grpc-listen", "127.0.0.5:7103"},
           {"--admin-token-file", "token", "--admin-grpc-listen", "0.0.0.0:7103"},
       }) {
    GatewayConfig refused;
    EXPECT_EQ(Read(flags, refused), Start::kExitError) << flags.back();
  }
}

TEST(Config, RefusesWhatIsNoNetworkAndNoAddress) {
  for (const std::vector<const char*>& flags : std::vector<std::vector<const char*>>{
           {"--allowed-networks", "10.20.0.1/16"},
           {"--allowed-networks", "10.20.0.0/16,inner.example"},
           {"--dns-servers", "dns.example"},
           {"--dns-servers", "192.0.2.53:port"},
           {"--dns-servers", "2001:db8::53"},
       }) {
    GatewayConfig config;
    EXPECT_EQ(Read(flags, config), Start::kExitError) << flags.back();
  }
}

}  // namespace
}  // namespace postern::gateway
