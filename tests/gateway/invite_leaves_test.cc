// Rejecting another server's invite: what is asked of whom, what is signed, and what is tried again (pitfalls L19, L20,
// L21, L23): with real requests over TLS.
#include "services/gateway/invite_leaves.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "matrix/canonical_json.h"
#include "matrix/event_id.h"
#include "tests/gateway/fake_invite_store.h"
#include "tests/gateway/key_endpoint.h"
#include "tests/gateway/loopback_federation.h"
#include "tests/gateway/test_signer.h"

namespace postern::gateway {
namespace {

using matrix::Json;
using matrix::JsonArray;
using matrix::JsonObject;
using KeptInvite = store::v1::ReceivedInvite;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kBob = "@bob:here.example";
const std::string kHash(43, 'a');

std::string ErrorBody(std::string_view errcode) {
  return R"({"errcode":")" + std::string(errcode) + R"(","error":""})";
}

class InviteLeavesTest : public testing::Test {
 protected:
  ~InviteLeavesTest() override {
    if (leaves_ != nullptr) leaves_->Shutdown();
  }

  KeptInvite Invite(const std::string& room, const std::string& version = "10") {
    KeptInvite invite;
    invite.mutable_name()->set_room_id(room);
    invite.mutable_name()->set_user_id(kBob);
    invite.mutable_name()->set_event_id("$" + kHash);
    invite.set_room_version(version);
    invite.set_sender("@ann:" + server_.name());
    invite.set_origin(server_.name());
    invite.set_pdu("{}");
    invite.set_shown_state("[]");
    return invite;
  }
  RemoteMembership Membership(const std::string& version = "10") {
    return {.room_id = room_, .user_id = kBob, .reason = "no", .rules = *matrix::FindRoomRules(version)};
  }
  JsonObject Template(const std::string& version = "10") const {
    const bool carried = version == "1" || version == "2";
    JsonObject event = ObjectOrDie(
        R"({"type":"m.room.member","content":{"membership":"leave","evil":1},"depth":9,"origin":"x","origin_server_ts":1,"unsigned":{"a":1}})");
    event.Set("sender", kBob);
    event.Set("state_key", kBob);
    event.Set("room_id", room_);
    const Json cited =
        carried ? ParseOrDie(R"([["$a:b.example",{"sha256":"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"}]])")
                : Json(JsonArray{Json("$" + kHash)});
    event.Set("prev_events", cited);
    event.Set("auth_events", cited);
    return event;
  }
  static std::string Answer(const JsonObject& event, const std::string& version = "10") {
    JsonObject answer;
    answer.Set("room_version", version);
    answer.Set("event", event);
    return matrix::CanonicalJson(answer);
  }
  /// Answers make_leave with a good template unless given, and send_leave as told, and takes down what it is given.
  void Play(int make_status, const std::string& make_body, int v2_status, const std::string& v2_body = "{}") {
    const std::string body = make_body.empty() ? Answer(Template()) : make_body;
    server_.AnswerBy([=, this](const http::Request& request) -> http::Response {
      const std::lock_guard lock(mutex_);
      asked_.push_back(request.target.substr(19, request.target.find('/', 23) - 19));
      if (request.method == "GET") return {.status = make_status, .headers = {}, .body = body};
      left_ = request.body;
      const bool v1 = request.target.starts_with("/_matrix/federation/v1/");
      return v1 ? http::Response{.status = 200, .headers = {}, .body = "[200,{}]"}
                : http::Response{.status = v2_status, .headers = {}, .body = v2_body};
    });
  }
  LeaveAttempt Leave(const std::string& version = "10") {
    asked_.clear();
    left_.clear();
    return remote_.LeaveBy(*matrix::ServerName::Parse(server_.name()), Membership(version),
                           absl::Now() + absl::Seconds(10));
  }

