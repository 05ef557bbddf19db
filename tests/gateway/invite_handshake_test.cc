// What the invited user's server is asked, and what of its answer is believed: with a real request over TLS.
#include "services/gateway/invite_handshake.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "matrix/canonical_json.h"
#include "matrix/event_id.h"
#include "tests/gateway/key_endpoint.h"
#include "tests/gateway/leave_rig.h"
#include "tests/gateway/loopback_federation.h"

namespace postern::gateway {
namespace {

using matrix::Json;
using matrix::JsonArray;
using matrix::JsonObject;
using matrix::Reason;
using testing::HasSubstr;

/// A server that answers invites as the test says, and an invite for one of its users.
class Invited : public testing::Test {
 protected:
  void Play(const std::string& version, std::string_view acl = "", std::string_view create = "{}") {
    rig_ = std::make_unique<LeaveRig>(
        LeaveRigOptions{.version = version, .create_content = std::string(create), .acl_content = std::string(acl)});
    rig_->source_.Set(server_.Keys(rig_->clock_.now() + absl::Hours(24)));
    handshake_ = std::make_unique<InviteHandshake>(rig_->signer_, rig_->store_, federation_.client(), rig_->key_ring_,
                                                   [this] { return rig_->clock_.now(); });
    EventIntent intent{"m.room.member", bob_, std::string(kCreator), ObjectOrDie(R"({"membership":"invite"})")};
    auto event = BuildEvent(intent, rig_->room_.NextPlace(intent, rig_->clock_.now()), rig_->rules());
    ASSERT_TRUE(event.ok()) << event.status();
    auto invite = SignDrafted(*std::move(event), rig_->signer_, rig_->rules());
    ASSERT_TRUE(invite.ok()) << invite.status();
    invite_ = std::make_unique<SignedEvent>(*std::move(invite));
  }

  absl::StatusOr<std::string> Ask() {
    return handshake_->SignedByBoth(call_, {*invite_, rig_->room_.room_id(), *matrix::UserId::Parse(kCreator),
                                            *matrix::UserId::Parse(bob_), rig_->rules()});
  }

  JsonObject Invite() const { return ObjectOrDie(invite_->pdu()); }
  /// With the signature of a server of that name by that key.
  JsonObject SignedBy(JsonObject event, const RemoteServer& server) const {
    matrix::SignEvent(event, server.name(), server.key(), rig_->rules());
    return event;
  }
  static http::Response V2(JsonObject event) {
    JsonObject answer;
    answer.Set("event", std::move(event));
    return {.status = 200, .headers = {}, .body = matrix::CanonicalJson(answer)};
  }
  static http::Response V1(JsonObject event) {
    JsonObject container;
    container.Set("event", std::move(event));
    return {
        .status = 200, .headers = {}, .body = matrix::CanonicalJson(JsonArray{Json(200), Json(std::move(container))})};
  }

