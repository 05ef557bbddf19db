// Who is let in: a token on a port of this machine, names in certificates between the services.
#include "rpc/call_admission.h"

#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/time/clock.h"
#include "http/self_signed_certificate.h"
#include "matrix/refusal.h"
#include "rpc/bearer_token.h"
#include "rpc/channel.h"
#include "rpc/server_host.h"
#include "tests/rpc/telling_service.h"

namespace postern::rpc {
namespace {

using grpc::StatusCode;
using testing::HasSubstr;

constexpr const char* kToken = "0123456789abcdef-first";
constexpr const char* kOtherToken = "0123456789abcdef-other";
constexpr const char* kAuthorize = "/postern.validator.v1.Validator/Authorize";
constexpr const char* kHealthCheck = "/grpc.health.v1.Health/Check";

class CallAdmissionTest : public testing::Test {
 protected:
  CallAdmissionTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "postern-admission-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
  }
  ~CallAdmissionTest() override {
    server_ = nullptr;
    std::filesystem::remove_all(directory_);
  }

  std::string File(const std::string& name) const { return (directory_ / name).string(); }
  void Write(const std::string& name, const std::string& text) const { std::ofstream(File(name)) << text; }

  absl::Status Serve(const ServerOptions& options) {
    auto server = ServerHost::Start(options, {&service_});
    if (!server.ok()) return server.status();
    server_ = *std::move(server);
    return absl::OkStatus();
  }
  std::string Address() const { return "127.0.0.1:" + std::to_string(server_->port()); }

  /// Calls without a message; `authorization` is sent unless it is empty.
  grpc::Status Ask(const TransportSecurity& security, const std::string& authorization = "",
                   const char* method = kAuthorize) const {
    grpc::GenericStub stub(OpenChannel(Address(), security).value());
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(10)));
    if (!authorization.empty()) context.AddMetadata("authorization", authorization);
    grpc::Slice nothing;
    const grpc::ByteBuffer request(&nothing, 1);
    grpc::ByteBuffer response;
    grpc::Status status;
    grpc::CompletionQueue queue;
    const auto call = stub.PrepareUnaryCall(&context, method, request, &queue);
    call->StartCall();
    call->Finish(&response, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    return status;
  }

  std::filesystem::path directory_;
  telemetry::Metrics metrics_;
  TellingService service_{[](const CallContext&) { return absl::OkStatus(); }};
  std::unique_ptr<ServerHost> server_;
};

class Token : public CallAdmissionTest {
 protected:
  Token() {
    Write("token", std::string(kToken) + "\n");
    EXPECT_TRUE(Serve({.listen = "127.0.0.1:0",
                       .security = {.plaintext = true},
                       .admission = {.token_file = File("token")},
                       .metrics = &metrics_})
                    .ok());
  }
  StatusCode AskWith(const std::string& authorization, const char* method = kAuthorize) const {
    return Ask({.plaintext = true}, authorization, method).error_code();
  }
};

TEST_F(Token, LetsInWhoeverBringsIt) { EXPECT_EQ(AskWith(BearerOf(kToken)), StatusCode::OK); }

TEST_F(Token, KeepsOutWhoeverBringsNoneOrAnother) {
  const std::string right = BearerOf(kToken);
  for (const std::string& wrong : {std::string(), BearerOf(kOtherToken), right.substr(0, right.size() - 1), right + "x",
                                   std::string(kToken), BearerOf(""), std::string("Basic ") + kToken}) {
    EXPECT_EQ(AskWith(wrong), StatusCode::UNAUTHENTICATED) << wrong;
  }
  EXPECT_THAT(metrics_.Expose(), HasSubstr(R"(postern_calls_refused_total{check="token"} 7)"));
}

