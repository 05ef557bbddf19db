// Another server's invites of our users: what is signed, what is refused, and how they are taken back (pitfalls K08,
// L17, T07).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "matrix/canonical_json.h"
#include "matrix/event_id.h"
#include "matrix/redaction.h"
#include "matrix/signature.h"
#include "services/gateway/invite_route.h"
#include "services/store/invite_request.h"
#include "tests/gateway/fake_invite_store.h"
#include "tests/gateway/leave_rig.h"

namespace postern::gateway {
namespace {

using matrix::Json;
using matrix::JsonArray;
using matrix::JsonObject;
using matrix::Reason;
using matrix::Refuse;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::string_view kBob = "@bob:here.example";

/// An invite on its way, whose parts a test may alter before it is signed and after.
struct Sent {
  std::string version;
  std::string room_id;
  JsonObject event;
  JsonArray shown;
  std::string path_room;
  std::string path_event{};
};

class ReceivedInvites : public testing::TestWithParam<std::string> {
 protected:
  ReceivedInvites() : rig_({.version = GetParam()}) { Serve(); }

  void Serve() {
    rig_.store_.on_template = [](const auto&) { return Refuse(Reason::kUnknownRoom, "not here"); };
    rig_.store_.on_received_transaction = [](const auto&) { return store::v1::ReceivedTransaction(); };
    rig_.store_.on_keep_transaction = [](const auto& request) {
      store::v1::ReceivedTransaction kept;
      kept.set_answer(request.answer());
      return kept;
    };
    const std::vector<RouteEntry> routes{
        {"invite_v1", "PUT", "/_matrix/federation/v1/invite/{}/{}", &invite_v1_, nullptr},
        {"invite_v2", "PUT", "/_matrix/federation/v2/invite/{}/{}", &invite_v2_, nullptr},
        {"send", "PUT", "/_matrix/federation/v1/send/{}", &send_, nullptr, kTransactionBytes}};
    rig_.router_ = std::make_unique<HttpRouter>(
        routes, rig_.peer_auth_, &rig_.addresses_, &rig_.origins_, rig_.workers_, [this] { return rig_.clock_.now(); },
        rig_.metrics_, RouterOptions{.longest_wait = absl::InfiniteDuration(), .client_address_header = {}});
  }