  void Keep(const KeptInvite& invite) {
    store::v1::KeepInviteRequest request;
    *request.mutable_invite() = invite;
    ASSERT_TRUE(store_.KeepInvite(call_, request).ok());
  }
  void Reject() {
    store::v1::RejectInvitesRequest request;
    request.set_all(true);
    ASSERT_TRUE(store_.RejectInvites(call_, request).ok());
  }
  void Start(unsigned denials = 3) {
    InviteLeavesOptions options;
    options.pause = absl::Milliseconds(10);
    options.back_off = {absl::Milliseconds(1), absl::Milliseconds(1), absl::Milliseconds(5)};
    options.denials_to_believe = denials;
    leaves_ = std::make_unique<InviteLeaves>(signer_, remote_, store_, absl::Now, FairChance(), metrics_, options);
    leaves_->Start();
  }
  KeptInvite Standing() {
    store::v1::ListInvitesRequest request;
    request.set_settled(true);
    return store_.ListInvites(call_, request)->invites(0);
  }
  KeptInvite Await(const std::function<bool(const KeptInvite&)>& holds) {
    const absl::Time deadline = absl::Now() + absl::Seconds(30);
    for (;;) {
      KeptInvite standing = Standing();
      if (holds(standing) || absl::Now() > deadline) return standing;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  KeptInvite AwaitState(store::v1::InviteState state) {
    return Await([=](const KeptInvite& invite) { return invite.state() == state; });
  }

  const rpc::CallContext call_{absl::Now() + absl::Minutes(5), telemetry::NewTrace()};
  const std::string room_ = "!room:there.example";
  std::mutex mutex_;
  std::vector<std::string> asked_;
  std::string left_;
  KeyEndpoint server_;
  telemetry::Metrics metrics_;
  LoopbackFederation federation_{{.allow_private_networks = true, .ca_file = server_.certificate()}};
  EventSigner signer_ = TestSigner();
  FakeInviteStore store_;
  RemoteLeaves remote_{signer_, federation_.client(), absl::Now};
  std::unique_ptr<InviteLeaves> leaves_;
};

TEST_F(InviteLeavesTest, L21_OfATemplateOnlyThePlaceInTheRoomIsTaken) {
  for (const std::string version : {"1", "6", "10", "11"}) {
    Play(200, Answer(Template(version), version), 200);
    const LeaveAttempt attempt = Leave(version);
    ASSERT_EQ(attempt.result, LeaveAttempt::kLeft) << version << attempt.detail;
    EXPECT_THAT(asked_, ElementsAre("/v1/make_leave", "/v2/send_leave"));
    JsonObject leave = ObjectOrDie(left_);
    EXPECT_EQ(*leave.Find("content"), ParseOrDie(R"({"membership":"leave","reason":"no"})"));
    EXPECT_EQ(*leave.Find("sender"), Json(kBob));
    EXPECT_EQ(*leave.Find("state_key"), Json(kBob));
    EXPECT_EQ(*leave.Find("room_id"), Json(room_));
    EXPECT_EQ(*leave.Find("prev_events"), *Template(version).Find("prev_events"));
    EXPECT_EQ(*leave.Find("auth_events"), *Template(version).Find("auth_events"));
    EXPECT_EQ(*leave.Find("depth"), Json(9));
    EXPECT_FALSE(leave.Contains("origin"));
    EXPECT_FALSE(leave.Contains("unsigned"));
    EXPECT_GT(*leave.Find("origin_server_ts")->AsInteger(), 1'000'000);
    EXPECT_TRUE(leave.Find("signatures")->AsObject()->Contains(kOurName));
  }
}

TEST_F(InviteLeavesTest, L21_ATemplateOfAnythingElseIsSignedByNobody) {
  const auto with = [this](std::string_view key, Json value) {
    JsonObject event = Template();
    event.Set(key, std::move(value));
    return Answer(event);
  };
  JsonArray many;
  for (int i = 0; i < 21; ++i) many.emplace_back("$" + std::string(43, static_cast<char>('a' + i)));
  const std::pair<const char*, std::string> rows[] = {
      {"another type", with("type", "m.room.power_levels")},
      {"a join", with("content", ParseOrDie(R"({"membership":"join"})"))},
      {"no content", with("content", "leave")},
      {"another room", with("room_id", "!other:there.example")},
      {"another sender", with("sender", "@cat:here.example")},
      {"another user", with("state_key", "@cat:here.example")},
      {"another version", Answer(Template(), "9")},
      {"a version that is not known", Answer(Template(), "org.new")},
      {"too many prev events", with("prev_events", many)},
      {"too many auth events", with("auth_events", JsonArray(many.begin(), many.begin() + 11))},
      {"no list", with("auth_events", "x")},
      {"what is no event id", with("prev_events", JsonArray{Json(7)})},
      {"a depth below 0", with("depth", -1)},
      {"no JSON", "<html>"},
      {"no event", "{}"},
      {"too long", with("blob", std::string(70'000, 'x'))},
  };
  for (const auto& [what, body] : rows) {
    Play(200, body, 200);
    const LeaveAttempt attempt = Leave();
    EXPECT_EQ(attempt.result, LeaveAttempt::kFailed) << what;
    EXPECT_NE(attempt.detail, "") << what;
    EXPECT_THAT(asked_, ElementsAre("/v1/make_leave")) << what;
  }
}

TEST_F(InviteLeavesTest, AServerSaysNoAsAMatrixServerDoes) {
  struct Row {
    const char* what;
    int make_status;
    std::string make_body;
    int v2_status;
    std::string v2_body;
    LeaveAttempt::Result result;
    std::size_t requests;
  };
  const Row rows[] = {
      {"taken", 200, "", 200, "{}", LeaveAttempt::kLeft, 2},
      {"v2 is not known", 200, "", 404, ErrorBody("M_UNRECOGNIZED"), LeaveAttempt::kLeft, 3},
      {"forbidden", 403, ErrorBody("M_FORBIDDEN"), 200, "{}", LeaveAttempt::kDenied, 1},
      {"not found", 404, ErrorBody("M_NOT_FOUND"), 200, "{}", LeaveAttempt::kDenied, 1},
      {"forbidden by a proxy", 403, "<html>", 200, "{}", LeaveAttempt::kFailed, 1},
      {"not found by a proxy", 404, "<html>", 200, "{}", LeaveAttempt::kFailed, 1},
      {"out of order", 500, "{}", 200, "{}", LeaveAttempt::kFailed, 1},
      {"the leave forbidden", 200, "", 403, ErrorBody("M_FORBIDDEN"), LeaveAttempt::kDenied, 2},
      {"the leave not found", 200, "", 404, ErrorBody("M_NOT_FOUND"), LeaveAttempt::kDenied, 2},
      {"the leave out of order", 200, "", 502, "", LeaveAttempt::kFailed, 2},
      {"the leave refused", 200, "", 400, ErrorBody("M_BAD_JSON"), LeaveAttempt::kFailed, 2},
  };
  for (const Row& row : rows) {
    Play(row.make_status, row.make_body, row.v2_status, row.v2_body);
    EXPECT_EQ(Leave().result, row.result) << row.what;
    EXPECT_EQ(asked_.size(), row.requests) << row.what;
  }
}

TEST_F(InviteLeavesTest, L20_EveryServerThatMayKnowOfTheRoomIsACandidateOnce) {
  KeptInvite invite = Invite("!room:domain.example");
  invite.set_origin("origin.example");
  invite.add_via("via.example");
  invite.add_via("no server");
  invite.set_shown_state(
      R"([{"type":"m.room.create","sender":"@a:create.example"},{"type":"m.room.member","sender":"@b:origin.example",)"
      R"("state_key":"@c:member.example"},{"type":"m.room.member","sender":"@b:origin.example","state_key":"@d:here.example"},)"
      R"({"type":"m.room.name","sender":7,"state_key":"@e:name.example"},7])");
  const auto names = [&](const std::string& version) {
    std::vector<std::string> texts;
    for (const auto& server : ServersToLeaveBy(invite, *matrix::FindRoomRules(version), signer_.server_name())) {
      texts.push_back(server.text());
    }
    return texts;
  };
  EXPECT_THAT(names("10"),
              ElementsAre("via.example", "origin.example", "domain.example", "create.example", "member.example"));
  EXPECT_THAT(names("12"), ElementsAre("via.example", "origin.example", "create.example", "member.example"));
  JsonArray many;
  for (int i = 0; i < 100; ++i) {
    JsonObject event;
    event.Set("type", "m.room.member");
    event.Set("sender", "@a:s" + std::to_string(i) + ".example");
    many.emplace_back(std::move(event));
  }
  invite.set_shown_state(matrix::CanonicalJson(Json(many)));
  EXPECT_EQ(names("10").size(), 20U);
}

TEST_F(InviteLeavesTest, L19_WhatFailsIsTriedAgainUntilAServerTakesIt) {
  Play(500, "{}", 200);
  Keep(Invite(room_));
  Start();
  Reject();
  const auto failing = Await([](const KeptInvite& invite) { return invite.attempts() >= 3; });
  EXPECT_EQ(failing.state(), store::v1::INVITE_STATE_LEAVING);
  EXPECT_THAT(failing.last_error(), HasSubstr("make_leave answered 500"));
  EXPECT_THAT(failing.last_error(), HasSubstr("there.example")) << "each candidate was tried";
  Play(200, "", 200);
  EXPECT_EQ(AwaitState(store::v1::INVITE_STATE_LEFT).state(), store::v1::INVITE_STATE_LEFT);
}

TEST_F(InviteLeavesTest, L19_OneServerThatTakesItIsEnough) {
  Play(200, "", 200);
  KeptInvite invite = Invite(room_);
  invite.set_origin("unreachable.invalid");
  Keep(invite);
  store::v1::RejectInvitesRequest request;
  request.set_all(true);
  request.add_via("gone.invalid");
  request.add_via(server_.name());
  ASSERT_TRUE(store_.RejectInvites(call_, request).ok());
  Start();
  EXPECT_EQ(AwaitState(store::v1::INVITE_STATE_LEFT).state(), store::v1::INVITE_STATE_LEFT);
}

TEST_F(InviteLeavesTest, ThatThereIsNothingToLeaveIsBelievedOnceItWasSaidOftenEnoughByAll) {
  Play(403, ErrorBody("M_FORBIDDEN"), 200);
  KeptInvite invite = Invite("!" + kHash, "12");  // its id names no server that could not be asked
  Keep(invite);
  Reject();
  Start(3);
  const auto settled = AwaitState(store::v1::INVITE_STATE_LEFT_HERE);
  EXPECT_EQ(settled.state(), store::v1::INVITE_STATE_LEFT_HERE);
  EXPECT_EQ(settled.attempts(), 3U);
  EXPECT_THAT(settled.last_error(), HasSubstr("M_FORBIDDEN"));
}

TEST_F(InviteLeavesTest, WhereOneServerCannotBeAskedTheOthersAreNotBelieved) {
  Play(403, ErrorBody("M_FORBIDDEN"), 200);
  Keep(Invite(room_));  // there.example is no server
  Reject();
  Start(2);
  const auto failing = Await([](const KeptInvite& invite) { return invite.attempts() >= 4; });
  EXPECT_EQ(failing.state(), store::v1::INVITE_STATE_LEAVING);
}

TEST_F(InviteLeavesTest, L23_ARoomOfAVersionThatIsNotSupportedIsLeftHereAndNobodyIsAsked) {
  Play(200, "", 200);
  Keep(Invite(room_, "org.old"));
  Reject();
  Start();
  const auto settled = AwaitState(store::v1::INVITE_STATE_LEFT_HERE);
  EXPECT_EQ(settled.state(), store::v1::INVITE_STATE_LEFT_HERE);
  EXPECT_THAT(settled.last_error(), HasSubstr("version"));
  EXPECT_THAT(asked_, IsEmpty());
}

TEST_F(InviteLeavesTest, WhatIsNotDoneIsGivenBackAtTheEnd) {
  Play(500, "{}", 200);
  Keep(Invite(room_));
  Reject();
  Start();
  Await([](const KeptInvite& invite) { return invite.attempts() >= 1; });
  leaves_->Shutdown();
  EXPECT_EQ(Standing().holder(), "");
  EXPECT_EQ(Standing().state(), store::v1::INVITE_STATE_LEAVING);
}

}  // namespace
}  // namespace postern::gateway
