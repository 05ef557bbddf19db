// posternctl, as a process, against services of a few answers: arguments, shapes, exit statuses.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "postern/gateway/v1/admin.grpc.pb.h"
#include "postern/matrix/v1/refusal.pb.h"
#include "postern/store/v1/store.grpc.pb.h"
#include "tests/posternctl/program.h"

namespace postern::posternctl {
namespace {

using testing::HasSubstr;
using testing::Not;

grpc::Status RefusedWith(grpc::StatusCode code, matrix::v1::Reason reason, const std::string& detail) {
  matrix::v1::Refusal refusal;
  refusal.set_reason(reason);
  refusal.set_detail(detail);
  return {code, detail, refusal.SerializeAsString()};
}

// What was asked is read by the test while a server thread may write: one lock over it.
class FakeAdmin : public gateway::v1::Admin::Service {
 public:
  grpc::Status CreateRoom(grpc::ServerContext* context, const gateway::v1::CreateRoomRequest* request,
                          gateway::v1::CreateRoomResponse* response) override {
    const std::lock_guard lock(mutex_);
    created_ = *request;
    const auto authorization = context->client_metadata().find("authorization");
    authorization_ = authorization == context->client_metadata().end()
                         ? ""
                         : std::string(authorization->second.data(), authorization->second.size());
    response->set_room_id("!new:here");
    auto* event = response->add_events();
    event->set_event_id("$create");
    event->set_type("m.room.create");
    return grpc::Status::OK;
  }
  grpc::Status Invite(grpc::ServerContext*, const gateway::v1::InviteRequest* request,
                      gateway::v1::Minted* minted) override {
    if (request->room_id() == "!kept out:here") return {grpc::StatusCode::UNAUTHENTICATED, "this port wants a token"};
    minted->set_event_id("$invite");
    minted->set_type("m.room.member");
    minted->set_state_key(request->user_id());
    return grpc::Status::OK;
  }
  grpc::Status WithdrawInvite(grpc::ServerContext*, const gateway::v1::WithdrawInviteRequest* request,
                              gateway::v1::Minted* minted) override {
    if (request->user_id() == "@answered:there") {
      return RefusedWith(grpc::StatusCode::FAILED_PRECONDITION, matrix::v1::REASON_NOT_A_MEMBER, "not invited");
    }
    minted->set_event_id("$withdrawn" + request->reason());
    minted->set_state_key(request->user_id());
    return grpc::Status::OK;
  }
  grpc::Status Ban(grpc::ServerContext*, const gateway::v1::BanRequest*, gateway::v1::Minted*) override {
    return RefusedWith(grpc::StatusCode::PERMISSION_DENIED, matrix::v1::REASON_NOT_AUTHORISED,
                       "auth rule 5.6: no power");
  }
  grpc::Status SendState(grpc::ServerContext*, const gateway::v1::SendStateRequest* request,
                         gateway::v1::Minted* minted) override {
    minted->set_event_id(fmt::format("${}|{}|{}", request->event().type(), request->event().state_key(),
                                     request->event().content_json()));
    return grpc::Status::OK;
  }
  grpc::Status SetMembership(grpc::ServerContext*, const gateway::v1::SetMembershipRequest* request,
                             gateway::v1::Minted* minted) override {
    minted->set_event_id(fmt::format("${} {} by '{}', was {}, {}", request->user_id(), request->membership(),
                                     request->sender(), fmt::join(request->now(), "/"), request->reason()));
    return grpc::Status::OK;
  }
  grpc::Status SendEvent(grpc::ServerContext*, const gateway::v1::SendEventRequest* request,
                         gateway::v1::Minted* minted) override {
    minted->set_event_id(fmt::format("${}|{}|{}", request->type(), request->content_json(), request->sender()));
    return grpc::Status::OK;
  }
  grpc::Status SetPowerLevel(grpc::ServerContext*, const gateway::v1::SetPowerLevelRequest* request,
                             gateway::v1::Minted* minted) override {
    minted->set_event_id(
        fmt::format("${} {}", request->user_id(), request->has_level() ? std::to_string(request->level()) : "as all"));
    return grpc::Status::OK;
  }
  grpc::Status Seed(grpc::ServerContext*, const gateway::v1::SeedRequest* request,
                    gateway::v1::SeedResponse* response) override {
    for (int number = 0; number < request->rooms(); ++number) {
      auto* room = response->add_rooms();
      room->set_room_id(fmt::format("!{}:here", number));
      room->set_room_version(request->room_version());
      for (int user = 0; user < request->users_per_room(); ++user) {
        room->add_users(fmt::format("@{}{}:{}", request->user_prefix(), user, request->remote()));
      }
    }
    return grpc::Status::OK;
  }
  grpc::Status ShowServerKeys(grpc::ServerContext*, const gateway::v1::ShowServerKeysRequest* request,
                              gateway::v1::ShowServerKeysResponse* response) override {
    if (request->server_name() == "unknown.example") return grpc::Status::OK;
    auto* held = response->mutable_in_store();
    held->set_from("notary.example");
    held->set_valid_until_ms(1700000000000);
    held->add_keys()->set_key_id("ed25519:a");
    held->mutable_keys(0)->set_public_key("key");
    held->add_keys()->set_key_id("ed25519:old");
    held->mutable_keys(1)->set_expired_ms(1600000000000);
    response->set_last_error("no route");
    response->set_no_fetch_before_ms(1700000001000);
    return grpc::Status::OK;
  }
  grpc::Status ForgetServerKeys(grpc::ServerContext*, const gateway::v1::ForgetServerKeysRequest* request,
                                gateway::v1::ForgetServerKeysResponse*) override {
    if (request->server_name() == "b.example") return grpc::Status::OK;
    return RefusedWith(grpc::StatusCode::INVALID_ARGUMENT, matrix::v1::REASON_INVALID_ARGUMENT, "no server name");
  }
  grpc::Status ReloadSigningKeys(grpc::ServerContext*, const gateway::v1::ReloadSigningKeysRequest*,
                                 gateway::v1::ReloadSigningKeysResponse* response) override {
    response->set_key_id("ed25519:a_2");
    return grpc::Status::OK;
  }
  std::string authorization() const {
    const std::lock_guard lock(mutex_);
    return authorization_;
  }
  gateway::v1::CreateRoomRequest created() const {
    const std::lock_guard lock(mutex_);
    return created_;
  }