  bool IsCarried() const { return rig_.rules().event_id_format == matrix::EventIdFormat::kCarried; }
  Json Cite(std::string_view id) const {
    if (!IsCarried()) return Json(std::string(id));
    return JsonArray{Json(std::string(id)), ObjectOrDie(R"({"sha256":"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"})")};
  }
  std::string Id(char letter) const {
    return IsCarried() ? std::string("$") + letter + ":remote.example:8448" : "$" + std::string(43, letter);
  }
  JsonObject Member(std::string_view sender, std::string_view user, std::string_view membership,
                    const std::string& room_id, std::vector<std::string> auth) const {
    JsonObject event, content;
    content.Set("membership", membership);
    event.Set("type", "m.room.member");
    event.Set("sender", sender);
    event.Set("state_key", user);
    event.Set("room_id", room_id);
    event.Set("content", std::move(content));
    event.Set("origin_server_ts", absl::ToUnixMillis(rig_.clock_.now()));
    event.Set("depth", 7);
    event.Set("prev_events", JsonArray{Cite(Id('p'))});
    JsonArray cited;
    for (const std::string& id : auth) cited.push_back(Cite(id));
    event.Set("auth_events", std::move(cited));
    if (IsCarried()) event.Set("event_id", "$" + RandomLetters(8) + ":" + std::string(kRemoteName));
    return event;
  }
  /// The create event, whole, and the room's name, stripped.
  JsonArray Shown(std::string& room_id) const {
    JsonObject create, content;
    if (rig_.rules().creator_in_content) content.Set("creator", kAnn);
    content.Set("room_version", rig_.options_.version);
    create.Set("type", "m.room.create");
    create.Set("sender", kAnn);
    create.Set("state_key", "");
    create.Set("content", std::move(content));
    create.Set("origin_server_ts", 1);
    create.Set("depth", 1);
    create.Set("prev_events", JsonArray());
    create.Set("auth_events", JsonArray());
    room_id = "!room:remote.example:8448";
    if (!rig_.rules().room_id_is_create_hash) create.Set("room_id", room_id);
    if (IsCarried()) create.Set("event_id", Id('c'));
    create = rig_.remote_.Complete(std::move(create), rig_.rules());
    if (rig_.rules().room_id_is_create_hash) room_id = "!" + matrix::ComputeEventId(create, rig_.rules()).substr(1);
    return {
        Json(std::move(create)),
        ParseOrDie(R"({"type":"m.room.name","state_key":"","sender":"@eve:third.example","content":{"name":"x"}})")};
  }
  Sent Invite() const {
    Sent sent;
    sent.version = rig_.options_.version;
    sent.shown = Shown(sent.room_id);
    sent.event = Member(kAnn, kBob, "invite", sent.room_id, {Id('a')});
    sent.path_room = sent.room_id;
    return sent;
  }
  http::Response Put(const Sent& sent, bool v1 = false) {
    JsonObject content;
    if (v1) {
      content = sent.event;
      JsonObject told;
      told.Set("invite_room_state", sent.shown);
      content.Set("unsigned", std::move(told));
    } else {
      content.Set("room_version", sent.version);
      content.Set("event", sent.event);
      content.Set("invite_room_state", sent.shown);
    }
    const std::string id = sent.path_event.empty() ? rig_.EventId(sent.event) : sent.path_event;
    const Json body(std::move(content));
    return rig_.Send(rig_.remote_.Request("PUT",
                                          std::string("/_matrix/federation/") + (v1 ? "v1" : "v2") + "/invite/" +
                                              http::PercentEncode(sent.path_room) + "/" + http::PercentEncode(id),
                                          &body));
  }
  http::Response Submit(Sent sent, bool v1 = false) {
    sent.event = rig_.remote_.Complete(std::move(sent.event), rig_.rules());
    return Put(sent, v1);
  }
  std::vector<store::v1::ReceivedInvite> Kept(bool settled = false) {
    store::v1::ListInvitesRequest request;
    request.set_settled(settled);
    const auto page = invites_.ListInvites(call_, request);
    return {page->invites().begin(), page->invites().end()};
  }

  /// The answer to the one PDU of a transaction: "" or its error.
  std::string SendPdu(const JsonObject& pdu) {
    JsonObject content;
    content.Set("origin", kRemoteName);
    content.Set("origin_server_ts", 1);
    content.Set("pdus", JsonArray{Json(pdu)});
    const Json body(std::move(content));
    const auto response =
        rig_.Send(rig_.remote_.Request("PUT", "/_matrix/federation/v1/send/" + RandomLetters(8), &body));
    EXPECT_EQ(response.status, 200) << response.body;
    const JsonObject answer = ObjectOrDie(response.body);
    const Json* result = answer.Find("pdus")->AsObject()->Find(rig_.EventId(pdu));
    if (result == nullptr) return "no result";
    const Json* error = result->AsObject()->Find("error");
    return error == nullptr ? "" : *error->AsString();
  }