TEST_F(Token, IsAskedForByHealthToo) {
  EXPECT_EQ(AskWith("", kHealthCheck), StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(AskWith(BearerOf(kToken), kHealthCheck), StatusCode::OK);
}

TEST_F(Token, IsTheOneThatStandsInTheFileNow) {
  Write("token", kOtherToken);
  EXPECT_EQ(AskWith(BearerOf(kToken)), StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(AskWith(BearerOf(kOtherToken)), StatusCode::OK);
}

TEST_F(Token, LetsNobodyInWhileItCannotBeRead) {
  std::filesystem::remove(File("token"));
  EXPECT_EQ(AskWith(BearerOf(kToken)), StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(AskWith(BearerOf("")), StatusCode::UNAUTHENTICATED);
}

TEST_F(CallAdmissionTest, StartsWithNothingThatCannotBeAskedOfCallers) {
  Write("token", kToken);
  Write("short", "abc");
  Write("empty", "\n");
  const TransportSecurity plaintext{.plaintext = true};
  for (const ServerOptions& options : std::vector<ServerOptions>{
           {.listen = "127.0.0.1:0", .security = plaintext, .admission = {.token_file = File("none")}},
           {.listen = "127.0.0.1:0", .security = plaintext, .admission = {.token_file = File("short")}},
           {.listen = "127.0.0.1:0", .security = plaintext, .admission = {.token_file = File("empty")}},
           {.listen = "0.0.0.0:0", .security = plaintext, .admission = {.token_file = File("token")}},
           {.listen = "127.0.0.1:0", .security = plaintext, .admission = {.peers = {"gateway.svc"}}},
       }) {
    EXPECT_EQ(Serve(options).code(), absl::StatusCode::kInvalidArgument)
        << options.listen << " " << options.admission.token_file;
  }
}

/// A server whose authorities vouch for a gateway, an operator and a validator, and which two of them may call.
class PeerNames : public CallAdmissionTest {
 protected:
  PeerNames() {
    std::string authorities;
    for (const char* name : {"gateway.svc", "operator.svc", "validator.svc", "127.0.0.1"}) {
      const auto pem = http::MakeSelfSignedCertificate(name);
      EXPECT_TRUE(pem.ok() && http::WritePem(*pem, File(name), File(std::string(name) + ".key")).ok());
      authorities += pem->certificate;
    }
    Write("authorities", authorities);
    EXPECT_TRUE(Serve({.listen = "127.0.0.1:0",
                       .security = Party("127.0.0.1"),
                       .admission = {.peers = {"operator.svc", "gateway.svc"}},
                       .metrics = &metrics_})
                    .ok());
  }
  TransportSecurity Party(const std::string& name) const {
    return {.certificate_file = File(name), .key_file = File(name + ".key"), .ca_file = File("authorities")};
  }
};

TEST_F(PeerNames, LetThoseCallWhoAreNamed) {
  EXPECT_EQ(Ask(Party("gateway.svc")).error_code(), StatusCode::OK);
  EXPECT_EQ(Ask(Party("operator.svc"), "", kHealthCheck).error_code(), StatusCode::OK);
}

TEST_F(PeerNames, RefuseAnotherServiceOfTheSameAuthority) {
  for (const char* method : {kAuthorize, kHealthCheck}) {
    const grpc::Status refused = Ask(Party("validator.svc"), "", method);
    EXPECT_EQ(refused.error_code(), StatusCode::PERMISSION_DENIED);
    EXPECT_THAT(refused.error_message(), HasSubstr("names nobody who may call"));
  }
  EXPECT_THAT(metrics_.Expose(), HasSubstr(R"(postern_calls_refused_total{check="peer"} 2)"));
}

TEST_F(PeerNames, ReadToTheCallerAsAServiceThatIsNotThere) {
  const auto channel = OpenChannel(Address(), Party("validator.svc")).value();
  EXPECT_EQ(matrix::ReasonOf(Call(channel)), matrix::Reason::kValidatorDown);
}

TEST_F(PeerNames, AreAskedForBesideATokenWhereBothAre) {
  Write("token", kToken);
  ASSERT_TRUE(Serve({.listen = "127.0.0.1:0",
                     .security = Party("127.0.0.1"),
                     .admission = {.peers = {"operator.svc"}, .token_file = File("token")}})
                  .ok());
  EXPECT_EQ(Ask(Party("operator.svc"), BearerOf(kToken)).error_code(), StatusCode::OK);
  EXPECT_EQ(Ask(Party("operator.svc")).error_code(), StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(Ask(Party("gateway.svc"), BearerOf(kToken)).error_code(), StatusCode::PERMISSION_DENIED);
}

}  // namespace
}  // namespace postern::rpc