 private:
  mutable std::mutex mutex_;
  gateway::v1::CreateRoomRequest created_;
  std::string authorization_;
};

class FakeStore : public store::v1::Store::Service {
 public:
  grpc::Status GetMember(grpc::ServerContext*, const store::v1::GetMemberRequest* request,
                         store::v1::Member* member) override {
    if (request->user_id() == "@gone:there") {
      return RefusedWith(grpc::StatusCode::NOT_FOUND, matrix::v1::REASON_NOT_FOUND, "no such member");
    }
    member->set_room_id(request->room_id());
    member->set_user_id(request->user_id());
    member->set_membership("leave");
    member->set_event_id("$leave");
    member->set_reason(std::string("a\0\x1b[31mb", 8));
    return grpc::Status::OK;
  }
  grpc::Status ListMembers(grpc::ServerContext*, const store::v1::ListMembersRequest* request,
                           store::v1::ListMembersResponse* response) override {
    if (!request->after().empty()) return grpc::Status::OK;
    for (const auto& [user, membership] :
         {std::pair("@ann:here", "join"), {"@answered:there", "invite"}, {"@bob:there", "invite"}}) {
      auto* member = response->add_members();
      member->set_user_id(user);
      member->set_membership(membership);
    }
    return grpc::Status::OK;
  }
  grpc::Status ListRooms(grpc::ServerContext*, const store::v1::ListRoomsRequest* request,
                         store::v1::ListRoomsResponse* response) override {
    if (request->after().empty()) response->add_room_ids("!a:here");
    if (request->after() == "!a:here") response->add_room_ids("!b:here");
    return grpc::Status::OK;
  }
  grpc::Status GetRoom(grpc::ServerContext*, const store::v1::GetRoomRequest*, store::v1::RoomDescription*) override {
    return RefusedWith(grpc::StatusCode::UNAVAILABLE, matrix::v1::REASON_STORE_DOWN, "PostgreSQL is away");
  }
  grpc::Status GetEvent(grpc::ServerContext*, const store::v1::GetEventRequest* request,
                        store::v1::EventRecord* record) override {
    record->set_event_id(request->event_id());
    record->set_room_id("!r:here");
    record->set_pdu(R"({"type":"m.room.member","signatures":{"here":{},"there":{}}})");
    record->set_outcome(matrix::v1::OUTCOME_ACCEPTED);
    auto* verdict = record->mutable_verdict();
    verdict->set_outcome(matrix::v1::OUTCOME_ACCEPTED);
    for (unsigned number = 1; number <= 6; ++number) {
      auto* step = verdict->add_steps();
      step->set_step(number);
      step->set_outcome(matrix::v1::STEP_OUTCOME_OK);
      step->set_rule(number >= 4 ? "auth rule 5.5.1" : "");
      step->add_looked_at("$seen");
    }
    return grpc::Status::OK;
  }
  grpc::Status ListOutbox(grpc::ServerContext*, const store::v1::ListOutboxRequest*,
                          store::v1::ListOutboxResponse* response) override {
    auto* row = response->add_rows();
    row->set_event_id("$waits");
    row->add_destinations("third.example");
    return grpc::Status::OK;
  }
  grpc::Status ListDestinations(grpc::ServerContext*, const store::v1::ListDestinationsRequest* request,
                                store::v1::ListDestinationsResponse* response) override {
    if (request->after().empty()) {
      auto* failing = response->add_destinations();
      failing->set_destination("away.example");
      failing->set_pending(3);
      failing->set_parked(1);
      failing->set_failures(2);
      failing->set_failing_since_ms(1700000000000);
      failing->set_last_error("no route \x1b[31m");
      response->add_destinations()->set_destination("fine.example");
    }
    return grpc::Status::OK;
  }
  grpc::Status SettleDestination(grpc::ServerContext*, const store::v1::SettleDestinationRequest* request,
                                 store::v1::SettleDestinationResponse* response) override {
    if (request->destination() != "away.example") {
      return RefusedWith(grpc::StatusCode::NOT_FOUND, matrix::v1::REASON_NOT_FOUND, "nothing was ever sent to it");
    }
    response->set_pdus(request->drop() ? 4 : 3);
    return grpc::Status::OK;
  }
  grpc::Status SetAlias(grpc::ServerContext*, const store::v1::SetAliasRequest* request,
                        store::v1::SetAliasResponse*) override {
    if (request->room_id() == "!r:here") return grpc::Status::OK;
    return RefusedWith(grpc::StatusCode::NOT_FOUND, matrix::v1::REASON_UNKNOWN_ROOM, "no such room");
  }
  grpc::Status RemoveAlias(grpc::ServerContext*, const store::v1::RemoveAliasRequest* request,
                           store::v1::RemoveAliasResponse*) override {
    if (request->alias() == "#one:here") return grpc::Status::OK;
    return RefusedWith(grpc::StatusCode::NOT_FOUND, matrix::v1::REASON_NOT_FOUND, "no such alias");
  }
  grpc::Status ListAliases(grpc::ServerContext*, const store::v1::ListAliasesRequest* request,
                           store::v1::ListAliasesResponse* response) override {
    if (!request->after().empty() || request->room_id() == "!bare:here") return grpc::Status::OK;
    response->add_aliases()->set_alias("#one:here");
    response->mutable_aliases(0)->set_room_id("!r:here");
    return grpc::Status::OK;
  }
};

class Commands : public testing::Test {
 protected:
  Commands() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(&admin_);
    builder.RegisterService(&store_);
    server_ = builder.BuildAndStart();
  }
  ~Commands() override { server_->Shutdown(); }

