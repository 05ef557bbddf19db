// The gateway's side of the rpcs: what is tried again, what a status becomes, who is missing; and its own Admin
// service.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "matrix/base64.h"
#include "matrix/refusal.h"
#include "postern/store/v1/store.grpc.pb.h"
#include "postern/store/v1/store_together.grpc.pb.h"
#include "postern/validator/v1/validator.grpc.pb.h"
#include "rpc/channel.h"
#include "rpc/server_host.h"
#include "rpc/status_codec.h"
#include "services/gateway/admin_service.h"
#include "services/gateway/invite_handshake.h"
#include "services/gateway/peer_health.h"
#include "tests/gateway/leave_rig.h"

namespace postern::gateway {
namespace {

using matrix::Reason;

/// Says one status after the other, and then OK.
class SayingValidator : public validator::v1::Validator::CallbackService {
 public:
  explicit SayingValidator(std::vector<Reason> says) : says_(std::move(says)) {}
  grpc::ServerUnaryReactor* Validate(grpc::CallbackServerContext* context, const validator::v1::ValidateRequest*,
                                     validator::v1::ValidateResponse* response) override {
    const std::lock_guard lock(mutex_);
    auto* reactor = context->DefaultReactor();
    const std::size_t turn = static_cast<std::size_t>(calls_++);
    response->mutable_verdict()->set_outcome(matrix::v1::OUTCOME_ACCEPTED);
    reactor->Finish(turn < says_.size() ? rpc::ToGrpc(matrix::Refuse(says_[turn], "scripted")) : grpc::Status::OK);
    return reactor;
  }
  int calls() const {
    const std::lock_guard lock(mutex_);
    return calls_;
  }

 private:
  mutable std::mutex mutex_;
  const std::vector<Reason> says_;
  int calls_ = 0;
};

rpc::TransportSecurity Plaintext() {
  rpc::TransportSecurity security;
  security.plaintext = true;
  return security;
}

std::unique_ptr<rpc::ServerHost> Serve(grpc::Service& service) {
  auto host = rpc::ServerHost::Start({.listen = "127.0.0.1:0", .security = Plaintext()}, {&service});
  EXPECT_TRUE(host.ok()) << host.status();
  return std::move(*host);
}

std::shared_ptr<grpc::Channel> Channel(const rpc::ServerHost& host) {
  return *rpc::OpenChannel("127.0.0.1:" + std::to_string(host.port()), Plaintext());
}

rpc::CallContext Call() { return {absl::Now() + absl::Seconds(20), telemetry::NewTrace()}; }

struct Saying {
  const char* name;
  std::vector<Reason> says;
  Reason answer;
  int calls;
};

class ValidatorAttempts : public testing::TestWithParam<Saying> {};

TEST_P(ValidatorAttempts, GoToAnotherReplicaOnlyWhereThatMayHelp) {
  SayingValidator service(GetParam().says);
  const auto host = Serve(service);
  telemetry::Metrics metrics;
  const auto client = MakeGrpcValidatorClient(Channel(*host), {metrics});
  EXPECT_EQ(matrix::ReasonOf(client->Validate(Call(), {}).status()), GetParam().answer);
  EXPECT_EQ(service.calls(), GetParam().calls);
  host->Shutdown(absl::Now());
}

INSTANTIATE_TEST_SUITE_P(
    Statuses, ValidatorAttempts,
    testing::Values(Saying{"Ok", {}, Reason::kNone, 1}, Saying{"OneIsFull", {Reason::kOverloaded}, Reason::kNone, 2},
                    Saying{"AllAreFull", std::vector<Reason>(9, Reason::kOverloaded), Reason::kOverloaded, 3},
                    Saying{"Unresolved", {Reason::kStateUnresolved}, Reason::kStateUnresolved, 1},
                    Saying{"Unsupported", {Reason::kUnsupportedVersion}, Reason::kUnsupportedVersion, 1},
                    Saying{"Internal", {Reason::kInternal}, Reason::kInternal, 1}),
    [](const auto& test) { return test.param.name; });

TEST(RpcClients, SayWhoIsDown) {
  telemetry::Metrics metrics;
  const auto nobody = *rpc::OpenChannel("127.0.0.1:1", Plaintext());
  EXPECT_EQ(matrix::ReasonOf(MakeGrpcValidatorClient(nobody, {metrics})->Validate(Call(), {}).status()),
            Reason::kValidatorDown);
  const auto store = MakeGrpcStoreClient(nobody, {metrics});
  EXPECT_EQ(matrix::ReasonOf(store->GetEventContext(Call(), {}).status()), Reason::kStoreDown);
  EXPECT_EQ(matrix::ReasonOf(store->PersistEvent(Call(), {}).status()), Reason::kStoreDown);
  const rpc::CallContext late{absl::Now() - absl::Seconds(1), telemetry::NewTrace()};
  EXPECT_EQ(matrix::ReasonOf(store->GetEventContext(late, {}).status()), Reason::kDeadlineExceeded);
}

/// Notes the events that it is to persist, in the order in which they come, and says that all are stored.
class NotingStore : public store::v1::Store::CallbackService, public store::v1::StoreTogether::CallbackService {
 public:
  grpc::ServerUnaryReactor* PersistEvent(grpc::CallbackServerContext* context,
                                         const store::v1::PersistEventRequest* request,
                                         store::v1::PersistEventResponse* response) override {
    Note(*request, *response);
    alone_.fetch_add(1);
    return Finish(*context);
  }
  grpc::ServerUnaryReactor* PersistEvent(grpc::CallbackServerContext* context, const rpc::v1::Calls* calls,
                                         rpc::v1::Answers* answers) override {
    for (int i = 0; i < calls->calls_size(); ++i) {
      store::v1::PersistEventRequest request;
      store::v1::PersistEventResponse response;
      EXPECT_TRUE(request.ParseFromString(calls->calls(i).request()));
      Note(request, response);
      answers->add_answers()->set_place(static_cast<std::uint32_t>(i));
      answers->mutable_answers(i)->set_response(response.SerializeAsString());
    }
    return Finish(*context);
  }
  std::vector<std::string> noted() const {
    const std::lock_guard lock(mutex_);
    return noted_;
  }
  int alone() const { return alone_; }