  KeyEndpoint endpoint_;
  const RemoteServer server_{endpoint_.name()};
  const std::string bob_ = "@bob:" + endpoint_.name();
  LoopbackFederation federation_{{.allow_private_networks = true, .ca_file = endpoint_.certificate()}};
  const rpc::CallContext call_{absl::Now() + absl::Minutes(1), telemetry::NewTrace()};
  std::unique_ptr<LeaveRig> rig_;
  std::unique_ptr<InviteHandshake> handshake_;
  std::unique_ptr<SignedEvent> invite_;
};

TEST_F(Invited, AServerIsShownTheInviteAndWholeEventsOfTheRoomAndItsSignatureIsAdded) {
  for (const std::string version : {"1", "6", "10", "12"}) {
    Play(version);
    endpoint_.Answer(V2(SignedBy(Invite(), server_)));
    const auto pdu = Ask();
    ASSERT_TRUE(pdu.ok()) << version << ": " << pdu.status();
    EXPECT_EQ(ObjectOrDie(*pdu), SignedBy(Invite(), server_)) << version;

    const http::Request asked = endpoint_.last();
    EXPECT_EQ(asked.method, "PUT");
    EXPECT_EQ(asked.target, "/_matrix/federation/v2/invite/" + http::PercentEncode(rig_->room_.room_id()) + "/" +
                                http::PercentEncode(invite_->event_id()));
    const JsonObject content = ObjectOrDie(asked.body);
    EXPECT_EQ(*content.Find("room_version"), Json(version));
    EXPECT_EQ(*content.Find("event")->AsObject(), Invite());
    const JsonArray& state = *content.Find("invite_room_state")->AsArray();
    ASSERT_EQ(state.size(), 3U) << version;  // create, join rules, the inviter
    EXPECT_EQ(state[0], ParseOrDie(rig_->room_.events()[0].pdu)) << version;
  }
}

TEST_F(Invited, AnOldServerIsAskedByVersionOneInOldRoomsOnly) {
  for (const auto& [version, status, by_v1] :
       {std::tuple("1", 404, true), {"2", 400, true}, {"3", 404, false}, {"10", 400, false}, {"1", 403, false}}) {
    Play(version);
    endpoint_.AnswerBy([&, old = status](const http::Request& request) -> http::Response {
      if (!request.target.starts_with("/_matrix/federation/v1/")) return {.status = old, .headers = {}, .body = "{}"};
      return V1(SignedBy(Invite(), server_));
    });
    EXPECT_EQ(Ask().ok(), by_v1) << version << " " << status;
    if (!by_v1) continue;
    const JsonObject content = ObjectOrDie(endpoint_.last().body);
    EXPECT_EQ(*content.Find("type"), Json("m.room.member"));
    EXPECT_EQ(content.Find("unsigned")->AsObject()->Find("invite_room_state")->AsArray()->size(), 3U);
  }
}

TEST_F(Invited, NothingOfTheAnswerIsTakenButASignatureThatHolds) {
  Play("10");
  JsonObject answer = SignedBy(Invite(), server_);
  answer.Set("unsigned", ObjectOrDie(R"({"age":1})"));
  answer = SignedBy(std::move(answer), RemoteServer("third.example"));
  const RemoteServer with_other_key(server_.name(), 'x', "ed25519:x9");
  answer = SignedBy(std::move(answer), with_other_key);
  endpoint_.Answer(V2(answer));
  const auto pdu = Ask();
  ASSERT_TRUE(pdu.ok()) << pdu.status();
  EXPECT_EQ(ObjectOrDie(*pdu), SignedBy(Invite(), server_));
}

TEST_F(Invited, AnAnswerThatIsNoSignedCopyOfTheInviteIsRefused) {
  Play("10");
  JsonObject other = Invite();
  other.Set("depth", 99);
  JsonObject altered = Invite();
  altered.Find("content")->AsObject()->Set("reason", "altered");
  const struct {
    const char* what;
    http::Response answer;
  } rows[] = {
      {"no signature", V2(Invite())},
      {"another event", V2(SignedBy(other, server_))},
      {"content altered", V2(SignedBy(altered, server_))},
      {"signed by another key under the same id", V2(SignedBy(Invite(), RemoteServer(server_.name(), 'z')))},
      {"signed by a key that is not published", V2(SignedBy(Invite(), RemoteServer(server_.name(), 'z', "ed25519:z")))},
      {"signed by another server", V2(SignedBy(Invite(), RemoteServer("third.example")))},
      {"the answer of v1", V1(SignedBy(Invite(), server_))},
      {"no object", {.status = 200, .headers = {}, .body = "[]"}},
      {"no JSON", {.status = 200, .headers = {}, .body = "<html>"}},
      {"signatures of another type", V2([&] {
         JsonObject event = Invite();
         event.Set("signatures", "none");
         return event;
       }())},
  };
  for (const auto& row : rows) {
    endpoint_.Answer(row.answer);
    EXPECT_EQ(matrix::ReasonOf(Ask().status()), Reason::kInviteRefused) << row.what;
  }
}

TEST_F(Invited, ARefusalIsToldApartFromTroubleAndSaysWhatTheServerSaid) {
  Play("10");
  const struct {
    int status;
    Reason reason;
  } rows[] = {{400, Reason::kInviteRefused},   {403, Reason::kInviteRefused},   {404, Reason::kInviteRefused},
              {408, Reason::kPeerUnavailable}, {429, Reason::kPeerUnavailable}, {500, Reason::kPeerUnavailable},
              {503, Reason::kPeerUnavailable}};
  for (const auto& row : rows) {
    endpoint_.Answer({.status = row.status, .headers = {}, .body = R"({"errcode":"M_X","error":"not today"})"});
    const absl::Status status = Ask().status();
    EXPECT_EQ(matrix::ReasonOf(status), row.reason) << row.status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("M_X: not today"));
  }
  endpoint_.Answer({.status = 200, .headers = {}, .body = std::string(512 * 1024, ' ')});
  EXPECT_EQ(matrix::ReasonOf(Ask().status()), Reason::kPeerUnavailable);
}

TEST_F(Invited, AServerThatMayNotBeInTheRoomIsNotAsked) {
  endpoint_.Answer({.status = 500, .headers = {}, .body = ""});
  Play("10", R"({"allow":["*"],"deny":["127.0.0.1"]})");
  EXPECT_EQ(matrix::ReasonOf(Ask().status()), Reason::kFederationForbidden);
  Play("10", "", R"({"m.federate":false})");
  EXPECT_EQ(matrix::ReasonOf(Ask().status()), Reason::kFederationForbidden);
  EXPECT_EQ(endpoint_.last().target, "");
}

}  // namespace
}  // namespace postern::gateway
