// Services believe each other by certificate: a peer that the other's authorities do not vouch for gets nowhere.
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/time/clock.h"
#include "http/self_signed_certificate.h"
#include "rpc/channel.h"
#include "rpc/server_host.h"
#include "tests/rpc/telling_service.h"

namespace postern::rpc {
namespace {

class MutualTls : public testing::Test {
 protected:
  MutualTls() {
    std::string pattern = (std::filesystem::temp_directory_path() / "postern-mtls-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
    for (const char* name : {"server", "client", "stranger"}) Write(name);
  }
  ~MutualTls() override { std::filesystem::remove_all(directory_); }

  // A certificate that is its own authority.
  void Write(const std::string& name) const {
    const auto pem = http::MakeSelfSignedCertificate("127.0.0.1");
    ASSERT_TRUE(pem.ok() && http::WritePem(*pem, File(name), File(name + ".key")).ok());
  }
  std::string File(const std::string& name) const { return (directory_ / name).string(); }

  TransportSecurity Party(const std::string& name, const std::string& believes) const {
    return {.certificate_file = File(name),
            .key_file = File(name + ".key"),
            .ca_file = File(believes),
            .check_interval = absl::Seconds(1)};
  }

  void Serve(const TransportSecurity& security) {
    server_ = ServerHost::Start({.listen = "127.0.0.1:0", .security = security}, {&service_}).value();
  }
  absl::Status CallAs(const TransportSecurity& security) const {
    return Call(OpenChannel("127.0.0.1:" + std::to_string(server_->port()), security).value());
  }

  std::filesystem::path directory_;
  TellingService service_{[](const CallContext&) { return absl::OkStatus(); }};
  std::unique_ptr<ServerHost> server_;
};

TEST_F(MutualTls, LetsThemSpeakWhoBelieveEachOther) {
  Serve(Party("server", "client"));
  EXPECT_TRUE(CallAs(Party("client", "server")).ok());
}

TEST_F(MutualTls, RefusesACallerThatTheServerDoesNotBelieve) {
  Serve(Party("server", "client"));
  EXPECT_FALSE(CallAs(Party("stranger", "server")).ok());
}

TEST_F(MutualTls, RefusesAServerThatTheCallerDoesNotBelieve) {
  Serve(Party("stranger", "client"));
  EXPECT_FALSE(CallAs(Party("client", "server")).ok());
}

TEST_F(MutualTls, RefusesPlaintext) {
  Serve(Party("server", "client"));
  EXPECT_FALSE(CallAs({.plaintext = true}).ok());
}

TEST_F(MutualTls, BelievesNewAuthoritiesWithoutARestart) {
  Serve(Party("server", "client"));
  ASSERT_FALSE(CallAs(Party("stranger", "server")).ok());
  std::filesystem::copy(File("stranger"), File("client"), std::filesystem::copy_options::overwrite_existing);
  const absl::Time patience = absl::Now() + absl::Seconds(20);
  while (!CallAs(Party("stranger", "server")).ok() && absl::Now() < patience) {
  }
  EXPECT_TRUE(CallAs(Party("stranger", "server")).ok());
}

TEST_F(MutualTls, NeedsEveryFileOrThePlainWish) {
  const auto code_of = [](const TransportSecurity& security) {
    return MakeServerCredentials(security).status().code();
  };
  EXPECT_EQ(code_of({}), absl::StatusCode::kInvalidArgument);
  TransportSecurity party = Party("server", "client");
  party.ca_file = File("nothing");
  EXPECT_EQ(code_of(party), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(MakeChannelCredentials(party).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code_of({.plaintext = true}), absl::StatusCode::kOk);
}

}  // namespace
}  // namespace postern::rpc