 private:
  void Note(const store::v1::PersistEventRequest& request, store::v1::PersistEventResponse& response) {
    const std::lock_guard lock(mutex_);
    noted_.push_back(request.pdu());
    response.mutable_stored()->set_forward_extremities(static_cast<std::uint32_t>(noted_.size()));
  }
  static grpc::ServerUnaryReactor* Finish(grpc::CallbackServerContext& context) {
    auto* reactor = context.DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

  mutable std::mutex mutex_;
  std::vector<std::string> noted_;
  std::atomic<int> alone_ = 0;
};

class PersistsInOrder : public testing::Test {
 protected:
  /// Of events "a", "b" and "c": how many extremities each answer tells.
  std::vector<std::uint32_t> Persist(const std::vector<grpc::Service*>& services) {
    auto host = rpc::ServerHost::Start({.listen = "127.0.0.1:0", .security = Plaintext()}, services);
    EXPECT_TRUE(host.ok()) << host.status();
    telemetry::Metrics metrics;
    const auto client = MakeGrpcStoreClient(Channel(**host), {metrics});
    std::vector<store::v1::PersistEventRequest> requests(3);
    for (std::size_t i = 0; i < requests.size(); ++i) requests[i].set_pdu(std::string(1, "abc"[i]));
    std::vector<std::uint32_t> told;
    for (const auto& answer : client->PersistInOrder(Call(), requests)) {
      EXPECT_TRUE(answer.ok()) << answer.status();
      if (answer.ok()) told.push_back(answer->stored().forward_extremities());
    }
    (*host)->Shutdown(absl::Now());
    return told;
  }

