// The tables of send_join and send_knock in docs/answers.md, row by row: each case is the good event with one thing
// altered.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "matrix/canonical_json.h"
#include "matrix/refusal.h"
#include "tests/gateway/leave_rig.h"

namespace postern::gateway {
namespace {

using matrix::Json;
using matrix::JsonObject;
using matrix::Reason;

struct Endpoint {
  std::string name;
  std::string path;
  std::string membership;
};
const Endpoint kSendJoin{"SendJoin", "v2/send_join", "join"};
const Endpoint kSendKnock{"SendKnock", "v1/send_knock", "knock"};

struct Attempt {
  explicit Attempt(const Endpoint& to) : endpoint(to), rig({.version = "10"}), event(rig.Own(to.membership)) {
    rig.context_.set_sender_membership("");
    rig.store_.on_room_events = [](const store::v1::GetRoomEventsRequest& asked) {
      store::v1::GetRoomEventsResponse answer;
      for (const std::string& id : asked.event_ids()) {
        answer.add_events()->set_event_id(id);
        answer.mutable_events()->rbegin()->set_pdu("{}");
      }
      answer.set_looked_at(static_cast<std::uint32_t>(asked.event_ids_size()));
      return answer;
    };
    rig.store_.on_state_page = [](const auto&) { return store::v1::GetStatePageResponse(); };
    rig.store_.on_room_servers = [](const auto&) { return store::v1::ListRoomServersResponse(); };
  }
  http::Request Request() {
    const JsonObject completed = complete ? rig.remote_.Complete(event, rig.rules()) : event;
    http::Request request = rig.PutTo(endpoint.path, completed);
    alter_request(request);
    return request;
  }
  void SignAgain(http::Request& request) const {
    request.headers.clear();
    const auto content = matrix::ParseJson(request.body);
    rig.remote_.AddHeader(request, rig.remote_.key(), content.ok() ? &*content : nullptr);
  }

