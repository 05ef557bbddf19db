// What other servers tell by transactions: each PDU for itself, whatever its neighbours are; once, whoever repeats it
// (pitfalls J05, A01, A09, R03, D01, O02).
#include "services/gateway/send_route.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "matrix/base64.h"
#include "matrix/canonical_json.h"
#include "matrix/event_id.h"
#include "matrix/refusal.h"
#include "tests/gateway/on_fakes.h"

namespace postern::gateway {
namespace {

using matrix::Json;
using matrix::JsonArray;
using matrix::JsonObject;
using matrix::Reason;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

/// A room of ours in which five users of another server are joined.
class Sending : public OnFakes {
 protected:
  Sending() : Sending("10") {}
  explicit Sending(const std::string& version) : OnFakes(version) {
    rig_.source_.Set(stranger_.Keys(rig_.clock_.now() + absl::Hours(24)));
    room_ = MakeRoom("public");
    users_ = Fill(room_, 5, "join");
    rig_.clock_.Advance(absl::Seconds(5));
  }

  /// An event of a user as the room is now; neither hashed nor signed.
  JsonObject Draft(const std::string& user, std::string_view type, std::string_view content,
                   const std::string* state_key = nullptr) {
    JsonObject event = Template(room_.room_id, user);
    event.Set("type", type);
    event.Set("content", ObjectOrDie(content));
    event.Erase("state_key");
    event.Erase("origin");  // which some versions hash: the id would depend on the version
    if (state_key != nullptr) event.Set("state_key", *state_key);
    return event;
  }
  JsonObject MessageDraft() {
    return Draft(users_[0], "m.room.message", R"({"body":")" + std::to_string(++messages_) + "\"}");
  }
  JsonObject Complete(JsonObject event) { return rig_.remote_.Complete(std::move(event), rig_.rules()); }
  JsonObject Message() { return Complete(MessageDraft()); }
  Json ReferenceTo(const JsonObject& event) {
    Json id(rig_.EventId(event));
    if (rig_.rules().event_id_format != matrix::EventIdFormat::kCarried) return id;
    JsonObject hashes;
    hashes.Set("sha256", matrix::EncodeBase64(matrix::ReferenceHash(event, rig_.rules())));
    return JsonArray{std::move(id), Json(std::move(hashes))};
  }
  JsonObject MessageAfter(const JsonObject& prev) {
    JsonObject event = MessageDraft();
    event.Set("prev_events", JsonArray{ReferenceTo(prev)});
    event.Set("depth", *prev.Find("depth")->AsInteger() + 1);
    return Complete(std::move(event));
  }
  /// The id that the current state has there.
  std::string Entry(std::string_view type, std::string_view key = "") {
    store::v1::GetRoomRequest request;
    request.set_room_id(room_.room_id);
    const auto described = store_.GetRoom(call_, request);
    for (const auto& entry : described->state()) {
      if (entry.type() == type && entry.state_key() == key) return entry.event_id();
    }
    return "";
  }
  /// A user's join of the public room.
  JsonObject JoinDraft(const std::string& user) {
    JsonObject event = Draft(users_[0], "m.room.member", R"({"membership":"join","displayname":"New"})", &user);
    event.Set("sender", user);
    event.Set("auth_events",
              JsonArray{Entry("m.room.create"), Entry("m.room.power_levels"), Entry("m.room.join_rules")});
    return event;
  }