  NotingStore store_;
};

TEST_F(PersistsInOrder, InOneMessage) {
  EXPECT_THAT(Persist({static_cast<store::v1::Store::Service*>(&store_),
                       static_cast<store::v1::StoreTogether::Service*>(&store_)}),
              testing::ElementsAre(1, 2, 3));
  EXPECT_THAT(store_.noted(), testing::ElementsAre("a", "b", "c"));
  EXPECT_EQ(store_.alone(), 0);
}

TEST_F(PersistsInOrder, OneAfterAnotherWhereTheStoreKnowsNoSuchMessage) {
  EXPECT_THAT(Persist({static_cast<store::v1::Store::Service*>(&store_)}), testing::ElementsAre(1, 2, 3));
  EXPECT_THAT(store_.noted(), testing::ElementsAre("a", "b", "c"));
  EXPECT_EQ(store_.alone(), 3);
}

/// Whether these names are missing before long.
bool Becomes(const PeerHealth& health, const std::vector<std::string>& names) {
  for (const absl::Time until = absl::Now() + absl::Seconds(20); absl::Now() < until;) {
    if (health.Missing() == names) return true;
    std::this_thread::yield();
  }
  return false;
}

TEST(PeerHealth, NamesThoseThatDoNotServe) {
  SayingValidator service({});
  const auto host = Serve(service);
  const auto nobody = *rpc::OpenChannel("127.0.0.1:1", Plaintext());
  PeerHealth health({{"validator", Channel(*host)}, {"store", nobody}}, absl::Milliseconds(200));
  EXPECT_TRUE(Becomes(health, {"validator", "store"}));
  host->SetServing(true);
  EXPECT_TRUE(Becomes(health, {"store"}));
  host->SetServing(false);
  EXPECT_TRUE(Becomes(health, {"validator", "store"}));
  host->Shutdown(absl::Now());
}

TEST(PeerHealth, NamesOneThatWasLostBeforeItIsAskedAgain) {
  SayingValidator service({});
  auto host = Serve(service);
  host->SetServing(true);
  PeerHealth health({{"validator", Channel(*host)}}, absl::Hours(1));
  EXPECT_TRUE(Becomes(health, {}));
  host.reset();
  EXPECT_TRUE(Becomes(health, {"validator"}));
}

class Admin : public testing::Test {
 protected:
  Admin()
      : author_(rig_.signer_, rig_.store_, rig_.validator_, [this] { return rig_.clock_.now(); }),
        service_({.signer = rig_.signer_,
                  .author = author_,
                  .key_ring = rig_.key_ring_,
                  .store = rig_.store_,
                  .invites_under_way = rig_.invites_under_way_,
                  .sign_invite =
                      [this](const auto&, const OutboundInvite& invite) {
                        ++signatures_asked_;
                        return absl::StatusOr<std::string>(invite.event.pdu());
                      },
                  .clock = [this] { return rig_.clock_.now(); },
                  .reload_signing_keys =
                      [this] {
                        auto keys = SigningKeys::Parse(key_file_, {});
                        if (keys.ok()) rig_.signer_.Rotate(*std::move(keys));
                        return keys.status();
                      }},
                 workers_),
        host_(Serve(service_)),
        stub_(v1::Admin::NewStub(Channel(*host_))) {
    rig_.store_.on_create = [](const auto&) { return absl::OkStatus(); };
    rig_.store_.on_seed = [this](const auto&) {
      return seeding_ ? absl::OkStatus() : matrix::Refuse(Reason::kSeedingOff, "off");
    };
  }
  ~Admin() override {
    host_->Shutdown(absl::Now() + absl::Seconds(5));
    workers_.Drain();
  }

  static Reason ReasonFrom(const grpc::Status& status) {
    return matrix::ReasonOf(rpc::FromGrpc(status, Reason::kInternal));
  }