  const Endpoint& endpoint;
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
};

std::function<void(Attempt&)> SetMember(std::string key, Json value) {
  return [=](Attempt& attempt) { attempt.event.Set(key, value); };
}
std::function<void(Attempt&)> Without(std::string key) {
  return [=](Attempt& attempt) {
    attempt.event = attempt.rig.remote_.Complete(attempt.event, attempt.rig.rules());
    attempt.event.Erase(key);
    attempt.complete = false;
  };
}
std::function<void(Attempt&)> Verdict(matrix::v1::Outcome outcome, Reason reason) {
  return [=](Attempt& attempt) {
    attempt.rig.alter_verdict_ = [=](matrix::v1::Verdict& verdict) {
      verdict.set_outcome(outcome);
      verdict.set_reason(static_cast<matrix::v1::Reason>(reason));
    };
  };
}
std::function<void(Attempt&)> StoreSays(Reason reason) {
  return [=](Attempt& attempt) {
    attempt.rig.store_.on_context = [=](const auto&) { return matrix::Refuse(reason, "scripted"); };
  };
}
/// Accepted before, and now one thing of it is another.
std::function<void(Attempt&)> Stored(matrix::v1::Outcome outcome, std::function<void(JsonObject&)> alter) {
  return [=](Attempt& attempt) {
    JsonObject stored = attempt.rig.remote_.Complete(attempt.event, attempt.rig.rules());
    alter(stored);
    attempt.rig.context_.mutable_existing()->set_pdu(matrix::CanonicalJson(stored));
    attempt.rig.context_.mutable_existing()->set_outcome(outcome);
    attempt.rig.validator_.on_validate = [](const auto&) {
      return matrix::Refuse(Reason::kValidatorDown, "not asked");
    };
  };
}
void AlterTarget(Attempt& attempt, std::function<void(std::string&)> alter) {
  attempt.alter_request = [&attempt, alter](http::Request& request) {
    alter(request.target);
    attempt.SignAgain(request);
  };
}
void AddAcl(Attempt& attempt) {
  auto* event = attempt.rig.context_.mutable_judging()->add_events();
  event->set_event_id("$acl");
  event->set_pdu(R"({"content":{"allow":["*"],"deny":["remote.*"]}})");
  auto* entry = attempt.rig.context_.mutable_judging()->add_state_now();
  entry->set_type("m.room.server_acl");
  entry->set_event_id("$acl");
}
void CloseTheRoom(Attempt& attempt) {
  for (auto& event : *attempt.rig.context_.mutable_judging()->mutable_events()) {
    JsonObject json = ObjectOrDie(event.pdu());
    if (*json.Find("type")->AsString() != "m.room.create") continue;
    json.Set("content", ParseOrDie(R"({"m.federate":false})"));
    event.set_pdu(matrix::CanonicalJson(json));
  }
}

const std::vector<Row>& Rows() {
  static const std::vector<Row> rows{
      {"Good", [](auto&) {}, 200, ""},
      {"UnknownMethod", [](auto& a) { a.alter_request = [](auto& r) { r.method = "POST"; }; }, 405, "M_UNRECOGNIZED"},
      {"NotJson", [](auto& a) { a.alter_request = [](auto& r) { r.body = "{"; }; }, 400, "M_NOT_JSON"},
      {"NotAuthentic", [](auto& a) { a.alter_request = [](auto& r) { r.headers.clear(); }; }, 401, "M_UNAUTHORIZED"},
      {"NoDepth", Without("depth"), 400, "M_BAD_JSON"},
      {"NoStateKey", Without("state_key"), 400, "M_BAD_JSON"},
      {"NoSignatures", Without("signatures"), 400, "M_BAD_JSON"},
      {"MembershipIsANumber", SetMember("content", ParseOrDie(R"({"membership":1})")), 400, "M_BAD_JSON"},
      {"AnotherType", SetMember("type", "m.room.message"), 400, "M_INVALID_PARAM"},
      {"ALeave", SetMember("content", ParseOrDie(R"({"membership":"leave"})")), 400, "M_INVALID_PARAM"},
      {"AnInvite", SetMember("content", ParseOrDie(R"({"membership":"invite"})")), 400, "M_INVALID_PARAM"},
      {"AnotherStateKey", SetMember("state_key", "@bob:remote.example:8448"), 400, "M_INVALID_PARAM"},
      {"SenderOfAnotherServer",
       [](auto& a) {
         a.event.Set("sender", "@ann:else.example");
         a.event.Set("state_key", "@ann:else.example");
       },
       400, "M_INVALID_PARAM"},
      {"AnotherRoomInThePath",
       [](auto& a) {
         AlterTarget(a, [&a](std::string& target) { target = "/_matrix/federation/" + a.endpoint.path + "/!o:x/$x"; });
       },
       400, "M_INVALID_PARAM"},
      {"UnknownRoom", StoreSays(Reason::kUnknownRoom), 404, "M_NOT_FOUND"},
      {"UnsupportedVersion", [](auto& a) { a.rig.context_.mutable_judging()->set_room_version("org.example"); }, 403,
       "M_FORBIDDEN"},
      {"DoesNotFederate", CloseTheRoom, 403, "M_FORBIDDEN"},
      {"DeniedByAcl", AddAcl, 403, "M_FORBIDDEN"},
      {"AnotherIdInThePath",
       [](auto& a) { AlterTarget(a, [](std::string& target) { target.replace(target.rfind('/'), 99, "/$another"); }); },
       400, "M_INVALID_PARAM"},
      {"Again", Stored(matrix::v1::OUTCOME_ACCEPTED, [](auto&) {}), 200, ""},
      {"AgainSoftFailed", Stored(matrix::v1::OUTCOME_SOFT_FAILED, [](auto&) {}), 403, "M_FORBIDDEN"},
      {"IdOfAnotherEvent", Stored(matrix::v1::OUTCOME_ACCEPTED, [](auto& stored) { stored.Set("depth", 99); }), 400,
       "M_INVALID_PARAM"},
      {"TooLargeWithOurSignature",
       [](auto& a) {
         JsonObject content = *a.event.Find("content")->AsObject();
         content.Set("reason", "");
         a.event.Set("content", content);
         const auto size = matrix::CanonicalJson(a.rig.remote_.Complete(a.event, a.rig.rules())).size();
         content.Set("reason", std::string(matrix::kMaxEventBytes - size, 'x'));
         a.event.Set("content", content);
       },
       413, "M_TOO_LARGE"},
      {"BadFormat", Verdict(matrix::v1::OUTCOME_INVALID, Reason::kBadFormat), 400, "M_BAD_JSON"},
      {"BadSignature", Verdict(matrix::v1::OUTCOME_INVALID, Reason::kBadSignature), 400, "M_INVALID_PARAM"},
      {"UnknownEvents", Verdict(matrix::v1::OUTCOME_INVALID, Reason::kUnknownEvents), 400, "M_INVALID_PARAM"},
      {"BadAuthEvents", Verdict(matrix::v1::OUTCOME_REJECTED, Reason::kBadAuthEvents), 403, "M_FORBIDDEN"},
      {"NotAuthorised", Verdict(matrix::v1::OUTCOME_REJECTED, Reason::kNotAuthorised), 403, "M_FORBIDDEN"},
      {"SoftFailed", Verdict(matrix::v1::OUTCOME_SOFT_FAILED, Reason::kNotAuthorised), 403, "M_FORBIDDEN"},
      {"StoreDown", StoreSays(Reason::kStoreDown), 503, "M_UNKNOWN"},
      {"ValidatorDown",
       [](auto& a) {
         a.rig.validator_.on_validate = [](const auto&) { return matrix::Refuse(Reason::kValidatorDown, "scripted"); };
       },
       503, "M_UNKNOWN"},
      {"WhatIsAnsweredCannotBeRead",
       [](auto& a) {
         a.rig.store_.on_state_page = [](const auto&) { return matrix::Refuse(Reason::kStateUnresolved, "scripted"); };
         a.rig.store_.on_template = [](const auto&) { return matrix::Refuse(Reason::kStoreDown, "scripted"); };
       },
       503, "M_UNKNOWN"},
  };
  return rows;
}

class SendMembership : public testing::TestWithParam<std::tuple<Endpoint, Row>> {};

TEST_P(SendMembership, AnswersAsTheTableSays) {
  const auto& [endpoint, row] = GetParam();
  Attempt attempt(endpoint);
  row.alter(attempt);
  const http::Response response = attempt.rig.Send(attempt.Request());
  EXPECT_EQ(response.status, row.status) << response.body;
  EXPECT_EQ(ErrcodeOf(response), row.errcode);
  EXPECT_EQ(http::FindHeader(response.headers, "Retry-After").has_value(), row.status == 503);
}

INSTANTIATE_TEST_SUITE_P(Rows, SendMembership,
                         testing::Combine(testing::Values(kSendJoin, kSendKnock), testing::ValuesIn(Rows())),
                         [](const auto& test) {
                           return std::get<0>(test.param).name + "_" + std::get<1>(test.param).name;
                         });

void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }
void PrintTo(const Endpoint& endpoint, std::ostream* out) { *out << endpoint.name; }

/// The rows that templates have in common.
class MakeMembership : public testing::TestWithParam<std::string> {
 protected:
  static http::Response Ask(LeaveRig& rig, std::string_view user = kAnn) {
    return rig.Send(rig.remote_.Request("GET",
                                        "/_matrix/federation/v1/" + GetParam() + "/" +
                                            http::PercentEncode(rig.room_.room_id()) + "/" + http::PercentEncode(user) +
                                            "?ver=10",
                                        nullptr));
  }
  static void Alter(LeaveRig& rig, std::function<void(store::v1::TemplateContext&)> alter) {
    rig.store_.on_template = [usual = rig.store_.on_template, alter](const auto& request) {
      auto context = usual(request);
      alter(*context);
      return context;
    };
  }
};

TEST_P(MakeMembership, AUserOfAnotherServerIsRefusedBeforeTheRoomIsRead) {
  LeaveRig rig;
  bool read = false;
  Alter(rig, [&](auto&) { read = true; });
  for (const std::string_view user : {"@ann:remote.example", "@boss:here.example"}) {
    EXPECT_EQ(ErrcodeOf(Ask(rig, user)), "M_FORBIDDEN");
  }
  EXPECT_FALSE(read);
}

TEST_P(MakeMembership, ARoomThatIsUnknownOrWithoutUsersOfOursIsNotFound) {
  LeaveRig unknown;
  unknown.store_.on_template = [](const auto&) { return matrix::Refuse(Reason::kUnknownRoom, "scripted"); };
  EXPECT_EQ(ErrcodeOf(Ask(unknown)), "M_NOT_FOUND");
  LeaveRig emptied;
  Alter(emptied, [](auto& context) { context.set_resident(false); });
  EXPECT_EQ(Ask(emptied).status, 404);
}

TEST_P(MakeMembership, RoomsThatDoNotFederateAndAclsAreForbidden) {
  LeaveRig closed({.create_content = R"({"m.federate":false})"});
  EXPECT_EQ(ErrcodeOf(Ask(closed)), "M_FORBIDDEN");
  LeaveRig denied({.acl_content = R"({"allow":["*"],"deny":["remote.*"]})"});
  EXPECT_EQ(ErrcodeOf(Ask(denied)), "M_FORBIDDEN");
  LeaveRig unsupported;
  Alter(unsupported, [](auto& context) { context.mutable_judging()->set_room_version("org.example"); });
  EXPECT_EQ(Ask(unsupported).status, 403);
}

TEST_P(MakeMembership, WhatTheRulesRefuseIsNotHandedOut) {
  LeaveRig rig;
  EXPECT_EQ(Ask(rig).status, 200);
  rig.validator_.on_authorize = [](const auto&) { return validator::v1::AuthorizeResponse(); };
  EXPECT_EQ(ErrcodeOf(Ask(rig)), "M_FORBIDDEN");
  rig.validator_.on_authorize = nullptr;
  EXPECT_EQ(Ask(rig).status, 503);
}

INSTANTIATE_TEST_SUITE_P(Endpoints, MakeMembership, testing::Values("make_join", "make_knock"),
                         [](const auto& test) { return test.param; });

/// Pitfall L14, of a join.
TEST(MakeJoin, AUserWhoAcceptsAnInviteAtOnceWaitsUntilItIsStored) {
  LeaveRig rig;
  auto invite = std::make_unique<InvitesUnderWay::Invite>(rig.invites_under_way_,
                                                          std::pair(rig.room_.room_id(), std::string(kAnn)));
  int reads = 0;
  std::thread storing;
  rig.store_.on_template = [&, usual = rig.store_.on_template](const auto& request) {
    auto context = usual(request);
    context->set_user_membership(++reads == 1 ? "" : "invite");
    if (reads == 1) storing = std::thread([&] { invite.reset(); });
    return context;
  };
  EXPECT_EQ(
      rig.Send(rig.remote_.Request("GET",
                                   "/_matrix/federation/v1/make_join/" + http::PercentEncode(rig.room_.room_id()) +
                                       "/" + http::PercentEncode(kAnn) + "?ver=10",
                                   nullptr))
          .status,
      200);
  EXPECT_EQ(reads, 2);
  storing.join();
}

/// A join that conflicts has its turn in the room from there on; that branches are needed then is no reason for
/// another.
class SendMembershipInTurns : public testing::TestWithParam<Endpoint> {};

TEST_P(SendMembershipInTurns, WaitsForNobodyWhereAConflictIsFollowedByBranches) {
  Attempt attempt(GetParam());
  LeaveRig& rig = attempt.rig;
  rig.store_.on_context = [context = rig.context_](const store::v1::GetEventContextRequest& request) {
    store::v1::EventContext answer = context;
    if (request.with_branches()) answer.mutable_judging()->mutable_branches();
    return answer;
  };
  int judged = 0;
  rig.validator_.on_validate =
      [&, judge = rig.validator_.on_validate](
          const validator::v1::ValidateRequest& request) -> absl::StatusOr<matrix::v1::Verdict> {
    if (++judged > 1 && !request.context().has_branches()) return matrix::Refuse(Reason::kStateUnresolved, "scripted");
    return judge(request);
  };
  int persists = 0;
  rig.store_.on_persist = [&](const store::v1::PersistEventRequest& request) {
    store::v1::PersistEventResponse response;
    if (++persists == 1) {
      *response.mutable_fresh_context() = rig.context_;
    } else {
      response.mutable_stored()->set_outcome(request.verdict().outcome());
    }
    return response;
  };
  const absl::Time begun = absl::Now();
  EXPECT_EQ(rig.Send(attempt.Request()).status, 200);
  EXPECT_LT(absl::Now() - begun, absl::Seconds(5)) << "a request may take 20 s, and waits for a turn until 5 s before";
  EXPECT_EQ(judged, 3);
  EXPECT_EQ(persists, 2);
}

TEST_P(SendMembershipInTurns, IsJudgedInATurnFromTheFirst) {
  Attempt attempt(GetParam());
  LeaveRig& rig = attempt.rig;
  bool in_turn = false;
  rig.validator_.on_validate = [&, judge = rig.validator_.on_validate](const validator::v1::ValidateRequest& request) {
    in_turn = rig.turns_.AreToLineUp(rig.room_.room_id());
    return judge(request);
  };
  EXPECT_EQ(rig.Send(attempt.Request()).status, 200);
  EXPECT_TRUE(in_turn);
  EXPECT_EQ(rig.validated_, 1);
  EXPECT_FALSE(rig.turns_.AreToLineUp(rig.room_.room_id())) << "and gives it on";
}

TEST(SendLeaveInTurns, IsJudgedBesideOneThatNobodyLinesUpFor) {
  LeaveRig rig;
  const auto turn = rig.turns_.Take(rig.room_.room_id(), absl::InfiniteFuture());
  EXPECT_EQ(rig.SendLeave(rig.remote_.Complete(rig.Leave(), rig.rules())).status, 200);
}

TEST(SendLeaveInTurns, WaitsForThatOfAJoin) {
  LeaveRig rig;
  auto turn = rig.turns_.Take(rig.room_.room_id(), absl::InfiniteFuture(), /*others_line_up=*/true);
  std::atomic<bool> answered = false;
  std::thread leaves([&] {
    EXPECT_EQ(rig.SendLeave(rig.remote_.Complete(rig.Leave(), rig.rules())).status, 200);
    answered = true;
  });
  while (rig.turns_.waiting() == 0) std::this_thread::yield();
  EXPECT_FALSE(answered);
  turn = {};
  leaves.join();
}

INSTANTIATE_TEST_SUITE_P(Endpoints, SendMembershipInTurns, testing::Values(kSendJoin, kSendKnock),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace postern::gateway
