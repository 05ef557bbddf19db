// What an operator may set for the way to other servers, and what is refused.
#include "services/gateway/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "http/self_signed_certificate.h"
#include "matrix/base64.h"
#include "matrix/signature.h"

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
           {"--allowed-peers", "https://operator.svc"},
           {"--allowed-peers", "operator.svc:7103"},
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

/// Files that --check-config reads, all good, and what is printed of others.
class CheckedFiles : public testing::Test {
 protected:
  CheckedFiles() : directory_(testing::TempDir() + "/postern_checked_" + std::to_string(getpid())) {
    std::filesystem::create_directories(directory_);
    for (const std::string name : {"a", "b"}) {
      const auto pem = http::MakeSelfSignedCertificate(name + ".example");
      EXPECT_TRUE(http::WritePem(*pem, At(name + ".crt"), At(name + ".key")).ok());
    }
    Write("signing.key", "ed25519 a_AbCd " + matrix::EncodeBase64(std::string(matrix::kSeedBytes, 'h')) + "\n");
    Write("signing.bad", "ed25519 a_AbCd seed\n");
    Write("old.bad", "ed25519:a_old key\n");
    Write("token", "0123456789abcdef\n");
    Write("token.bad", "short\n");
  }
  ~CheckedFiles() override { std::filesystem::remove_all(directory_); }

  std::string At(const std::string& name) const { return directory_ + "/" + name; }
  void Write(const std::string& name, const std::string& text) const { std::ofstream(At(name)) << text; }

  /// What --check-config says of good settings with one otherwise, if `setting` is given.
  Start Check(const std::string& setting, const std::string& file, std::string& mistakes,
              bool with_files = true) const {
    std::map<std::string, std::string> settings{{"--signing-key-file", At("signing.key")},
                                                {"--certificate-file", At("a.crt")},
                                                {"--key-file", At("a.key")},
                                                {"--ca-file", At("b.crt")},
                                                {"--admin-token-file", At("token")},
                                                {"--tls-certificate-file", At("b.crt")},
                                                {"--tls-key-file", At("b.key")},
                                                {"--federation-ca-file", At("a.crt")}};
    if (!setting.empty()) settings[setting] = At(file);
    std::vector<std::string> arguments{"postern-gateway", "--check-config", "--server-name", "here.example"};
    if (!with_files) arguments.emplace_back("--without-files");
    for (const auto& [flag, value] : settings) arguments.insert(arguments.end(), {flag, value});
    std::vector<const char*> argv;
    for (const std::string& argument : arguments) argv.push_back(argument.c_str());
    GatewayConfig config;
    testing::internal::CaptureStderr();
    testing::internal::CaptureStdout();
    const Start start = ReadConfig(static_cast<int>(argv.size()), argv.data(), config);
    testing::internal::GetCapturedStdout();
    mistakes = testing::internal::GetCapturedStderr();
    return start;
  }

  const std::string directory_;
};

TEST_F(CheckedFiles, AreGoodOrNamedWithTheirSetting) {
  struct FileCase {
    const char* setting;
    const char* file;
    const char* mistake;
  };
  std::string mistakes;
  EXPECT_EQ(Check("", "", mistakes), Start::kExitOk) << mistakes;
  for (const FileCase& c : {
           FileCase{"--signing-key-file", "none", "signing key file .*none' cannot be read"},
           FileCase{"--signing-key-file", "signing.bad",
                    "signing key file, line 1: the seed is not base64 of 32 bytes"},
           FileCase{"--old-verify-keys-file", "old.bad", "old_verify_keys: expected .*a_old key"},
           FileCase{"--old-verify-keys-file", "none", "old_verify_keys_file .*none' cannot be read"},
           FileCase{"--tls-key-file", "a.key", "--tls-key-file: tls_key_file: .*is not the key of the certificate"},
           FileCase{"--tls-certificate-file", "none", "--tls-certificate-file: tls_certificate_file: .*none"},
           FileCase{"--key-file", "b.key", "--key-file: key_file: .*is not the key of the certificate"},
           FileCase{"--ca-file", "a.key", "--ca-file: ca_file: .*holds no PEM certificate"},
           FileCase{"--federation-ca-file", "none", "--federation-ca-file: federation_ca_file: .*none"},
           FileCase{"--otlp-ca-file", "token", "--otlp-ca-file: otlp_ca_file: .*token"},
           FileCase{"--admin-token-file", "token.bad", "token.bad"},
       }) {
    SCOPED_TRACE(c.mistake);
    EXPECT_EQ(Check(c.setting, c.file, mistakes), Start::kExitError);
    EXPECT_THAT(mistakes, testing::ContainsRegex(c.mistake));
    EXPECT_EQ(std::count(mistakes.begin(), mistakes.end(), '\n'), 1) << mistakes;
    EXPECT_EQ(Check(c.setting, c.file, mistakes, /*with_files=*/false), Start::kExitOk) << mistakes;
  }
}

}  // namespace
}  // namespace postern::gateway