  Ended Ctl(const std::vector<std::string>& arguments) {
    const std::string address = fmt::format("127.0.0.1:{}", port_);
    return RunPosternctl(arguments, {"POSTERN_GATEWAY=" + address, "POSTERN_STORE=" + address});
  }
  matrix::Json Json(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "--json");
    const Ended ended = Ctl(arguments);
    EXPECT_EQ(ended.status, 0) << ended.errors;
    EXPECT_NE(ended.json(), matrix::Json()) << ended.output;
    return ended.json();
  }

  FakeAdmin admin_;
  FakeStore store_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(Commands, PrintTheIdOfWhatTheyMint) {
  EXPECT_EQ(Ctl({"room", "invite", "!r:here", "@bob:there"}).output, "$invite\n");
  EXPECT_EQ(*Member(Json({"room", "invite", "!r:here", "@bob:there"}), "event_id").AsString(), "$invite");
}

TEST_F(Commands, TakeInvitesBackOneByOneOrAll) {
  EXPECT_EQ(Ctl({"room", "withdraw", "!r:here", "@bob:there"}).output, "$withdrawn\n");
  EXPECT_EQ(Ctl({"room", "withdraw", "!r:here", "@answered:there"}).status, 1);
  EXPECT_EQ(Ctl({"room", "withdraw", "!r:here", "--all", "--reason", "!"}).output, "@bob:there $withdrawn!\n");
  EXPECT_EQ(Ctl({"room", "withdraw", "!r:here"}).status, 2);
  EXPECT_EQ(Ctl({"room", "withdraw", "!r:here", "@bob:there", "--all"}).status, 2);
}

TEST_F(Commands, TakeAnEmptyStateKeyAndJson) {
  EXPECT_EQ(Ctl({"room", "state", "!r:here", "m.room.topic", "", R"({"topic" : "[x, y]"})"}).output,
            "$m.room.topic||{\"topic\":\"[x, y]\"}\n");
  EXPECT_EQ(Ctl({"room", "state", "!r:here", "m.room.topic", "", "[1]"}).status, 2);
}

TEST_F(Commands, CreateRoomsWithStateFromAFile) {
  const matrix::Json room =
      Json({"room", "create", "--version", "6", "--creator", "@ann:here", "--join-rule", "knock"});
  EXPECT_EQ(*Member(room, "room_id").AsString(), "!new:here");
  EXPECT_EQ(admin_.created().room_version(), "6");
  EXPECT_EQ(admin_.created().join_rule(), "knock");
  EXPECT_EQ(Ctl({"room", "create", "--creator", "@ann:here", "--state", "/nowhere"}).status, 2);
}

TEST_F(Commands, SeedPrintsExactlyTheRooms) {
  const Ended ended = Ctl({"room", "seed", "--rooms", "1", "--users-per-room", "2", "--user-prefix", "u", "--remote",
                           "there", "--version", "9", "--membership", "join"});
  EXPECT_EQ(ended.output, R"({"rooms":[{"room_id":"!0:here","room_version":"9","users":["@u0:there","@u1:there"]}]})"
                          "\n");
}

TEST_F(Commands, ShowAMemberWithItsReason) {
  const matrix::Json member = Json({"member", "show", "!r:here", "@bob:there"});
  EXPECT_EQ(*Member(member, "membership").AsString(), "leave");
  EXPECT_EQ(*Member(member, "event_id").AsString(), "$leave");
  EXPECT_EQ(*Member(member, "reason").AsString(), std::string("a\0\x1b[31mb", 8));
  EXPECT_TRUE(Member(member, "displayname").IsNull());
}

TEST_F(Commands, LetNoStrangerWriteToTheTerminal) {
  EXPECT_THAT(Ctl({"member", "show", "!r:here", "@bob:there"}).output, HasSubstr("a\\x00\\x1b[31mb"));
}

TEST_F(Commands, WalkEveryPage) { EXPECT_EQ(Ctl({"room", "list"}).output, "!a:here\n!b:here\n"); }

TEST_F(Commands, SetRemoveAndListAliases) {
  EXPECT_EQ(Ctl({"room", "alias", "set", "#one:here", "!r:here"}).status, 0);
  EXPECT_EQ(Ctl({"room", "alias", "set", "#one:here", "!none:here"}).status, 1);
  EXPECT_EQ(Ctl({"room", "alias", "set", "#one:here"}).status, 2);
  EXPECT_EQ(Ctl({"room", "alias", "remove", "#one:here"}).status, 0);
  EXPECT_EQ(Ctl({"room", "alias", "remove", "#two:here"}).status, 1);
  EXPECT_THAT(Ctl({"room", "alias", "list"}).output, HasSubstr("#one:here"));
  EXPECT_EQ(Ctl({"room", "alias", "list", "!bare:here"}).output, "no aliases\n");
  const matrix::Json aliases = Json({"room", "alias", "list", "!r:here"});
  ASSERT_EQ(aliases.AsArray()->size(), 1U);
  EXPECT_EQ(*Member(aliases.AsArray()->front(), "room_id").AsString(), "!r:here");
}

TEST_F(Commands, ExplainTheSixSteps) {
  const matrix::Json verdict = Member(Json({"explain", "$e"}), "verdict");
  EXPECT_EQ(Member(verdict, "steps").AsArray()->size(), 6U);
  EXPECT_EQ(*Member(Member(verdict, "steps").AsArray()->back(), "rule").AsString(), "auth rule 5.5.1");
  EXPECT_THAT(Ctl({"explain", "$e"}).output, HasSubstr("auth rule 5.5.1"));
  EXPECT_EQ(Member(Member(Json({"event", "show", "$e"}), "event"), "signatures").AsObject()->size(), 2U);
  EXPECT_THAT(Ctl({"outbox", "events"}).output, HasSubstr("third.example"));
}

TEST_F(Commands, ActInARoomAsAUserOfThisServer) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> rows{
      {{"kick", "!r:here", "@bob:there", "--reason", "x"}, "$@bob:there leave by '', was join/invite/knock, x"},
      {{"unban", "!r:here", "@bob:there", "--sender", "@ann:here"}, "$@bob:there leave by '@ann:here', was ban, "},
      {{"join", "!r:here", "@eve:here"}, "$@eve:here join by '@eve:here', was , "},
      {{"leave", "!r:here", "@eve:here"}, "$@eve:here leave by '@eve:here', was join/invite/knock, "},
      {{"power", "!r:here", "@eve:here", "50"}, "$@eve:here 50"},
      {{"power", "!r:here", "@eve:here", "-1"}, "$@eve:here -1"},
      {{"power", "!r:here", "@eve:here"}, "$@eve:here as all"},
      {{"send", "!r:here", "m.room.message", R"({"body": "hi"})"}, R"($m.room.message|{"body":"hi"}|)"},
  };
  for (const auto& [words, expected] : rows) {
    std::vector<std::string> command{"room"};
    command.insert(command.end(), words.begin(), words.end());
    const Ended ended = Ctl(command);
    EXPECT_EQ(ended.status, 0) << ended.errors;
    EXPECT_EQ(ended.output, expected + "\n");
  }
  EXPECT_EQ(Ctl({"room", "send", "!r:here", "m.room.message", "[]"}).status, 2);
  EXPECT_EQ(Ctl({"room", "power", "!r:here", "@eve:here", "much"}).status, 2);
}