  LeaveRig rig_;
  std::atomic<bool> seeding_ = true;
  std::atomic<int> signatures_asked_ = 0;
  std::string key_file_;
  RoomAuthor author_;
  rpc::WorkerPool workers_{2, 16};
  AdminService service_;
  std::unique_ptr<rpc::ServerHost> host_;
  std::unique_ptr<v1::Admin::Stub> stub_;
};

TEST_F(Admin, CreatesRooms) {
  grpc::ClientContext context;
  v1::CreateRoomRequest request;
  v1::CreateRoomResponse response;
  request.set_room_version("12");
  request.set_creator(std::string(kCreator));
  request.set_join_rule("knock");
  auto* extra = request.add_state();
  extra->set_type("m.room.name");
  extra->set_content_json(R"({"name":"hall"})");
  const auto status = stub_->CreateRoom(&context, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.room_id(), "!" + response.events(0).event_id().substr(1));
  EXPECT_EQ(response.events(response.events_size() - 1).type(), "m.room.name");
}

TEST_F(Admin, FindsTheKeysOfServersAndItsOwn) {
  const auto find = [&](std::string_view server, v1::FindServerKeysResponse& response) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    v1::FindServerKeysRequest request;
    request.set_server_name(std::string(server));
    request.add_key_ids("ed25519:r1");
    return ReasonFrom(stub_->FindServerKeys(&context, request, &response));
  };
  v1::FindServerKeysResponse own, theirs, none;
  EXPECT_EQ(find(kOurName, own), Reason::kNone);
  ASSERT_EQ(own.keys_size(), 2);
  EXPECT_EQ(own.keys(0).public_key().size(), matrix::kPublicKeyBytes);
  EXPECT_EQ(find(kRemoteName, theirs), Reason::kNone);
  ASSERT_GE(theirs.keys_size(), 1);
  EXPECT_EQ(theirs.keys(0).key_id(), "ed25519:r1");
  EXPECT_GT(theirs.valid_until_ms(), absl::ToUnixMillis(rig_.clock_.now()));
  EXPECT_EQ(find("", none), Reason::kInvalidArgument);
}

TEST_F(Admin, ShowsWhereAServersKeysAreFromAndForgetsThem) {
  const auto remote = *matrix::ServerName::Parse(kRemoteName);
  const KeyQuery query{remote, {"ed25519:r1"}, KeyUse::kRequest, "192.0.2.1"};
  ASSERT_TRUE(rig_.key_ring_.Wait(query, absl::Now() + absl::Seconds(20)).ok());
  store::v1::StoredServerKeys stored;
  stored.set_server_name(std::string(kRemoteName));
  stored.set_from("notary.example");
  stored.add_keys()->set_key_id("ed25519:r0");
  rig_.store_.SetKeys(stored);
  const auto show = [&] {
    grpc::ClientContext context;
    v1::ShowServerKeysRequest request;
    v1::ShowServerKeysResponse response;
    request.set_server_name(std::string(kRemoteName));
    EXPECT_TRUE(stub_->ShowServerKeys(&context, request, &response).ok());
    return response;
  };
  const auto held = show();
  EXPECT_EQ(held.in_memory().from(), "direct");
  EXPECT_EQ(held.in_memory().keys(0).key_id(), "ed25519:r1");
  EXPECT_EQ(held.in_store().from(), "notary.example");

  grpc::ClientContext context;
  v1::ForgetServerKeysRequest request;
  v1::ForgetServerKeysResponse response;
  request.set_server_name(std::string(kRemoteName));
  ASSERT_TRUE(stub_->ForgetServerKeys(&context, request, &response).ok());
  EXPECT_FALSE(show().has_in_memory());
  EXPECT_FALSE(show().has_in_store());
}

TEST_F(Admin, ReadsItsSigningKeysAgain) {
  const auto reload = [&](v1::ReloadSigningKeysResponse& response) {
    grpc::ClientContext context;
    return ReasonFrom(stub_->ReloadSigningKeys(&context, {}, &response));
  };
  v1::ReloadSigningKeysResponse response;
  key_file_ = "no key";
  EXPECT_EQ(reload(response), Reason::kInvalidArgument);
  EXPECT_EQ(rig_.signer_.key_id(), "ed25519:h1");
  key_file_ = "ed25519 h9 " + matrix::EncodeBase64(std::string(matrix::kSeedBytes, 'z'));
  EXPECT_EQ(reload(response), Reason::kNone);
  EXPECT_EQ(response.key_id(), "ed25519:h9");
  EXPECT_EQ(rig_.signer_.key_id(), "ed25519:h9");
}

TEST_F(Admin, SaysWhatIsWrong) {
  v1::CreateRoomResponse response;
  const auto create = [&](std::string version, std::string creator, std::string join_rule, std::string content) {
    grpc::ClientContext context;
    v1::CreateRoomRequest request;
    request.set_room_version(version);
    request.set_creator(creator);
    request.set_join_rule(join_rule);
    auto* extra = request.add_state();
    extra->set_type("m.room.name");
    extra->set_content_json(content);
    return ReasonFrom(stub_->CreateRoom(&context, request, &response));
  };
  const std::string boss(kCreator);
  EXPECT_EQ(create("10", boss, "", "{}"), Reason::kNone);
  EXPECT_EQ(create("99", boss, "", "{}"), Reason::kUnsupportedVersion);
  EXPECT_EQ(create("10", "boss", "", "{}"), Reason::kInvalidArgument);
  EXPECT_EQ(create("10", std::string(kAnn), "", "{}"), Reason::kInvalidArgument);
  EXPECT_EQ(create("6", boss, "knock", "{}"), Reason::kInvalidArgument);
  EXPECT_EQ(create("10", boss, "open", "{}"), Reason::kInvalidArgument);
  EXPECT_EQ(create("10", boss, "", "[]"), Reason::kInvalidArgument);
}

TEST_F(Admin, InvitesBansAndSetsState) {
  grpc::ClientContext invite_context, ban_context, state_context;
  v1::InviteRequest invite;
  v1::Minted minted;
  invite.set_room_id(rig_.room_.room_id());
  invite.set_user_id("@new:else.example");
  invite.set_reason("come in");
  ASSERT_TRUE(stub_->Invite(&invite_context, invite, &minted).ok());
  EXPECT_EQ(minted.state_key(), "@new:else.example");
  v1::BanRequest ban;
  ban.set_room_id(rig_.room_.room_id());
  ban.set_user_id(std::string(kAnn));
  ASSERT_TRUE(stub_->Ban(&ban_context, ban, &minted).ok());
  v1::SendStateRequest state;
  state.set_room_id(rig_.room_.room_id());
  state.mutable_event()->set_type("m.room.topic");
  state.mutable_event()->set_content_json(R"({"topic":"x"})");
  ASSERT_TRUE(stub_->SendState(&state_context, state, &minted).ok());
  EXPECT_EQ(minted.type(), "m.room.topic");
  ASSERT_EQ(rig_.store_.persists().size(), 3U);
  EXPECT_THAT(rig_.store_.persists()[0].pdu(), testing::HasSubstr(R"("reason":"come in")"));
}

TEST_F(Admin, AsksTheInvitedUsersServerUnlessItIsThisOne) {
  const auto invite = [&](const std::string& user) {
    grpc::ClientContext context;
    v1::InviteRequest request;
    v1::Minted minted;
    request.set_room_id(rig_.room_.room_id());
    request.set_user_id(user);
    return ReasonFrom(stub_->Invite(&context, request, &minted));
  };
  EXPECT_EQ(invite("@new:else.example"), Reason::kNone);
  EXPECT_EQ(signatures_asked_, 1);
  EXPECT_EQ(invite("@new:" + std::string(kOurName)), Reason::kNone);
  EXPECT_EQ(signatures_asked_, 1);
  EXPECT_EQ(invite("new"), Reason::kInvalidArgument);
}

TEST_F(Admin, TakesInvitesBack) {
  grpc::ClientContext context;
  v1::WithdrawInviteRequest request;
  v1::Minted minted;
  request.set_room_id(rig_.room_.room_id());
  request.set_user_id(std::string(kAnn));
  ASSERT_TRUE(stub_->WithdrawInvite(&context, request, &minted).ok());
  EXPECT_EQ(minted.state_key(), kAnn);
  EXPECT_EQ(rig_.store_.persists().back().also_tell(0), kRemoteName);
}

TEST_F(Admin, SeedsWhereTheStoreLetsIt) {
  grpc::ClientContext context, refused_context, knock_context;
  v1::SeedRequest request;
  v1::SeedResponse response;
  request.set_rooms(3);
  request.set_users_per_room(4);
  request.set_user_prefix("u");
  request.set_remote(std::string(kRemoteName));
  request.set_room_version("10");
  request.set_membership("join");
  const auto status = stub_->Seed(&context, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(response.rooms_size(), 3);
  EXPECT_EQ(response.rooms(2).users(3), "@u3:" + std::string(kRemoteName));

  request.set_membership("knock");
  request.set_room_version("6");
  EXPECT_EQ(ReasonFrom(stub_->Seed(&knock_context, request, &response)), Reason::kInvalidArgument);
  seeding_ = false;
  EXPECT_EQ(ReasonFrom(stub_->Seed(&refused_context, request, &response)), Reason::kSeedingOff);
}

}  // namespace
}  // namespace postern::gateway
