// The gateway as its process runs it, on real sockets: the fake store and the validator behind gRPC, the remote
// server's keys behind TLS.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "http/http_client.h"
#include "matrix/base64.h"
#include "matrix/canonical_json.h"
#include "matrix/event_id.h"
#include "postern/gateway/v1/admin.grpc.pb.h"
#include "rpc/channel.h"
#include "rpc/server_host.h"
#include "services/gateway/gateway.h"
#include "services/validator/validator_service.h"
#include "services/validator/validator_together_service.h"
#include "tests/gateway/hanging_validator.h"
#include "tests/gateway/key_endpoint.h"
#include "tests/gateway/played_dns.h"
#include "tests/gateway/tls_host.h"
#include "tests/support/served_fake_store.h"

namespace postern::gateway {
namespace {

class WholeGateway : public testing::Test {
 protected:
  WholeGateway() {
    config_.server_name = kOurName;
    config_.listen = config_.admin_listen = config_.admin_grpc_listen = "127.0.0.1:0";
    config_.between_services.plaintext = true;
    config_.allow_private_networks = true;
    config_.federation_ca_file = endpoint_.certificate();
    config_.signing_key_file = testing::TempDir() + "/postern_gateway_" + std::to_string(getpid()) + ".key";
    std::ofstream(config_.signing_key_file)
        << "ed25519 h1 " << matrix::EncodeBase64(std::string(matrix::kSeedBytes, 'h')) << '\n';
    validator_host_ = Serve({&validator_service_, &validator_together_});
    config_.store = store_.address();
    config_.validator = "127.0.0.1:" + std::to_string(validator_host_->port());
  }
  ~WholeGateway() override {
    client_.reset();  // lets go of the connections that it keeps: the gateway need not wait for them
    gateway_ = nullptr;
    validator_host_->Shutdown(absl::Now() + absl::Seconds(5));
    workers_.Drain();
    std::remove(config_.signing_key_file.c_str());
  }

  std::unique_ptr<rpc::ServerHost> Serve(const std::vector<grpc::Service*>& services) {
    rpc::ServerOptions options;
    options.listen = "127.0.0.1:0";
    options.security.plaintext = true;
    auto host = rpc::ServerHost::Start(options, services);
    EXPECT_TRUE(host.ok()) << host.status();
    return std::move(*host);
  }
  void Start() {
    auto gateway = Gateway::Start(config_);
    ASSERT_TRUE(gateway.ok()) << gateway.status();
    gateway_ = std::move(*gateway);
  }

  http::Response Send(const http::Request& request, int port) {
    http::ClientRequest out;
    out.method = request.method;
    out.url = "http://127.0.0.1:" + std::to_string(port) + request.target;
    out.headers = request.headers;
    out.body = request.body;
    auto response = client_->Send(out);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? *response : http::Response{.status = 0, .headers = {}, .body = {}};
  }
  /// The other server publishes its keys, and signs invites of its users.
  void PlayRemote() {
    endpoint_.AnswerBy([&remote = remote_](const http::Request& request) -> http::Response {
      if (request.method == "GET") {
        return {.status = 200,
                .headers = {},
                .body = matrix::CanonicalJson(remote.KeyDocument(absl::Now() + absl::Hours(1)))};
      }
      matrix::JsonObject content = ObjectOrDie(request.body);
      const auto& rules = *matrix::FindRoomRules(*content.Find("room_version")->AsString());
      matrix::JsonObject answer;
      answer.Set("event", *content.Find("event"));
      matrix::SignEvent(*answer.Find("event")->AsObject(), remote.name(), remote.key(), rules);
      return {.status = 200, .headers = {}, .body = matrix::CanonicalJson(answer)};
    });
  }
  http::Response Federate(const http::Request& request) { return Send(request, gateway_->federation_port()); }
  http::Response Operate(std::string path) {
    http::Request request;
    request.method = "GET";
    request.target = std::move(path);
    return Send(request, gateway_->admin_port());
  }
  bool BecomesReady(bool ready) {
    for (const absl::Time until = absl::Now() + absl::Seconds(20); absl::Now() < until; std::this_thread::yield()) {
      if ((Operate("/readyz").status == 200) == ready) return true;
    }
    return false;
  }