TEST_F(Commands, EndWith1WhereTheyAreRefused) {
  const Ended banned = Ctl({"room", "ban", "!r:here", "@bob:there"});
  EXPECT_EQ(banned.status, 1);
  EXPECT_THAT(banned.errors, HasSubstr("auth rule 5.6"));
  EXPECT_EQ(Ctl({"member", "show", "!r:here", "@gone:there"}).status, 1);
}

TEST_F(Commands, EndWith2OnAWrongCommandLine) {
  EXPECT_EQ(Ctl({}).status, 2);
  EXPECT_EQ(Ctl({"room", "burn"}).status, 2);
  EXPECT_EQ(Ctl({"member", "show", "!r:here"}).status, 2);
  EXPECT_EQ(Ctl({"room", "seed", "--remote", "there", "--membership", "ban"}).status, 2);
  EXPECT_EQ(Ctl({"leave", "!r:here"}).status, 2);
}

TEST_F(Commands, EndWith3WhereNobodyAnswers) {
  EXPECT_EQ(RunPosternctl({"--store", "127.0.0.1:1", "--timeout", "2", "room", "list"}).status, 3);
  EXPECT_EQ(Ctl({"room", "show", "!r:here"}).status, 3);
}

TEST_F(Commands, TalkInTheClearToThisMachineOnly) {
  const Ended ended = RunPosternctl({"--store", "store.example:7102", "room", "list"});
  EXPECT_EQ(ended.status, 2);
  EXPECT_THAT(ended.errors, HasSubstr("--plaintext"));
}