  const rpc::CallContext call_{absl::Now() + absl::Minutes(5), telemetry::NewTrace()};
  FakeInviteStore invites_;
  LeaveRig rig_;
  InviteServices services_{rig_.store_,  invites_, rig_.signer_, rig_.key_ring_, [this] { return rig_.clock_.now(); },
                           rig_.metrics_};
  InviteRoute invite_v1_{InviteApi::kV1, services_};
  InviteRoute invite_v2_{InviteApi::kV2, services_};
  WithdrawnInvites withdrawn_{*matrix::ServerName::Parse(kOurName), invites_, rig_.key_ring_,
                              [this] { return rig_.clock_.now(); }};
  SendRoute send_{{rig_.store_, rig_.validator_, rig_.signer_, rig_.key_ring_, rig_.metrics_, rig_.turns_, rig_.access_,
                   2, [](const auto&, auto) {}},
                  nullptr,
                  {},
                  &withdrawn_};
};

TEST_P(ReceivedInvites, AreSignedAndKeptAndTheSameAgainIsAnsweredAlike) {
  Sent sent = Invite();
  sent.event = rig_.remote_.Complete(std::move(sent.event), rig_.rules());
  const auto response = Put(sent);
  ASSERT_EQ(response.status, 200) << response.body;
  JsonObject expected = sent.event;
  const auto answer = ObjectOrDie(response.body);
  const JsonObject& event = *answer.Find("event")->AsObject();
  const JsonObject& signatures = *event.Find("signatures")->AsObject();
  ASSERT_TRUE(signatures.Contains(kOurName));
  expected.Set("signatures", signatures);
  EXPECT_EQ(event, expected) << "all else stays";
  EXPECT_TRUE(matrix::VerifyJson(matrix::Redact(event, rig_.rules()), std::string(kOurName), "ed25519:h1",
                                 rig_.signer_.PublicKeys(absl::Now()).keys.front().public_key));
  EXPECT_EQ(Put(sent).body, response.body);
  const auto kept = Kept();
  ASSERT_EQ(kept.size(), 1U);
  EXPECT_EQ(kept[0].name().room_id(), sent.room_id);
  EXPECT_EQ(kept[0].name().user_id(), kBob);
  EXPECT_EQ(kept[0].name().event_id(), rig_.EventId(sent.event));
  EXPECT_EQ(kept[0].sender(), kAnn);
  EXPECT_EQ(kept[0].origin(), kRemoteName);
  EXPECT_EQ(kept[0].room_version(), rig_.options_.version);
  const Json shown = ParseOrDie(kept[0].shown_state());
  ASSERT_EQ(shown.AsArray()->size(), 2U);
  EXPECT_EQ((*shown.AsArray())[1], sent.shown[1]);
  EXPECT_FALSE((*shown.AsArray())[0].AsObject()->Contains("hashes")) << "stripped";
}

TEST_P(ReceivedInvites, OfVersionOneOfTheEndpointAreOfOldRooms) {
  const auto response = Submit(Invite(), true);
  if (!IsCarried()) {
    EXPECT_EQ(response.status, 400) << response.body;
    return;
  }
  ASSERT_EQ(response.status, 200) << response.body;
  const Json answer = ParseOrDie(response.body);
  ASSERT_EQ(answer.AsArray()->size(), 2U);
  EXPECT_EQ((*answer.AsArray())[0], Json(200));
  EXPECT_EQ(ParseOrDie(Kept()[0].shown_state()).AsArray()->size(), 2U);
}

TEST_P(ReceivedInvites, ThatAreNoneAreRefusedAndNothingIsSigned) {
  using Alter = std::function<void(Sent&)>;
  struct Row {
    const char* what;
    Alter before;  // it is signed
    Alter after;
    int status;
    const char* errcode;
  };
  const auto none = [](Sent&) {};
  const auto set = [](std::string_view key, Json value) { return [=](Sent& sent) { sent.event.Set(key, value); }; };
  const auto membership = [](std::string_view value) {
    return [=](Sent& sent) { sent.event.Find("content")->AsObject()->Set("membership", value); };
  };
  const std::vector<Row> rows{
      {"a version that is not known", none, [](Sent& s) { s.version = "org.new"; }, 400, "M_INCOMPATIBLE_ROOM_VERSION"},
      {"no list shown", none, [](Sent& s) { s.shown = {Json("text")}; }, 400, "M_BAD_JSON"},
      {"another type", set("type", "m.room.topic"), none, 400, "M_INVALID_PARAM"},
      {"no state event", [](Sent& s) { s.event.Erase("state_key"); }, none, 400, "M_INVALID_PARAM"},
      {"a leave", membership("leave"), none, 400, "M_INVALID_PARAM"},
      {"a join", membership("join"), none, 400, "M_INVALID_PARAM"},
      {"another server's user", set("state_key", "@bob:third.example"), none, 400, "M_INVALID_PARAM"},
      {"nobody", set("state_key", "bob"), none, 400, "M_INVALID_PARAM"},
      {"another server's sender", set("sender", "@eve:third.example"), none, 400, "M_INVALID_PARAM"},
      {"our own sender", set("sender", "@eve:here.example"), none, 400, "M_INVALID_PARAM"},
      {"another room in the path", none, [](Sent& s) { s.path_room = "!other:remote.example:8448"; }, 400,
       "M_INVALID_PARAM"},
      {"another id in the path", none, [this](Sent& s) { s.path_event = Id('x'); }, 400, "M_INVALID_PARAM"},
      {"no depth", [](Sent& s) { s.event.Erase("depth"); }, none, 400, "M_BAD_JSON"},
      {"too many auth events", [this](Sent& s) { s.event.Set("auth_events", JsonArray(11, Cite(Id('a')))); }, none, 400,
       "M_BAD_JSON"},
      {"content that was altered", none,
       [](Sent& s) { s.event.Find("content")->AsObject()->Set("displayname", "else"); }, 400, "M_INVALID_PARAM"},
      {"unsigned", none, [](Sent& s) { s.event.Set("signatures", JsonObject()); }, 400, "M_INVALID_PARAM"},
      {"signed by another server", none,
       [this](Sent& s) {
         const RemoteServer third("third.example");
         s.event.Set("signatures", JsonObject());
         matrix::SignEvent(s.event, third.name(), third.key(), rig_.rules());
       },
       400, "M_INVALID_PARAM"},
      {"signed by another key of the same id", none,
       [this](Sent& s) {
         const RemoteServer other(kRemoteName, 'z');
         matrix::SignEvent(s.event, other.name(), other.key(), rig_.rules());
       },
       400, "M_INVALID_PARAM"},
      {"unsigned, by a third party's word",
       [](Sent& s) {
         s.event.Find("content")->AsObject()->Set(
             "third_party_invite", ObjectOrDie(R"({"display_name":"x","signed":{"mxid":"x","token":"y"}})"));
       },
       [this](Sent& s) {
         const RemoteServer other(kRemoteName, 'z');
         s.event.Set("signatures", JsonObject());
         matrix::SignEvent(s.event, other.name(), other.key(), rig_.rules());
       },
       400, "M_INVALID_PARAM"},
      {"too long with our signature",
       [this](Sent& s) {
         JsonObject& content = *s.event.Find("content")->AsObject();
         content.Set("reason", "");
         const std::size_t bytes = matrix::CanonicalJson(rig_.remote_.Complete(s.event, rig_.rules())).size();
         s.event.Find("content")->AsObject()->Set("reason", std::string(matrix::kMaxEventBytes - bytes, 'x'));
       },
       none, 413, "M_TOO_LARGE"},
  };
  for (const Row& row : rows) {
    Sent sent = Invite();
    row.before(sent);
    sent.event = rig_.remote_.Complete(std::move(sent.event), rig_.rules());
    row.after(sent);
    const auto response = Put(sent);
    EXPECT_EQ(response.status, row.status) << row.what << ": " << response.body;
    EXPECT_EQ(ErrcodeOf(response), row.errcode) << row.what;
    EXPECT_EQ(response.body.find("\"here.example\":{"), std::string::npos) << row.what;
    EXPECT_THAT(Kept(true), IsEmpty()) << row.what;
  }
}

TEST_P(ReceivedInvites, OfVersionTwelveShowTheCreateEventWhoseHashIsTheRoomsId) {
  const bool matters = rig_.rules().room_id_is_create_hash;
  Sent without = Invite();
  without.shown.erase(without.shown.begin());
  EXPECT_EQ(Submit(without).status, matters ? 400 : 200);
  Sent other = Invite();
  other.shown[0].AsObject()->Set("origin_server_ts", 2);
  EXPECT_EQ(Submit(other).status, matters ? 400 : 200);
  Sent stripped = Invite();
  stripped.shown[0].AsObject()->Erase("auth_events");
  EXPECT_EQ(Submit(stripped).status, 200) << "of an older server";
}

TEST_P(ReceivedInvites, OfARoomThatIsHereAreSignedAndLeftToTheRoom) {
  if (rig_.rules().room_id_is_create_hash) return;  // the room of the rig has another id
  Sent sent = Invite();
  const auto answer = [this](bool resident) {
    store::v1::TemplateContext context;
    *context.mutable_judging() = rig_.room_.State();
    context.set_resident(resident);
    return context;
  };
  rig_.store_.on_template = [&](const auto&) { return answer(true); };
  EXPECT_EQ(Submit(sent).status, 200);
  EXPECT_THAT(Kept(), IsEmpty());
  rig_.store_.on_template = [&](const auto&) { return answer(false); };
  EXPECT_EQ(Submit(sent).status, 200);
  EXPECT_EQ(Kept().size(), 1U) << "we were in it once";
  rig_.store_.on_template = [](const auto&) { return Refuse(Reason::kStoreDown, "away"); };
  EXPECT_EQ(Submit(sent).status, 503);
}

TEST_P(ReceivedInvites, ThatAreTooManyAreRefused) {
  for (int i = 0; i < store::kMostInvitesOfUser; ++i) {
    store::v1::KeepInviteRequest request;
    auto& invite = *request.mutable_invite();
    invite.mutable_name()->set_room_id("!" + std::to_string(i));
    invite.mutable_name()->set_user_id(std::string(kBob));
    invite.mutable_name()->set_event_id("$1");
    invite.set_room_version("10");
    invite.set_sender("@eve:third.example");
    invite.set_origin("third.example");
    invite.set_pdu("{}");
    ASSERT_TRUE(invites_.KeepInvite(call_, request).ok());
  }
  const auto response = Submit(Invite());
  EXPECT_EQ(response.status, 429) << response.body;
  EXPECT_EQ(ErrcodeOf(response), "M_LIMIT_EXCEEDED");
  invites_.down_ = Refuse(Reason::kStoreDown, "away");
  EXPECT_EQ(Submit(Invite()).status, 503);
}

TEST_P(ReceivedInvites, L17_AreWithdrawnByWhoInvitedAndNobodyElse) {
  Sent sent = Invite();
  sent.event = rig_.remote_.Complete(std::move(sent.event), rig_.rules());
  ASSERT_EQ(Put(sent).status, 200);
  const std::string invite = rig_.EventId(sent.event);
  const auto leave = [&](std::string_view sender, const std::string& cited, std::string_view membership = "leave",
                         std::string_view user = kBob) {
    return Member(sender, user, membership, sent.room_id, {Id('a'), cited});
  };
  const auto complete = [&](JsonObject event) { return rig_.remote_.Complete(std::move(event), rig_.rules()); };
  JsonObject unsigned_leave = complete(leave(kAnn, invite));
  unsigned_leave.Set("signatures", JsonObject());
  JsonObject by_another_key = leave(kAnn, invite);
  by_another_key = RemoteServer(kRemoteName, 'z').Complete(std::move(by_another_key), rig_.rules());
  const std::pair<const char*, JsonObject> refused[] = {
      {"without the invite", complete(leave(kAnn, Id('b')))},
      {"by another user of that server", complete(leave("@eve:remote.example:8448", invite))},
      {"unsigned", unsigned_leave},
      {"by another key", by_another_key},
      {"a ban", complete(leave(kAnn, invite, "ban"))},
      {"by the user", complete(leave(kBob, invite))},
      {"of another user", complete(leave(kAnn, invite, "leave", "@cat:here.example"))},
  };
  for (const auto& [what, pdu] : refused) {
    EXPECT_NE(SendPdu(pdu), "") << what;
    EXPECT_EQ(Kept().size(), 1U) << what;
  }
  EXPECT_EQ(SendPdu(complete(leave(kAnn, invite))), "");
  EXPECT_THAT(Kept(), IsEmpty());
  EXPECT_EQ(Kept(true)[0].state(), store::v1::INVITE_STATE_WITHDRAWN);
  EXPECT_EQ(Put(sent).status, 200) << "a late repeat is answered, and opens nothing";
  EXPECT_THAT(Kept(), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Versions, ReceivedInvites, testing::Values("1", "3", "6", "10", "12"),
                         [](const auto& tested) { return "V" + tested.param; });

}  // namespace
}  // namespace postern::gateway