  std::unique_ptr<v1::Admin::Stub> Admin() {
    return v1::Admin::NewStub(
        *rpc::OpenChannel("127.0.0.1:" + std::to_string(gateway_->grpc_port()), {.plaintext = true}));
  }
  std::string MakeRoom(const std::string& version) {
    grpc::ClientContext context;
    v1::CreateRoomRequest create;
    v1::CreateRoomResponse room;
    create.set_room_version(version);
    create.set_creator("@boss:here.example");
    EXPECT_TRUE(Admin()->CreateRoom(&context, create, &room).ok());
    return room.room_id();
  }
  void Invite(const std::string& room, const std::string& user) {
    grpc::ClientContext context;
    v1::InviteRequest invite;
    v1::Minted minted;
    invite.set_room_id(room);
    invite.set_user_id(user);
    EXPECT_TRUE(Admin()->Invite(&context, invite, &minted).ok());
  }

  /// A leave, and what stands behind the endpoint's name in its path.
  struct SignedLeave {
    matrix::Json content;
    std::string path;
  };
  /// From the gateway's template.
  SignedLeave MakeLeave(const std::string& room, const std::string& user, const std::string& version) {
    const std::string at = http::PercentEncode(room) + "/";
    const auto made = Federate(
        remote_.Request("GET", "/_matrix/federation/v1/make_leave/" + at + http::PercentEncode(user), nullptr));
    EXPECT_EQ(made.status, 200) << made.body;
    const auto& rules = *matrix::FindRoomRules(version);
    matrix::JsonObject event = *ObjectOrDie(made.body).Find("event")->AsObject();
    if (version == "1") event.Set("event_id", "$leave:" + remote_.name());
    event = remote_.Complete(std::move(event), rules);
    return {matrix::Json(event), at + http::PercentEncode(matrix::ComputeEventId(event, rules))};
  }
  http::Response SendLeave(const std::string& api, const SignedLeave& leave) {
    return Federate(remote_.Request("PUT", "/_matrix/federation/" + api + "/send_leave/" + leave.path, &leave.content));
  }

  static http::ClientOptions Loopback() {
    http::ClientOptions options;
    options.allow_private_networks = true;
    return options;
  }