TEST_F(Commands, BringTheGatewayTheTokenOfAFile) {
  const std::string file = testing::TempDir() + "/postern_token_" + std::to_string(getpid());
  std::ofstream(file) << "0123456789abcdef\n";
  ASSERT_EQ(Ctl({"--token-file", file, "room", "create", "--version", "10", "--creator", "@ann:here"}).status, 0);
  EXPECT_EQ(admin_.authorization(), "Bearer 0123456789abcdef");
  ASSERT_EQ(Ctl({"room", "create", "--version", "10", "--creator", "@ann:here"}).status, 0);
  EXPECT_EQ(admin_.authorization(), "");
  std::remove(file.c_str());
  const Ended without = Ctl({"--token-file", file, "room", "create", "--version", "10", "--creator", "@ann:here"});
  EXPECT_EQ(without.status, 1);
  EXPECT_THAT(without.errors, HasSubstr(file));
}

TEST_F(Commands, SayThatTheyWereNotLetIn) {
  const Ended ended = Ctl({"room", "invite", "!kept out:here", "@bob:there"});
  EXPECT_EQ(ended.status, 1);
  EXPECT_THAT(ended.errors, HasSubstr("not let in by the gateway"));
}

TEST_F(Commands, SayWhatTheyDo) {
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{}, {"key", "generate"}, {"key", "serve"},   {"key", "show"},      {"key", "forget"},
        {"key", "rotate"},          {"room", "create"},  {"room", "invite"}, {"room", "withdraw"}, {"room", "ban"},
        {"room", "state"},          {"room", "send"},    {"room", "power"},  {"room", "kick"},     {"room", "unban"},
        {"room", "join"},           {"room", "leave"},   {"room", "seed"},   {"room", "show"},     {"member", "show"},
        {"event", "show"},          {"explain"},         {"leave"},          {"outbox"},           {"outbox", "events"},
        {"outbox", "retry"},        {"outbox", "drop"}}) {
    std::vector<std::string> arguments = command;
    arguments.emplace_back("--help");
    const Ended ended = Ctl(arguments);
    EXPECT_EQ(ended.status, 0);
    EXPECT_THAT(ended.output, HasSubstr("example")) << (command.empty() ? "" : command.back());
  }
}

