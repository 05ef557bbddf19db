// "Answers of send_leave" in the design, row by row: each case is the good leave with one thing altered, and the first
// row that it breaks answers, in each family of room versions.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <tuple>
#include <utility>
#include <vector>

#include "matrix/canonical_json.h"
#include "matrix/refusal.h"
#include "tests/gateway/leave_rig.h"

namespace postern::gateway {
namespace {

using matrix::Json;
using matrix::JsonObject;
using matrix::Reason;

/// One leave on its way, still to be altered.
struct Attempt {
  explicit Attempt(const std::string& version) : rig({.version = version}), event(rig.Leave()) {}
  /// The event as the remote server completes it.
  http::Request Request() {
    const JsonObject completed = complete ? rig.remote_.Complete(event, rig.rules()) : event;
    http::Request request = rig.Put(completed);
    alter_request(request);
    return request;
  }

  LeaveRig rig;
  JsonObject event;
  bool complete = true;
  std::function<void(http::Request&)> alter_request = [](auto&) {};
};

struct Row {
  std::string name;
  std::function<void(Attempt&)> alter;
  int status;
  std::string errcode;
  std::function<bool(const matrix::RoomRules&)> applies = [](const auto&) { return true; };
};

bool CarriesIds(const matrix::RoomRules& rules) { return rules.event_id_format == matrix::EventIdFormat::kCarried; }

/// The request anew, properly signed over what it holds now.
void SignAgain(Attempt& attempt, http::Request& request, const RemoteServer& by) {
  request.headers.clear();
  const auto content = matrix::ParseJson(request.body);
  by.AddHeader(request, by.key(), content.ok() ? &*content : nullptr);
  attempt.rig.source_.Set(by.Keys(attempt.rig.clock_.now() + absl::Hours(1)));
}

std::function<void(Attempt&)> SetMember(std::string key, Json value) {
  return [=](Attempt& attempt) { attempt.event.Set(key, value); };
}
std::function<void(Attempt&)> WithoutMember(std::string key) {
  return [=](Attempt& attempt) {
    attempt.event = attempt.rig.remote_.Complete(attempt.event, attempt.rig.rules());
    attempt.event.Erase(key);
    attempt.complete = false;
  };
}
std::function<void(Attempt&)> WithBody(std::string body) {
  return [=](Attempt& attempt) { attempt.alter_request = [=](http::Request& request) { request.body = body; }; };
}
std::function<void(Attempt&)> Verdict(matrix::v1::Outcome outcome, Reason reason) {
  return [=](Attempt& attempt) {
    attempt.rig.alter_verdict_ = [=](matrix::v1::Verdict& verdict) {
      verdict.set_outcome(outcome);
      verdict.set_reason(static_cast<matrix::v1::Reason>(reason));
    };
  };
}
std::function<void(Attempt&)> Membership(std::string membership) {
  return [=](Attempt& attempt) { attempt.rig.context_.set_sender_membership(membership); };
}
std::function<void(Attempt&)> ValidatorSays(Reason reason) {
  return [=](Attempt& attempt) {
    attempt.rig.validator_.on_validate = [=](const auto&) { return matrix::Refuse(reason, "scripted"); };
  };
}
std::function<void(Attempt&)> StoreSays(Reason reason) {
  return [=](Attempt& attempt) {
    attempt.rig.store_.on_context = [=](const auto&) { return matrix::Refuse(reason, "scripted"); };
  };
}
void StoreTheSameEvent(Attempt& attempt, const std::function<void(JsonObject&)>& alter, matrix::v1::Outcome outcome) {
  JsonObject stored = attempt.rig.remote_.Complete(attempt.event, attempt.rig.rules());
  alter(stored);
  attempt.rig.context_.mutable_existing()->set_pdu(matrix::CanonicalJson(stored));
  attempt.rig.context_.mutable_existing()->set_outcome(outcome);
  attempt.rig.context_.set_sender_membership("leave");
}
void ReplaceStateContent(Attempt& attempt, std::string_view type, std::string_view content) {
  for (auto& event : *attempt.rig.context_.mutable_judging()->mutable_events()) {
    JsonObject json = ObjectOrDie(event.pdu());
    if (*json.Find("type")->AsString() != type) continue;
    json.Set("content", ParseOrDie(content));
    event.set_pdu(matrix::CanonicalJson(json));
  }
}
void AddAcl(Attempt& attempt, std::string_view content) {
  auto* event = attempt.rig.context_.mutable_judging()->add_events();
  event->set_event_id("$acl");
  event->set_pdu(R"({"content":)" + std::string(content) + "}");
  auto* entry = attempt.rig.context_.mutable_judging()->add_state_now();
  entry->set_type("m.room.server_acl");
  entry->set_event_id("$acl");
}

const std::vector<Row>& Rows() {
  static const std::vector<Row> rows{
      {"Good", [](auto&) {}, 200, ""},
      // 1
      {"R01_UnknownPath",
       [](auto& a) { a.alter_request = [](auto& r) { r.target = "/_matrix/federation/v3/send_leave/a/b"; }; }, 404,
       "M_UNRECOGNIZED"},
      {"R01_PathWithMore", [](auto& a) { a.alter_request = [](auto& r) { r.target += "/more"; }; }, 404,
       "M_UNRECOGNIZED"},
      {"R01_UnknownMethod", [](auto& a) { a.alter_request = [](auto& r) { r.method = "POST"; }; }, 405,
       "M_UNRECOGNIZED"},
      // 3
      {"R03_NoBody",
       [](auto& a) {
         a.alter_request = [](auto& r) {
           r.body.clear();
           r.has_body = false;
         };
       },
       400, "M_NOT_JSON"},
      {"R03_NotJson", WithBody("{"), 400, "M_NOT_JSON"},
      {"R03_NoObject", WithBody("[]"), 400, "M_BAD_JSON"},
      {"R03_DuplicateKeys", WithBody(R"({"a":1,"\u0061":2})"), 400, "M_BAD_JSON"},
      {"R03_LoneSurrogate", WithBody(R"({"a":"\ud800"})"), 400, "M_BAD_JSON"},
      // 4
      {"R04_NoHeader", [](auto& a) { a.alter_request = [](auto& r) { r.headers.clear(); }; }, 401, "M_UNAUTHORIZED"},
      {"R04_BodyAltered", WithBody(R"({"a":1})"), 401, "M_UNAUTHORIZED"},
      {"R04_TargetAltered", [](auto& a) { a.alter_request = [](auto& r) { r.target += "?x=1"; }; }, 401,
       "M_UNAUTHORIZED"},
      {"R04_KeysCannotBeHad", [](auto& a) { a.rig.source_.Remove(a.rig.remote_.name()); }, 401, "M_UNAUTHORIZED"},
      // 6
      {"R06_NoSender", WithoutMember("sender"), 400, "M_BAD_JSON"},
      {"R06_NoType", WithoutMember("type"), 400, "M_BAD_JSON"},
      {"R06_NoStateKey", WithoutMember("state_key"), 400, "M_BAD_JSON"},
      {"R06_NoRoomId", WithoutMember("room_id"), 400, "M_BAD_JSON"},
      {"R06_NoContent", WithoutMember("content"), 400, "M_BAD_JSON"},
      {"R06_NoTime", WithoutMember("origin_server_ts"), 400, "M_BAD_JSON"},
      {"R06_NoDepth", WithoutMember("depth"), 400, "M_BAD_JSON"},
      {"R06_NoAuthEvents", WithoutMember("auth_events"), 400, "M_BAD_JSON"},
      {"R06_NoPrevEvents", WithoutMember("prev_events"), 400, "M_BAD_JSON"},
      {"R06_NoHashes", WithoutMember("hashes"), 400, "M_BAD_JSON"},
      {"R06_NoSignatures", WithoutMember("signatures"), 400, "M_BAD_JSON"},
      {"R06_SenderIsNoUser", SetMember("sender", "ann"), 400, "M_BAD_JSON"},
      {"R06_RoomIsNoRoom", SetMember("room_id", "room"), 400, "M_BAD_JSON"},
      {"R06_LongStateKey", SetMember("state_key", std::string(256, 'x')), 400, "M_BAD_JSON"},
      {"R06_TypeIsANumber", SetMember("type", 1), 400, "M_BAD_JSON"},
      {"R06_MembershipIsANumber", SetMember("content", ParseOrDie(R"({"membership":1})")), 400, "M_BAD_JSON"},
      {"R06_DepthIsText", SetMember("depth", "1"), 400, "M_BAD_JSON"},
      {"R06_PrevEventsAreText", SetMember("prev_events", "$a"), 400, "M_BAD_JSON"},
      {"R06_AuthEventsHoldANumber", SetMember("auth_events", matrix::JsonArray{1}), 400, "M_BAD_JSON"},
      {"R06_LongAuthEvent", SetMember("auth_events", matrix::JsonArray{"$" + std::string(255, 'x')}), 400,
       "M_BAD_JSON"},
      // 7
      {"R07_AnotherType", SetMember("type", "m.room.message"), 400, "M_INVALID_PARAM"},
      {"R07_AJoin", SetMember("content", ParseOrDie(R"({"membership":"join"})")), 400, "M_INVALID_PARAM"},
      {"R07_AnotherStateKey", SetMember("state_key", "@bob:remote.example:8448"), 400, "M_INVALID_PARAM"},
      {"R07_SenderOfAnotherServer",
       [](auto& a) {
         a.event.Set("sender", "@ann:remote.example");
         a.event.Set("state_key", "@ann:remote.example");
       },
       400, "M_INVALID_PARAM"},
      {"R07_AnotherRoomInThePath",
       [](auto& a) {
         a.alter_request = [&a](auto& r) {
           r.target = "/_matrix/federation/v2/send_leave/!other:here.example/$x";
           SignAgain(a, r, a.rig.remote_);
         };
       },
       400, "M_INVALID_PARAM"},
      {"R07_EventIdOfAnotherServer", SetMember("event_id", "$x:else.example"), 400, "M_INVALID_PARAM", CarriesIds},
      // 8
      {"R08_UnknownRoom", StoreSays(Reason::kUnknownRoom), 404, "M_NOT_FOUND"},
      {"R08_UnsupportedVersion", [](auto& a) { a.rig.context_.mutable_judging()->set_room_version("org.example.v99"); },
       403, "M_FORBIDDEN"},
      {"R08_DoesNotFederate", [](auto& a) { ReplaceStateContent(a, "m.room.create", R"({"m.federate":false})"); }, 403,
       "M_FORBIDDEN"},
      {"R08_FederateIsText", [](auto& a) { ReplaceStateContent(a, "m.room.create", R"({"m.federate":"no"})"); }, 200,
       ""},
      {"R08_DeniedByAcl", [](auto& a) { AddAcl(a, R"({"allow":["*"],"deny":["remote.*"]})"); }, 403, "M_FORBIDDEN"},
      {"R08_AllowedByAcl", [](auto& a) { AddAcl(a, R"({"allow":["*"],"deny":["evil.example"]})"); }, 200, ""},
      // 9
      {"R09_AnotherIdInThePath",
       [](auto& a) {
         a.alter_request = [&a](auto& r) {
           r.target = r.target.substr(0, r.target.rfind('/')) + "/$another";
           SignAgain(a, r, a.rig.remote_);
         };
       },
       400, "M_INVALID_PARAM"},
      // 10
      {"R10_Again",
       [](auto& a) {
         StoreTheSameEvent(
             a, [](auto&) {}, matrix::v1::OUTCOME_ACCEPTED);
       },
       200, ""},
      {"R10_AgainSoftFailed",
       [](auto& a) {
         StoreTheSameEvent(
             a, [](auto&) {}, matrix::v1::OUTCOME_SOFT_FAILED);
       },
       200, ""},
      {"R10_AgainWithAnotherSignature",
       [](auto& a) {
         StoreTheSameEvent(
             a,
             [](JsonObject& stored) {
               stored.Find("signatures")->AsObject()->Set(kRemoteName, ParseOrDie(R"({"ed25519:r1":"AAAA"})"));
             },
             matrix::v1::OUTCOME_ACCEPTED);
       },
       400, "M_BAD_STATE"},
      {"R10_IdOfAnotherEvent",
       [](auto& a) {
         StoreTheSameEvent(
             a, [](JsonObject& stored) { stored.Set("depth", 99); }, matrix::v1::OUTCOME_ACCEPTED);
       },
       400, "M_INVALID_PARAM"},
      // 11
      {"R11_TooLargeWithOurSignature",
       [](auto& a) {
         JsonObject content = ObjectOrDie(R"({"membership":"leave","reason":""})");
         a.event.Set("content", content);
         const auto size = matrix::CanonicalJson(a.rig.remote_.Complete(a.event, a.rig.rules())).size();
         content.Set("reason", std::string(matrix::kMaxEventBytes - size, 'x'));  // fits, without our signature
         a.event.Set("content", content);
       },
       413, "M_TOO_LARGE"},
      // 12
      {"R12_Joined", Membership("join"), 200, ""},
      {"R12_Knocking", Membership("knock"), 200, ""},
      {"R12_HasLeft", Membership("leave"), 400, "M_BAD_STATE"},
      {"R12_Banned", Membership("ban"), 403, "M_FORBIDDEN"},
      {"R12_NeverThere", Membership(""), 403, "M_FORBIDDEN"},
      // 13
      {"R13_Format", Verdict(matrix::v1::OUTCOME_INVALID, Reason::kBadFormat), 400, "M_BAD_JSON"},
      {"R13_Signature", Verdict(matrix::v1::OUTCOME_INVALID, Reason::kBadSignature), 400, "M_INVALID_PARAM"},
      {"R13_UnknownEvents", Verdict(matrix::v1::OUTCOME_INVALID, Reason::kUnknownEvents), 400, "M_INVALID_PARAM"},
      // 14
      {"R14_BadAuthEvents", Verdict(matrix::v1::OUTCOME_REJECTED, Reason::kBadAuthEvents), 403, "M_FORBIDDEN"},
      {"R14_NotAuthorised", Verdict(matrix::v1::OUTCOME_REJECTED, Reason::kNotAuthorised), 403, "M_FORBIDDEN"},
      // 15
      {"R15_SoftFailed", Verdict(matrix::v1::OUTCOME_SOFT_FAILED, Reason::kNotAuthorised), 200, ""},
      // 16
      {"R16_StoreDown", StoreSays(Reason::kStoreDown), 503, "M_UNKNOWN"},
      {"R16_StoreBusy", StoreSays(Reason::kOverloaded), 503, "M_UNKNOWN"},
      {"R16_ValidatorDown", ValidatorSays(Reason::kValidatorDown), 503, "M_UNKNOWN"},
      {"R16_Unresolved", ValidatorSays(Reason::kStateUnresolved), 503, "M_UNKNOWN"},
      {"R16_NotCommitted",
       [](auto& a) {
         a.rig.store_.on_persist = [](const auto&) { return matrix::Refuse(Reason::kStoreDown, "scripted"); };
       },
       503, "M_UNKNOWN"},
      {"R16_OddPersistAnswer",
       [](auto& a) { a.rig.store_.on_persist = [](const auto&) { return store::v1::PersistEventResponse(); }; }, 503,
       "M_UNKNOWN"},
  };
  return rows;
}

class SendLeave : public testing::TestWithParam<std::tuple<std::string, Row>> {};

TEST_P(SendLeave, AnswersAsTheTableSays) {
  const auto& [version, row] = GetParam();
  Attempt attempt(version);
  row.alter(attempt);
  const http::Response response = attempt.rig.Send(attempt.Request());
  EXPECT_EQ(response.status, row.status) << response.body;
  EXPECT_EQ(ErrcodeOf(response), row.errcode);
  EXPECT_EQ(response.body == "{}", row.status == 200);
  EXPECT_EQ(http::FindHeader(response.headers, "Retry-After").has_value(), row.status == 503);
}

/// Every row with each of a few room versions, where the row applies to the version.
std::vector<std::tuple<std::string, Row>> RowsOfVersions() {
  std::vector<std::tuple<std::string, Row>> found;
  for (const char* version : {"1", "2", "3", "5", "6", "8", "10", "11", "12"}) {
    for (const Row& row : Rows()) {
      if (row.applies(*matrix::FindRoomRules(version))) found.emplace_back(version, row);
    }
  }
  return found;
}

INSTANTIATE_TEST_SUITE_P(Rows, SendLeave, testing::ValuesIn(RowsOfVersions()), [](const auto& test) {
  return "V" + std::get<0>(test.param) + "_" + std::get<1>(test.param).name;
});

void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

TEST(SendLeaveV1, WrapsOnlySuccess) {
  LeaveRig rig;
  const auto event = rig.remote_.Complete(rig.Leave(), rig.rules());
  EXPECT_EQ(rig.SendLeave(event, "v1").body, "[200,{}]");
  rig.context_.set_sender_membership("ban");
  const auto refused = rig.SendLeave(event, "v1");
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(ErrcodeOf(refused), "M_FORBIDDEN");
}

TEST(SendLeaveV1, IsUnknownWhenSwitchedOff) {
  LeaveRig rig({.v1_send_leave = false});
  const auto event = rig.remote_.Complete(rig.Leave(), rig.rules());
  const auto response = rig.SendLeave(event, "v1");
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(ErrcodeOf(response), "M_UNRECOGNIZED");
  EXPECT_EQ(rig.SendLeave(event).status, 200);
}

TEST(SendLeaveOrder, TheFirstRowThatFailsAnswers) {
  // A foreign sender (row 7) in an unknown room (row 8), banned (row 12), to be rejected (row 14).
  Attempt attempt("10");
  StoreSays(Reason::kUnknownRoom)(attempt);
  Membership("ban")(attempt);
  SetMember("state_key", "@bob:remote.example:8448")(attempt);
  EXPECT_EQ(attempt.rig.Send(attempt.Request()).status, 400);
  attempt.event = attempt.rig.Leave();
  EXPECT_EQ(attempt.rig.Send(attempt.Request()).status, 404);
  attempt.rig.store_.on_context = [&](const auto&) { return attempt.rig.context_; };
  AddAcl(attempt, R"({"allow":[]})");
  EXPECT_EQ(attempt.rig.validated_, 0);
  EXPECT_EQ(attempt.rig.Send(attempt.Request()).status, 403);
  EXPECT_EQ(attempt.rig.validated_, 0);
}

TEST(SendLeaveOrder, NoRoomIsReadBeforeTheRequestIsAuthentic) {
  Attempt attempt("10");
  std::atomic<int> reads = 0;
  attempt.rig.store_.on_context = [&](const auto&) {
    ++reads;
    return attempt.rig.context_;
  };
  attempt.alter_request = [](http::Request& request) { request.target += "?"; };
  EXPECT_EQ(attempt.rig.Send(attempt.Request()).status, 401);
  EXPECT_EQ(reads, 0);
}

TEST(SendLeaveWrites, TheJudgedCopyWithBothSignaturesAndNothingElse) {
  Attempt attempt("10");
  attempt.event.Set("unsigned", ParseOrDie(R"({"age":5})"));
  ASSERT_EQ(attempt.rig.Send(attempt.Request()).status, 200);
  const auto writes = attempt.rig.store_.persists();
  ASSERT_EQ(writes.size(), 1U);
  const JsonObject stored = ObjectOrDie(writes[0].pdu());
  EXPECT_FALSE(stored.Contains("unsigned"));
  EXPECT_TRUE(stored.Find("signatures")->AsObject()->Contains(kOurName));
  EXPECT_TRUE(stored.Find("signatures")->AsObject()->Contains(kRemoteName));
  EXPECT_EQ(writes[0].token(), "token");
  EXPECT_EQ(writes[0].origin(), kRemoteName);
}

TEST(SendLeaveWrites, NothingForWhatIsInvalidAndNoSignatureForWhatIsRejected) {
  Attempt invalid("10");
  Verdict(matrix::v1::OUTCOME_INVALID, Reason::kBadSignature)(invalid);
  invalid.rig.Send(invalid.Request());
  EXPECT_TRUE(invalid.rig.store_.persists().empty());

  Attempt rejected("10");
  Verdict(matrix::v1::OUTCOME_REJECTED, Reason::kNotAuthorised)(rejected);
  rejected.rig.Send(rejected.Request());
  ASSERT_EQ(rejected.rig.store_.persists().size(), 1U);
  EXPECT_FALSE(ObjectOrDie(rejected.rig.store_.persists()[0].pdu()).Find("signatures")->AsObject()->Contains(kOurName));
}

TEST(SendLeaveWrites, KeysOnlyOnceARequestHasPassedRow8) {
  Attempt attempt("10");
  StoreSays(Reason::kUnknownRoom)(attempt);
  attempt.rig.Send(attempt.Request());
  attempt.rig.fetchers_.Drain();
  EXPECT_EQ(attempt.rig.store_.key_writes(), 0);
  attempt.rig.store_.on_context = [&](const auto&) { return attempt.rig.context_; };
  attempt.rig.Send(attempt.Request());
  attempt.rig.fetchers_.Drain();
  EXPECT_EQ(attempt.rig.store_.key_writes(), 1);
}

TEST(SendLeaveConflict, GoesBackToRow8WithTheFreshContext) {
  Attempt attempt("10");
  int persists = 0;
  attempt.rig.store_.on_persist = [&](const store::v1::PersistEventRequest& request) {
    store::v1::PersistEventResponse response;
    if (++persists == 1) {
      *response.mutable_fresh_context() = attempt.rig.context_;
      response.mutable_fresh_context()->set_token("fresh");
    } else {
      EXPECT_EQ(request.token(), "fresh");
      response.mutable_stored()->set_outcome(request.verdict().outcome());
    }
    return response;
  };
  EXPECT_EQ(attempt.rig.Send(attempt.Request()).status, 200);
  EXPECT_EQ(attempt.rig.validated_, 2);
}

TEST(SendLeaveConflict, ABanThatLandedInBetweenIsAnsweredAsIfItHadLandedBefore) {
  Attempt attempt("10");
  attempt.rig.store_.on_persist = [&](const auto&) {
    store::v1::PersistEventResponse response;
    *response.mutable_fresh_context() = attempt.rig.context_;
    response.mutable_fresh_context()->set_sender_membership("ban");
    return response;
  };
  const auto response = attempt.rig.Send(attempt.Request());
  EXPECT_EQ(response.status, 403);
  EXPECT_EQ(attempt.rig.store_.persists().size(), 1U);
}

TEST(SendLeaveConflict, EndsWhereTheRoomKeepsChanging) {
  Attempt attempt("10");
  attempt.rig.store_.on_persist = [&](const auto&) {
    store::v1::PersistEventResponse response;
    *response.mutable_fresh_context() = attempt.rig.context_;
    return response;
  };
  EXPECT_EQ(attempt.rig.Send(attempt.Request()).status, 503);
}

/// What the store is asked for, and what the validator says each time.
struct Asked {
  std::vector<bool> with_branches;
  int judged = 0;
};

/// The validator cannot judge unless branches are given; then neither, if `never`.
Asked SendUnresolved(Attempt& attempt, bool never, int& status) {
  Asked asked;
  LeaveRig& rig = attempt.rig;
  rig.store_.on_context = [&, context = rig.context_](const store::v1::GetEventContextRequest& request) {
    asked.with_branches.push_back(request.with_branches());
    EXPECT_EQ(request.own_key().state_key(), kAnn);
    store::v1::EventContext answer = context;
    if (request.with_branches()) answer.mutable_judging()->mutable_branches();
    return answer;
  };
  rig.validator_.on_validate =
      [&, judge = rig.validator_.on_validate](
          const validator::v1::ValidateRequest& request) -> absl::StatusOr<matrix::v1::Verdict> {
    ++asked.judged;
    if (never || !request.context().has_branches()) return matrix::Refuse(Reason::kStateUnresolved, "scripted");
    return judge(request);
  };
  status = attempt.rig.Send(attempt.Request()).status;
  return asked;
}

TEST(SendLeaveUnresolved, AsksForTheBranchesOnceTheValidatorNeedsThem) {
  Attempt attempt("10");
  int status = 0;
  const Asked asked = SendUnresolved(attempt, false, status);
  EXPECT_EQ(status, 200);
  EXPECT_THAT(asked.with_branches, testing::ElementsAre(false, true));
  EXPECT_EQ(asked.judged, 2);
  ASSERT_EQ(attempt.rig.store_.persists().size(), 1U);
  EXPECT_TRUE(attempt.rig.store_.persists().front().context_request().with_branches());
}

TEST(SendLeaveUnresolved, AsksForThemNoSecondTime) {
  Attempt attempt("10");
  int status = 0;
  const Asked asked = SendUnresolved(attempt, true, status);
  EXPECT_EQ(status, 503);
  EXPECT_THAT(asked.with_branches, testing::ElementsAre(false, true));
  EXPECT_EQ(asked.judged, 2);
  EXPECT_EQ(attempt.rig.store_.persists().size(), 0U);
}

TEST(SendLeaveUnresolved, ALeaveThatIsJudgedAtOnceAsksForNone) {
  Attempt attempt("10");
  EXPECT_EQ(attempt.rig.Send(attempt.Request()).status, 200);
  EXPECT_EQ(attempt.rig.validated_, 1);
  EXPECT_FALSE(attempt.rig.store_.persists().front().context_request().with_branches());
}

TEST(SendLeaveCommitted, TheStoredOutcomeAnswersNotTheVerdictHeld) {
  Attempt attempt("10");
  attempt.rig.store_.on_persist = [&](const auto&) {
    store::v1::PersistEventResponse response;
    response.mutable_stored()->set_outcome(matrix::v1::OUTCOME_REJECTED);
    response.mutable_stored()->set_reason(matrix::v1::REASON_NOT_AUTHORISED);
    return response;
  };
  EXPECT_EQ(attempt.rig.Send(attempt.Request()).status, 403);
}

TEST(SendLeaveSignature, ByAnotherKeyOfTheOriginIsAskedForOnce) {
  Attempt attempt("10");
  const auto other = KeyOf('s', "ed25519:r2");
  JsonObject event = attempt.event;
  matrix::HashAndSignEvent(event, kRemoteName, other, attempt.rig.rules());
  EXPECT_EQ(attempt.rig.SendLeave(event).status, 200);  // the validator judges an unknown key: row 13
  EXPECT_EQ(attempt.rig.source_.fetches(), 2);
  EXPECT_EQ(attempt.rig.SendLeave(event).status, 200);
  EXPECT_EQ(attempt.rig.source_.fetches(), 2);
  ASSERT_TRUE(attempt.rig.last_validated_);
  EXPECT_EQ(attempt.rig.last_validated_->verify_keys(0).server_name(), kRemoteName);
}

TEST(SendLeaveSignature, ByAKeyThatCannotBeHadJustNowIsTrouble) {
  Attempt attempt("10");
  ASSERT_EQ(attempt.rig.Send(attempt.Request()).status, 200);
  attempt.rig.source_.Remove(attempt.rig.remote_.name());
  JsonObject event = attempt.event;
  matrix::HashAndSignEvent(event, kRemoteName, KeyOf('s', "ed25519:r2"), attempt.rig.rules());
  const auto response = attempt.rig.SendLeave(event);
  EXPECT_EQ(response.status, 503);
  EXPECT_TRUE(http::FindHeader(response.headers, "Retry-After"));
}

TEST(SendLeaveLimits, ByAddressAndByOrigin) {
  LeaveRig by_address({.address_limits = {.per_second = 1, .burst = 1, .max_addresses = 10}});
  const auto event = by_address.remote_.Complete(by_address.Leave(), by_address.rules());
  EXPECT_EQ(by_address.SendLeave(event).status, 200);
  const auto refused = by_address.SendLeave(event);
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(ErrcodeOf(refused), "M_LIMIT_EXCEEDED");
  EXPECT_TRUE(http::FindHeader(refused.headers, "Retry-After"));

  OriginLimiterOptions limits;
  limits.limits = {.window_size = absl::Hours(1),
                   .sleep_limit = 1,
                   .sleep_delay = absl::Hours(24 * 36500),
                   .reject_limit = 0,
                   .concurrent = 1};
  LeaveRig by_origin({.origin_limits = limits});
  const auto leave = by_origin.remote_.Complete(by_origin.Leave(), by_origin.rules());
  EXPECT_EQ(by_origin.SendLeave(leave).status, 200);
  std::atomic<bool> answered = false;
  by_origin.router_->OnRequest(by_origin.Put(leave), [&](http::Response) { answered = true; });  // sleeps
  by_origin.workers_.Drain();
  EXPECT_FALSE(answered);
  const auto limited = by_origin.SendLeave(leave);
  EXPECT_EQ(limited.status, 429);
  EXPECT_THAT(limited.body, testing::HasSubstr("retry_after_ms"));
}

/// One worker, who is held; then one that waits.
class SendLeaveOverload : public testing::TestWithParam<LeaveRigOptions> {};

INSTANTIATE_TEST_SUITE_P(Gateway, SendLeaveOverload,
                         testing::Values(LeaveRigOptions{.workers = 1, .queue_limit = 1},
                                         LeaveRigOptions{.workers = 1, .longest_wait = absl::ZeroDuration()}),
                         [](const auto& tested) { return tested.index == 0 ? "FullQueue" : "LongWait"; });

TEST_P(SendLeaveOverload, IsAnsweredQuickly) {
  LeaveRig rig(GetParam());
  const auto event = rig.remote_.Complete(rig.Leave(), rig.rules());
  rig.source_.Close();  // keys are waited for on the fetchers' threads: no worker is held
  std::mutex mutex;
  std::condition_variable changed;
  bool held = true;
  int inside = 0;
  rig.store_.on_context = [&](const auto&) {
    std::unique_lock lock(mutex);
    ++inside;
    changed.notify_all();
    changed.wait(lock, [&] { return !held; });
    return rig.context_;
  };
  rig.source_.Open();
  EXPECT_EQ(rig.Send(rig.remote_.Request("GET", "/_matrix/federation/v1/version", nullptr)).status, 200);
  std::atomic<int> ok = 0;
  const auto count = [&](http::Response response) { ok += response.status == 200 ? 1 : 0; };
  rig.router_->OnRequest(rig.Put(event), count);
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return inside == 1; });
  }
  rig.router_->OnRequest(rig.Put(event), count);  // queued
  EXPECT_EQ(rig.SendLeave(event).status, 503);
  {
    const std::lock_guard lock(mutex);
    held = false;
    changed.notify_all();
  }
  rig.workers_.Drain();
  EXPECT_EQ(ok, 2);
}

}  // namespace
}  // namespace postern::gateway