  telemetry::Metrics metrics_;
  rpc::WorkerPool workers_{4, 256};
  support::ServedFakeStore store_{std::string(kOurName)};
  validator::ValidatorService validator_service_{workers_, metrics_, absl::Now};
  validator::ValidatorTogetherService validator_together_{workers_, metrics_, absl::Now};
  std::unique_ptr<rpc::ServerHost> validator_host_;
  KeyEndpoint endpoint_;
  const RemoteServer remote_{endpoint_.name()};
  std::optional<http::HttpClient> client_{Loopback()};
  GatewayConfig config_;
  std::unique_ptr<Gateway> gateway_;
};

TEST_F(WholeGateway, ServesALeaveFromAdminCallToCommit) {
  Start();
  PlayRemote();
  const std::string user = "@ann:" + remote_.name();
  for (const std::string version : {"1", "6", "10", "12"}) {
    const std::string room = MakeRoom(version);
    Invite(room, user);
    const SignedLeave leave = MakeLeave(room, user, version);
    EXPECT_EQ(SendLeave("v2", leave).body, "{}");
    EXPECT_EQ(SendLeave("v1", leave).body, "[200,{}]");
  }
  EXPECT_THAT(Operate("/metrics").body, testing::HasSubstr("postern_gateway_rpc_seconds"));
  EXPECT_THAT(Operate("/metrics").body,
              testing::HasSubstr(R"(postern_gateway_signing_key_info{key_id="ed25519:h1"} 1)"));
  EXPECT_THAT(Operate("/metrics").body, testing::HasSubstr("postern_gateway_requests_under_way 0"));
}

TEST_F(WholeGateway, WantsTheTokenOfAdminCallsAloneAndTakesANewOneAtOnce) {
  config_.callers.token_file = config_.signing_key_file + ".token";
  std::ofstream(config_.callers.token_file) << "first-0123456789abcdef\n";
  Start();
  const auto admin = Admin();
  const auto reload_with = [&admin](const std::string& authorization) {
    grpc::ClientContext context;
    if (!authorization.empty()) context.AddMetadata("authorization", authorization);
    v1::ReloadSigningKeysResponse response;
    return admin->ReloadSigningKeys(&context, {}, &response).error_code();
  };
  EXPECT_EQ(reload_with(""), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(reload_with("Bearer first-0123456789abcdef"), grpc::StatusCode::OK);
  for (const char* open : {"/livez", "/metrics"}) EXPECT_EQ(Operate(open).status, 200) << open;
  EXPECT_EQ(Operate("/readyz").status, 503);  // store and validator do not serve: not a matter of tokens
  std::ofstream(config_.callers.token_file) << "second-0123456789abcdef\n";
  EXPECT_EQ(reload_with("Bearer first-0123456789abcdef"), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(reload_with("Bearer second-0123456789abcdef"), grpc::StatusCode::OK);
  std::remove(config_.callers.token_file.c_str());
}

TEST_F(WholeGateway, SignsWithWhatItsKeyFileHoldsWhenThatChanges) {
  const auto line = [](const std::string& version, char seed) {
    return "ed25519 " + version + " " + matrix::EncodeBase64(std::string(matrix::kSeedBytes, seed)) + "\n";
  };
  const auto public_key = [](char seed) {
    return matrix::EncodeBase64(
        matrix::SigningKey::FromSeed("ed25519:x", std::string(matrix::kSeedBytes, seed))->public_key());
  };
  const auto write = [this](const std::string& text) {  // in one step
    std::ofstream(config_.signing_key_file + ".new") << text;
    std::filesystem::rename(config_.signing_key_file + ".new", config_.signing_key_file);
  };
  const auto published = [this] {
    http::Request keys;
    keys.method = "GET";
    keys.target = "/_matrix/key/v2/server";
    return Federate(keys).body;
  };
  const auto becomes = [this](const std::string& series) {
    for (const absl::Time until = absl::Now() + absl::Seconds(20); absl::Now() < until; std::this_thread::yield()) {
      if (Operate("/metrics").body.find(series) != std::string::npos) return true;
    }
    return false;
  };
  config_.old_verify_keys = {"ed25519:h1 " + public_key('h') + " 1700000000000"};
  config_.signing_key_check_interval = absl::Milliseconds(10);
  Start();
  EXPECT_THAT(published(), testing::HasSubstr(R"("old_verify_keys":{})"));  // it is in use

  write("ed25519 h2 seed\n");
  EXPECT_TRUE(becomes("postern_gateway_signing_key_files_used 0"));
  EXPECT_THAT(published(), testing::HasSubstr(R"("verify_keys":{"ed25519:h1")"));

  write(line("h2", 'i'));
  EXPECT_TRUE(becomes("postern_gateway_signing_key_files_used 1"));
  EXPECT_TRUE(becomes(R"(postern_gateway_signing_key_info{key_id="ed25519:h2"} 1)"));
  EXPECT_THAT(published(), testing::HasSubstr(R"("verify_keys":{"ed25519:h2")"));
  EXPECT_THAT(published(), testing::HasSubstr(R"("old_verify_keys":{"ed25519:h1")"));

  std::filesystem::remove(config_.signing_key_file);
  EXPECT_TRUE(becomes("postern_gateway_signing_key_files_used 0"));
  EXPECT_THAT(published(), testing::HasSubstr(R"("verify_keys":{"ed25519:h2")"));
}

TEST_F(WholeGateway, FindsTheKeysOfAServerThatDnsLeadsTo) {
  const RemoteServer remote("found.example");
  PlayedDns dns;
  TlsHost host("127.0.0.2", remote.name());
  host.Answer(
      {.status = 200, .headers = {}, .body = matrix::CanonicalJson(remote.KeyDocument(absl::Now() + absl::Hours(1)))});
  dns.Set("_matrix-fed._tcp.found.example", "SRV", fmt::format(R"([[1, 1, {}, "target.example"]])", host.port()));
  dns.Set("target.example", "A", R"(["127.0.0.2"])");
  config_.allow_private_networks = false;
  config_.dns_servers = {dns.address()};
  config_.federation_ca_file = config_.signing_key_file + ".crt";
  std::ofstream(config_.federation_ca_file) << host.certificate();
  const http::Request request =
      remote.Request("GET", "/_matrix/federation/v1/make_leave/%21a%3Ab/%40c%3Afound.example", nullptr);
  Start();
  EXPECT_EQ(Federate(request).status, 401);  // its address is a private one
  client_.emplace(Loopback());               // without the connections to the gateway that ends
  gateway_ = nullptr;
  config_.allowed_networks = {*http::IpNetwork::Parse("127.0.0.2/32")};
  Start();
  EXPECT_EQ(Federate(request).status, 404);  // it is who it says, and asks for a room that is not there
  EXPECT_EQ(host.seen().size(), 1U);
  std::remove(config_.federation_ca_file.c_str());
}

TEST_F(WholeGateway, IsReadyOnlyWhileStoreAndValidatorServe) {
  Start();
  EXPECT_EQ(Operate("/livez").status, 200);
  EXPECT_EQ(Operate("/readyz").status, 503);
  EXPECT_THAT(Operate("/readyz").body, testing::AllOf(testing::HasSubstr("store"), testing::HasSubstr("validator")));
  store_.host().SetServing(true);
  validator_host_->SetServing(true);
  EXPECT_TRUE(BecomesReady(true));
  store_.host().SetServing(false);
  EXPECT_TRUE(BecomesReady(false));
  EXPECT_THAT(Operate("/readyz").body, testing::HasSubstr("store"));
}

TEST_F(WholeGateway, ServesOnWhileItDrains) {
  Start();
  store_.host().SetServing(true);
  validator_host_->SetServing(true);
  ASSERT_TRUE(BecomesReady(true));
  gateway_->StopBeingReady();
  EXPECT_EQ(Operate("/readyz").status, 503);
  http::Request keys;
  keys.method = "GET";
  keys.target = "/_matrix/key/v2/server";
  EXPECT_EQ(Federate(keys).status, 200);
}

TEST_F(WholeGateway, DoesNotStartWithoutItsKey) {
  config_.signing_key_file += ".none";
  EXPECT_FALSE(Gateway::Start(config_).ok());
}

TEST_F(WholeGateway, AnswersEveryLeaveWhileOneOfTwoValidatorsHangs) {
  HeldCalls held;
  HangingValidator hanging(held);
  HangingValidatorTogether hanging_together(held);
  const auto hanging_host = Serve({&hanging, &hanging_together});
  config_.validator += ",127.0.0.1:" + std::to_string(hanging_host->port());
  // Ready, so that questions for their health, which take turns with calls, are few.
  for (rpc::ServerHost* host : {&store_.host(), validator_host_.get(), hanging_host.get()}) host->SetServing(true);
  Start();
  PlayRemote();
  ASSERT_TRUE(BecomesReady(true));
  const std::string room = MakeRoom("10");
  for (int i = 0; i < 6 || (held.taken() == 0 && i < 60); ++i) {
    const std::string user = "@u" + std::to_string(i) + ":" + remote_.name();
    Invite(room, user);
    EXPECT_EQ(SendLeave("v2", MakeLeave(room, user, "10")).body, "{}");
  }
  EXPECT_THAT(Operate("/metrics").body, testing::HasSubstr("postern_gateway_rpc_given_up_total"));
  gateway_ = nullptr;
  held.Release();
  hanging_host->Shutdown(absl::Now());
}

TEST_F(WholeGateway, StartsWithNobodyThere) {
  store_.host().Shutdown(absl::Now());
  validator_host_->Shutdown(absl::Now());
  Start();
  http::Request keys;
  keys.method = "GET";
  keys.target = "/_matrix/key/v2/server";
  EXPECT_EQ(Federate(keys).status, 200);
}

}  // namespace
}  // namespace postern::gateway