TEST_F(Commands, ShowWhereAServersKeysAreFrom) {
  const Ended shown = Ctl({"key", "show", "b.example"});
  EXPECT_EQ(shown.status, 0);
  for (const char* text : {"ed25519:a ", "notary.example", "old, until 2020", "no route", "nobody is asked before"}) {
    EXPECT_THAT(shown.output, HasSubstr(text));
  }
  EXPECT_THAT(Ctl({"--json", "key", "show", "b.example"}).output, HasSubstr(R"("from":"notary.example")"));
  EXPECT_THAT(Ctl({"key", "show", "unknown.example"}).output, HasSubstr("no keys of unknown.example"));
  EXPECT_EQ(Ctl({"key", "show"}).status, 2);
}

TEST_F(Commands, ShowWhatOtherServersHaveNotHadYet) {
  const Ended shown = Ctl({"outbox"});
  EXPECT_EQ(shown.status, 0);
  for (const char* text : {"away.example", "2023-11-14", "no route \\x1b[31m"}) {
    EXPECT_THAT(shown.output, HasSubstr(text));
  }
  EXPECT_THAT(shown.output, Not(HasSubstr("fine.example")));
  EXPECT_THAT(Ctl({"outbox", "--all"}).output, HasSubstr("fine.example"));
  EXPECT_THAT(Ctl({"--json", "outbox"}).output, HasSubstr(R"("pending":3)"));
}