  http::Request Transaction(const std::string& id, const JsonArray& pdus, const JsonArray& edus = {}) {
    JsonObject body;
    body.Set("origin", rig_.remote_.name());
    body.Set("origin_server_ts", absl::ToUnixMillis(rig_.clock_.now()));
    body.Set("pdus", pdus);
    if (!edus.empty()) body.Set("edus", edus);
    return Put(id, body);
  }
  http::Request Put(const std::string& id, const JsonObject& body) {
    const Json content(body);
    return rig_.remote_.Request("PUT", "/_matrix/federation/v1/send/" + http::PercentEncode(id), &content);
  }
  http::Response Send(const JsonArray& pdus) {
    return rig_.Send(Transaction("t" + std::to_string(++transactions_), pdus));
  }
  /// `pdus` of the answer.
  static JsonObject ResultsIn(const http::Response& response) {
    EXPECT_EQ(response.status, 200) << response.body;
    if (response.status != 200) return {};
    return *ObjectOrDie(response.body).Find("pdus")->AsObject();
  }
  /// "": taken; "none": there is no result.
  std::string ErrorOf(const JsonObject& results, const JsonObject& event) {
    const Json* result = results.Find(rig_.EventId(event));
    if (result == nullptr) return "none";
    const Json* error = result->AsObject()->Find("error");
    return error == nullptr ? "" : *error->AsString();
  }
  std::string ErrorOf(const JsonObject& event) { return ErrorOf(ResultsIn(Send({event})), event); }
  bool IsStored(const JsonObject& event) {
    store::v1::GetEventRequest request;
    request.set_event_id(rig_.EventId(event));
    const auto record = store_.GetEvent(call_, request);
    return record.ok() && record->outcome() == matrix::v1::OUTCOME_ACCEPTED;
  }
  std::int64_t Counted(const std::string& sample) {
    const std::string text = "\n" + rig_.metrics_.Expose(), line = "\n" + sample + " ";
    const auto at = text.find(line);
    return at == std::string::npos ? 0 : std::atoll(text.c_str() + at + line.size());
  }
  std::int64_t Pdus(std::string_view result) {
    return Counted("postern_gateway_received_pdus_total{result=\"" + std::string(result) + "\"}");
  }
  std::size_t OutboxRows() {
    store::v1::ListOutboxRequest request;
    request.set_room_id(room_.room_id);
    return static_cast<std::size_t>(store_.ListOutbox(call_, request)->rows_size());
  }

  const RemoteServer stranger_{"stranger.example", 's', "ed25519:s1"};
  CreatedRoom room_;
  std::vector<std::string> users_;
  int messages_ = 0;
  int transactions_ = 0;
};

class SendingOfVersion : public Sending {
 protected:
  SendingOfVersion() : Sending(GetParam()) {}
};
INSTANTIATE_TEST_SUITE_P(Versions, SendingOfVersion, testing::Values("1", "3", "6", "11", "12"),
                         [](const auto& version) { return "V" + version.param; });

TEST_P(SendingOfVersion, MessagesAndStateAndMembersAreTaken) {
  const JsonObject first = Message(), second = MessageAfter(first);
  JsonObject leave = Template(room_.room_id, users_[1]);
  leave.Set("prev_events", JsonArray{ReferenceTo(second)});
  leave.Set("depth", *second.Find("depth")->AsInteger() + 1);
  const JsonObject completed = Complete(std::move(leave));
  const JsonObject results = ResultsIn(Send({first, second, completed}));
  EXPECT_THAT(results, SizeIs(3));
  for (const JsonObject* event : {&first, &second, &completed}) {
    EXPECT_EQ(ErrorOf(results, *event), "");
    EXPECT_TRUE(IsStored(*event));
  }
  EXPECT_EQ(MembershipOf(room_.room_id, users_[1]), "leave");
  EXPECT_EQ(ErrorOf(first), "") << "again, by another transaction";
  EXPECT_EQ(Pdus("accepted"), 4);
}

TEST_F(Sending, WhatComesSoIsKeptAsItIsAndToldToNobody) {
  const std::size_t rows = OutboxRows();
  const JsonObject message = Message();
  EXPECT_EQ(ErrorOf(message), "");
  const auto persists = rig_.store_.persists();
  ASSERT_THAT(persists, Not(IsEmpty()));
  EXPECT_EQ(persists.back().pdu(), matrix::CanonicalJson(message)) << "with no signature of this server";
  EXPECT_EQ(persists.back().origin(), kRemoteName);
  EXPECT_TRUE(persists.back().told_by_origin());
  EXPECT_EQ(OutboxRows(), rows);
  // A leave that is submitted is told as ever.
  ASSERT_EQ(Submit(room_.room_id, Leave(room_.room_id, users_[1])).status, 200);
  EXPECT_EQ(OutboxRows(), rows + 1);
}

TEST_F(Sending, AJoinComesWithItsMembership) {
  const std::string user = "@new:" + std::string(kRemoteName);
  EXPECT_EQ(ErrorOf(Complete(JoinDraft(user))), "");
  store::v1::GetMemberRequest request;
  request.set_room_id(room_.room_id);
  request.set_user_id(user);
  const auto member = store_.GetMember(call_, request);
  ASSERT_TRUE(member.ok()) << member.status();
  EXPECT_EQ(member->membership(), "join");
  EXPECT_EQ(member->displayname(), "New");
}

TEST_F(Sending, AnEventOfAnotherServerIsTakenIfThatHasSignedIt) {
  const JsonObject draft = JoinDraft("@new:stranger.example");
  EXPECT_THAT(ErrorOf(Complete(draft)), HasSubstr("sign")) << "by its sender's server, not by the one that sends it";
  const JsonObject join = stranger_.Complete(draft, rig_.rules());
  EXPECT_EQ(ErrorOf(join), "");
  EXPECT_EQ(MembershipOf(room_.room_id, "@new:stranger.example"), "join");
}

TEST_F(Sending, AServerWhoseKeysCannotBeHadCostsItsEventsOnly) {
  const JsonObject join = stranger_.Complete(JoinDraft("@new:stranger.example"), rig_.rules());
  rig_.source_.Remove("stranger.example");
  const JsonObject message = Message();
  const JsonObject results = ResultsIn(Send({join, message}));
  EXPECT_THAT(ErrorOf(results, join), HasSubstr("signing key unavailable"));
  EXPECT_EQ(ErrorOf(results, message), "");
}

class BadNeighbour : public Sending {};

TEST_F(BadNeighbour, IsAnsweredForItselfAlone) {
  const auto completed = [this](auto change) {
    JsonObject event = MessageDraft();
    change(event);
    return Json(Complete(std::move(event)));
  };
  const auto spoilt = [this](auto change) {
    JsonObject event = Message();
    change(event);
    return Json(std::move(event));
  };
  rig_.store_.on_template = [this](const store::v1::GetTemplateContextRequest& request) {
    auto context = client_.GetTemplateContext(call_, request);
    if (request.room_id() != "!future:there.example") return context;
    store::v1::TemplateContext future;
    future.mutable_judging()->set_room_version("99");
    return absl::StatusOr<store::v1::TemplateContext>(future);
  };
  const std::string no_key;
  const struct {
    const char* name;
    Json pdu;
    const char* result;  // as it is counted
  } cases[] = {
      {"no object", Json(7), "bad_format"},
      {"no room", completed([](auto& event) { event.Erase("room_id"); }), "bad_format"},
      {"a room id that is none", completed([](auto& event) { event.Set("room_id", "x"); }), "bad_format"},
      {"unknown room", completed([](auto& event) { event.Set("room_id", "!none:there.example"); }), "unknown_room"},
      {"unknown version", completed([](auto& event) { event.Set("room_id", "!future:there.example"); }),
       "unsupported_version"},
      {"depth", completed([](auto& event) { event.Set("depth", "7"); }), "bad_format"},
      {"too large", completed([](auto& event) { event.Set("more", std::string(70'000, 'x')); }), "bad_format"},
      {"altered", spoilt([](auto& event) { event.Set("origin_server_ts", 7); }), "bad_signature"},
      {"unsigned", spoilt([](auto& event) { event.Erase("signatures"); }), "bad_format"},
      {"signatures of nobody", spoilt([](auto& event) { event.Set("signatures", JsonObject()); }), "bad_signature"},
      {"not allowed", Json(Complete(Draft(users_[0], "m.room.topic", R"({"topic":"x"})", &no_key))), "not_authorised"},
      {"unknown auth event", completed([](auto& event) { event.Set("auth_events", JsonArray{"$unknown"}); }),
       "unknown_events"},
      {"a gap that stays", completed([](auto& event) { event.Set("prev_events", JsonArray{"$unknown"}); }),
       "unknown_events"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    const std::int64_t counted = Pdus(c.result);
    const JsonObject before = Message(), after = Message();
    const JsonObject results = ResultsIn(Send({before, c.pdu, after}));
    EXPECT_EQ(ErrorOf(results, before), "");
    EXPECT_EQ(ErrorOf(results, after), "");
    EXPECT_EQ(Pdus(c.result), counted + 1);
    const bool has_id = c.pdu.AsObject() != nullptr;
    EXPECT_THAT(results, SizeIs(has_id ? 3 : 2)) << "what has no id has no result";
    for (const auto& [id, result] : results) {
      if (id == rig_.EventId(before) || id == rig_.EventId(after)) continue;
      EXPECT_EQ(id, rig_.EventId(*c.pdu.AsObject()));
      EXPECT_NE(*result.AsObject()->Find("error")->AsString(), "");
    }
  }
}

TEST_F(Sending, OfAContentThatDoesNotMatchItsHashTheRedactedCopyIsTaken) {
  JsonObject message = Message();
  message.Set("content", ObjectOrDie(R"({"body":"altered"})"));
  EXPECT_EQ(ErrorOf(message), "");
  EXPECT_THAT(rig_.store_.persists().back().pdu(), Not(HasSubstr("altered")));
}

TEST_F(Sending, A01_AnUnsignedCopyOfAStoredEventIsNotTaken) {
  const JsonObject message = Message();
  JsonObject copy = message;
  copy.Set("signatures", JsonObject());
  ASSERT_EQ(ErrorOf(message), "");
  EXPECT_THAT(ErrorOf(copy), HasSubstr("sign"));
  const JsonObject other = Message();
  JsonObject other_copy = other;
  other_copy.Set("signatures", JsonObject());
  EXPECT_EQ(ErrorOf(ResultsIn(Send({other_copy, other})), other), "") << "of two copies the good one counts";
  const JsonObject third = Message();
  JsonObject third_copy = third;
  third_copy.Set("signatures", JsonObject());
  EXPECT_EQ(ErrorOf(ResultsIn(Send({third, third_copy})), third), "");
}

TEST_P(SendingOfVersion, AnotherCopyUnderAnIdThatIsTakenEndsNoTransaction) {
  const JsonObject message = Message();
  ASSERT_EQ(ErrorOf(message), "");
  JsonObject copy = message;
  copy.Find("signatures")->AsObject()->Set("more.example", ObjectOrDie(R"({"ed25519:x":"AAAA"})"));
  EXPECT_EQ(ErrorOf(copy), "") << "the same event, and the sender's server has signed it so";
  const JsonObject after = Message();
  JsonObject unsigned_copy = message;
  unsigned_copy.Find("signatures")->AsObject()->Set(kRemoteName, ObjectOrDie(R"({"ed25519:r1":"AAAA"})"));
  const JsonObject results = ResultsIn(Send({unsigned_copy, after}));
  EXPECT_NE(ErrorOf(results, unsigned_copy), "");
  EXPECT_EQ(ErrorOf(results, after), "");
}

TEST_F(Sending, R03_AServerThatTheAclDeniesIsRefusedForEachPdu) {
  const JsonObject message = Message();
  CreatedRoom shut = MakeRoom("public", {{"m.room.server_acl", "", std::string(kCreator),
                                          ObjectOrDie(R"({"allow":["*"],"deny":["remote.example"]})")}});
  JsonObject denied = MessageDraft();
  denied.Set("room_id", shut.room_id);
  denied = Complete(std::move(denied));
  const JsonObject results = ResultsIn(Send({denied, message}));
  EXPECT_THAT(ErrorOf(results, denied), HasSubstr("ACL"));
  EXPECT_EQ(ErrorOf(results, message), "");
  EXPECT_EQ(Pdus("federation_forbidden"), 1);
}

TEST_F(Sending, ARoomThatOurUsersHaveLeftIsNotFollowed) {
  const JsonObject message = Message();
  ASSERT_EQ(SetMember(room_.room_id, kCreator, "leave"), Reason::kNone);
  EXPECT_THAT(ErrorOf(message), HasSubstr("no user of this server"));
  EXPECT_FALSE(IsStored(message));
}

TEST_F(Sending, EventsOfARoomAreTakenInTheirOrder) {
  const JsonObject first = Message(), second = MessageAfter(first), third = MessageAfter(second);
  const JsonObject results = ResultsIn(Send({first, second, third}));
  for (const JsonObject* event : {&first, &second, &third}) EXPECT_EQ(ErrorOf(results, *event), "");
}

TEST_F(Sending, WhatIsMissingIsAskedOfTheOriginOnceInARoomWhereItIsInVain) {
  int asked = 0;
  JsonArray answer;
  rig_.peers_.on_missing_events = [&](const auto&, const auto&, auto) -> absl::StatusOr<JsonArray> {
    ++asked;
    return answer;
  };
  const JsonObject lost = Message(), second = MessageAfter(lost), third = MessageAfter(second);
  JsonObject results = ResultsIn(Send({second, third}));
  EXPECT_THAT(ErrorOf(results, second), HasSubstr("known"));
  EXPECT_NE(ErrorOf(results, third), "");
  EXPECT_EQ(asked, 1);
  answer = {lost};
  const std::size_t rows = OutboxRows();
  results = ResultsIn(Send({second, third}));
  EXPECT_EQ(ErrorOf(results, second), "");
  EXPECT_EQ(ErrorOf(results, third), "");
  EXPECT_TRUE(IsStored(lost));
  EXPECT_EQ(asked, 2);
  EXPECT_EQ(OutboxRows(), rows) << "what was fetched is told to nobody either";
}

TEST_F(Sending, GapsAreBoundedForOneTransaction) {
  int asked = 0;
  JsonArray answer;
  rig_.peers_.on_missing_events = [&](const auto&, const MissingEventsQuery&, auto) -> absl::StatusOr<JsonArray> {
    ++asked;
    return answer;
  };
  JsonArray pdus;
  for (int i = 0; i < 6; ++i) {
    const JsonObject lost = Message();
    answer.emplace_back(lost);
    pdus.emplace_back(MessageAfter(lost));
  }
  const JsonObject results = ResultsIn(Send(pdus));
  EXPECT_EQ(asked, SendLimits().gaps);
  int taken = 0;
  for (const auto& [id, result] : results) taken += result.AsObject()->empty() ? 1 : 0;
  EXPECT_EQ(taken, SendLimits().gaps);
}

TEST_F(Sending, EdusAreCountedByKindAndDropped) {
  const JsonArray edus{ParseOrDie(R"({"edu_type":"m.typing","content":{}})"),
                       ParseOrDie(R"({"edu_type":"m.typing","content":{}})"),
                       ParseOrDie(R"({"edu_type":"m.receipt"})"),
                       ParseOrDie(R"({"edu_type":"org.example.own"})"),
                       ParseOrDie(R"({"edu_type":7})"),
                       Json(7)};
  const auto response = rig_.Send(Transaction("edus", {}, edus));
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, R"({"pdus":{}})");
  const auto edus_of = [this](const std::string& kind) {
    return Counted("postern_gateway_received_edus_total{kind=\"" + kind + "\"}");
  };
  EXPECT_EQ(edus_of("m.typing"), 2);
  EXPECT_EQ(edus_of("m.receipt"), 1);
  EXPECT_EQ(edus_of("other"), 3);
  EXPECT_EQ(edus_of("org.example.own"), 0);
}

TEST_F(Sending, O02_ATransactionHoldsFiftyPdusAndAHundredEdus) {
  const auto status = [this](std::size_t pdus, std::size_t edus) {
    const auto response = rig_.Send(Transaction("t" + std::to_string(++transactions_), JsonArray(pdus, Json(7)),
                                                JsonArray(edus, ParseOrDie(R"({"edu_type":"m.presence"})"))));
    EXPECT_EQ(ErrcodeOf(response), response.status == 200 ? "" : "M_BAD_JSON");
    return response.status;
  };
  EXPECT_EQ(status(50, 100), 200);
  EXPECT_EQ(status(51, 0), 400);
  EXPECT_EQ(status(0, 101), 400);
}

TEST_F(Sending, WhatIsNoTransactionIsRefused) {
  const std::string name(kRemoteName);
  for (const std::string& body : std::vector<std::string>{
           "{}", R"({"origin":")" + name + R"(","origin_server_ts":1})",
           R"({"origin":")" + name + R"(","origin_server_ts":1,"pdus":{}})", R"({"origin_server_ts":1,"pdus":[]})",
           R"({"origin":"other.example","origin_server_ts":1,"pdus":[]})",
           R"({"origin":7,"origin_server_ts":1,"pdus":[]})",
           R"({"origin":")" + name + R"(","origin_server_ts":"1","pdus":[]})",
           R"({"origin":")" + name + R"(","pdus":[]})",
           R"({"origin":")" + name + R"(","origin_server_ts":1,"pdus":[],"edus":{}})"}) {
    const auto response = rig_.Send(Put("t", ObjectOrDie(body)));
    EXPECT_EQ(response.status, 400) << body;
    EXPECT_EQ(ErrcodeOf(response), "M_BAD_JSON") << body;
  }
  const auto response = rig_.Send(Transaction(std::string(256, 'x'), {}));
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(ErrcodeOf(response), "M_INVALID_PARAM");
}

TEST_F(Sending, ATransactionMayBeLargerThanOtherBodies) {
  EXPECT_EQ(rig_.router_->BodyLimitBytes(Transaction("t", {})), kTransactionBytes);
  http::Request other = Transaction("t", {});
  other.target = "/_matrix/federation/v1/version";
  other.method = "GET";
  EXPECT_EQ(rig_.router_->BodyLimitBytes(other), 0U);
  EXPECT_EQ(rig_.router_->BodyLimitBytes({.method = "PUT", .target = "/unknown"}), 0U);
}

TEST_F(Sending, WhoIsNotAuthenticIsRefusedFirst) {
  http::Request request = Transaction("t", {});
  request.headers.clear();
  EXPECT_EQ(rig_.Send(request).status, 401);
}

TEST_F(Sending, D01_ARepeatHasTheSameAnswerAndNothingIsDoneAgain) {
  const JsonObject good = Message();
  JsonObject bad = Message();
  bad.Set("origin_server_ts", 7);
  const http::Request transaction = Transaction("once", {good, bad});
  const auto first = rig_.Send(transaction);
  ASSERT_EQ(first.status, 200);
  const std::size_t persists = rig_.store_.persists().size();
  rig_.validator_.on_validate = [](const auto&) { return matrix::Refuse(Reason::kValidatorDown, "not asked"); };
  const auto again = rig_.Send(transaction);
  EXPECT_EQ(again.status, 200);
  EXPECT_EQ(again.body, first.body);
  EXPECT_EQ(rig_.store_.persists().size(), persists);
  EXPECT_EQ(Counted(R"(postern_gateway_received_transactions_total{result="repeat"})"), 1);
}

TEST_F(Sending, ATransactionThatIsUnderWayIsNotBegunAgain) {
  std::promise<void> begun, go_on;
  rig_.store_.on_received_transaction = [&](const auto& request) {
    begun.set_value();
    go_on.get_future().wait();
    return client_.GetReceivedTransaction(call_, request);
  };
  const http::Request transaction = Transaction("once", {Message()});
  std::thread first([&] { EXPECT_EQ(rig_.Send(transaction).status, 200); });
  begun.get_future().wait();
  const auto again = rig_.Send(transaction);
  EXPECT_EQ(again.status, 503);
  EXPECT_EQ(http::FindHeader(again.headers, "Retry-After"), "5");
  go_on.set_value();
  first.join();
  rig_.store_.on_received_transaction = [this](const auto& request) {
    return client_.GetReceivedTransaction(call_, request);
  };
  EXPECT_EQ(rig_.Send(transaction).status, 200);
}

TEST_F(Sending, TroubleOfOursEndsATransactionAndItsRepeatGoesOn) {
  const JsonObject first = Message(), second = MessageAfter(first);
  const http::Request transaction = Transaction("once", {first, second});
  int persists = 0;
  const auto down = matrix::Refuse(Reason::kStoreDown, "down");
  rig_.store_.on_persist = [&](const auto& request) -> absl::StatusOr<store::v1::PersistEventResponse> {
    if (++persists == 2) return down;
    return client_.PersistEvent(call_, request);
  };
  const auto response = rig_.Send(transaction);
  EXPECT_EQ(response.status, 503);
  EXPECT_TRUE(http::FindHeader(response.headers, "Retry-After"));
  EXPECT_TRUE(IsStored(first));
  EXPECT_FALSE(IsStored(second));
  const JsonObject results = ResultsIn(rig_.Send(transaction));
  EXPECT_EQ(ErrorOf(results, first), "");
  EXPECT_EQ(ErrorOf(results, second), "");
  EXPECT_EQ(persists, 3) << "the first is known";
}

TEST_F(Sending, OfATransactionThatConcernsNoRoomOfOursNothingIsWritten) {
  int kept = 0;
  rig_.store_.on_keep_transaction = [&](const auto& request) {
    ++kept;
    return client_.KeepReceivedTransaction(call_, request);
  };
  JsonObject elsewhere = MessageDraft();
  elsewhere.Set("room_id", "!none:there.example");
  EXPECT_EQ(rig_.Send(Transaction("strange", {Complete(std::move(elsewhere)), Json(7)})).status, 200);
  EXPECT_EQ(kept, 0);
  ErrorOf(Message());
  EXPECT_EQ(kept, 1);
}

TEST_F(Sending, AnAnswerThatCannotBeKeptIsGivenAllTheSame) {
  rig_.store_.on_keep_transaction = [](const auto&) { return matrix::Refuse(Reason::kStoreDown, "down"); };
  const JsonObject message = Message();
  EXPECT_EQ(ErrorOf(message), "");
  EXPECT_TRUE(IsStored(message));
}

TEST_F(Sending, OfTwoAnswersTheOneThatIsKeptIsGiven) {
  rig_.store_.on_keep_transaction = [](const auto&) {
    store::v1::ReceivedTransaction kept;
    kept.set_answer(R"({"pdus":{"$of-another-gateway":{}}})");
    return kept;
  };
  EXPECT_THAT(Send({Message()}).body, HasSubstr("$of-another-gateway"));
}

}  // namespace
}  // namespace postern::gateway