TEST_F(Commands, SettleADestination) {
  EXPECT_EQ(Ctl({"outbox", "retry", "away.example"}).output, "3 PDUs are tried again now\n");
  EXPECT_EQ(Ctl({"outbox", "drop", "away.example"}).output, "4 PDUs dropped\n");
  EXPECT_EQ(Ctl({"outbox", "drop", "unknown.example"}).status, 1);
}

TEST_F(Commands, ForgetAServersKeys) {
  EXPECT_EQ(Ctl({"key", "forget", "b.example"}).status, 0);
  EXPECT_EQ(Ctl({"key", "forget", "a b"}).status, 1);
}

class Rotation : public Commands {
 protected:
  Rotation() { EXPECT_EQ(RunPosternctl({"key", "generate", "--id", "ed25519:a_1", "--output", keys_}).status, 0); }
  ~Rotation() override { std::filesystem::remove_all(directory_); }

  Ended Rotate(const std::string& id, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"key", "rotate", "--key", keys_, "--old-keys", old_keys_, "--id", id};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Ctl(arguments);
  }

  static std::filesystem::path NewDirectory() {
    auto path = std::filesystem::temp_directory_path() / fmt::format("posternctl-rotation-{}", getpid());
    std::filesystem::create_directory(path);
    return path;
  }
  const std::filesystem::path directory_ = NewDirectory();
  const std::string keys_ = directory_ / "signing.key";
  const std::string old_keys_ = directory_ / "old_verify_keys";
};

TEST_F(Rotation, ReplacesTheFilesAndHasTheGatewayReadThem) {
  const Ended ended = Rotate("ed25519:a_2");
  EXPECT_EQ(ended.status, 0) << ended.errors;
  EXPECT_THAT(RunPosternctl({"key", "show", "--file", keys_}).output, HasSubstr("ed25519:a_2"));
  EXPECT_EQ(std::filesystem::status(keys_).permissions(), std::filesystem::perms{0600});
  EXPECT_TRUE(std::filesystem::exists(old_keys_));
  EXPECT_FALSE(std::filesystem::exists(keys_ + ".new"));
}

TEST_F(Rotation, SaysWhereTheGatewayReadsOtherFiles) {
  const Ended ended = Rotate("ed25519:a_3");
  EXPECT_EQ(ended.status, 1);
  EXPECT_THAT(ended.errors, HasSubstr("other files"));
  EXPECT_EQ(Rotate("ed25519:a_4", {"--no-reload"}).status, 0);
}

TEST_F(Rotation, RefusesAnIdThatIsInUse) {
  EXPECT_EQ(Rotate("ed25519:a_1").status, 2);
  EXPECT_FALSE(std::filesystem::exists(old_keys_));
}

TEST(KeyCommand, NeverWritesOverAFile) {
  const auto path = std::filesystem::temp_directory_path() / fmt::format("posternctl-key-{}", getpid());
  EXPECT_EQ(RunPosternctl({"key", "generate", "--output", path.string()}).status, 0);
  EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms{0600});
  EXPECT_EQ(RunPosternctl({"key", "generate", "--output", path.string()}).status, 1);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace postern::posternctl
