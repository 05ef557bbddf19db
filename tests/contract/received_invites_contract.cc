#include "tests/contract/received_invites_contract.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>

#include <thread>

#include "services/store/invite_request.h"

namespace postern::contract {
namespace {

namespace v1 = store::v1;
using matrix::Reason;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using Report = v1::ReportInviteLeaveRequest;
using Kept = v1::KeepInviteResponse;

constexpr const char* kBob = "@bob:a.example";

v1::InviteConditions OfRoom(const std::string& room) {
  v1::InviteConditions of;
  of.set_room_id(room);
  of.set_user_id(kBob);
  return of;
}
v1::InviteConditions OfSender(const std::string& sender) {
  v1::InviteConditions of;
  of.set_sender(sender);
  return of;
}
v1::InviteConditions OfServer(const std::string& server) {
  v1::InviteConditions of;
  of.set_server(server);
  return of;
}
v1::InviteConditions OfUser(const std::string& user) {
  v1::InviteConditions of;
  of.set_user_id(user);
  return of;
}

}  // namespace

void ReceivedInvitesContract::SetUp() {
  served_ = GetParam().start();
  ASSERT_NE(served_, nullptr);
  stub_ = v1::ReceivedInvites::NewStub(grpc::CreateChannel(served_->address(), grpc::InsecureChannelCredentials()));
}

v1::ReceivedInvite ReceivedInvitesContract::Invite(const std::string& room, const std::string& event_id,
                                                   const std::string& origin, const std::string& user) {
  v1::ReceivedInvite invite;
  invite.mutable_name()->set_room_id(room);
  invite.mutable_name()->set_user_id(user);
  invite.mutable_name()->set_event_id(event_id);
  invite.set_room_version("10");
  invite.set_sender("@ann:" + origin);
  invite.set_origin(origin);
  invite.set_pdu("{\"of\":\"" + event_id + "\"}");
  invite.set_shown_state("[]");
  return invite;
}

Kept ReceivedInvitesContract::Keep(const v1::ReceivedInvite& invite) {
  v1::KeepInviteRequest request;
  *request.mutable_invite() = invite;
  Kept response;
  const grpc::Status status = Call(&Stub::KeepInvite, request, response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response;
}

std::vector<std::string> ReceivedInvitesContract::List(const v1::InviteConditions& of, bool settled) {
  v1::ListInvitesRequest request;
  *request.mutable_of() = of;
  request.set_settled(settled);
  std::vector<std::string> listed;
  for (;;) {
    v1::ListInvitesResponse page;
    const grpc::Status status = Call(&Stub::ListInvites, request, page);
    EXPECT_TRUE(status.ok()) << status.error_message();
    if (page.invites().empty()) return listed;
    for (const auto& invite : page.invites()) {
      listed.push_back(
          fmt::format("{} {} {}", invite.name().room_id(), invite.name().event_id(), static_cast<int>(invite.state())));
    }
    *request.mutable_after() = page.invites().rbegin()->name();
  }
}

v1::ReceivedInvite ReceivedInvitesContract::Get(const std::string& room) {
  v1::ListInvitesRequest request;
  *request.mutable_of() = OfRoom(room);
  request.set_settled(true);
  v1::ListInvitesResponse page;
  EXPECT_TRUE(Call(&Stub::ListInvites, request, page).ok());
  EXPECT_THAT(page.invites(), SizeIs(1));
  return page.invites().empty() ? v1::ReceivedInvite() : page.invites(0);
}

std::vector<std::string> ReceivedInvitesContract::Reject(const v1::InviteConditions& of, bool all,
                                                         const std::vector<std::string>& via) {
  v1::RejectInvitesRequest request;
  *request.mutable_of() = of;
  request.set_all(all);
  request.set_reason("no\xFF");
  request.mutable_via()->Add(via.begin(), via.end());
  v1::RejectInvitesResponse response;
  const grpc::Status status = Call(&Stub::RejectInvites, request, response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  std::vector<std::string> rooms;
  for (const auto& name : response.rejected()) rooms.push_back(name.room_id());
  std::ranges::sort(rooms);
  return rooms;
}

bool ReceivedInvitesContract::Withdraw(const v1::ReceivedInvite& invite, const std::string& sender) {
  v1::WithdrawInviteRequest request;
  *request.mutable_name() = invite.name();
  request.set_sender(sender);
  v1::WithdrawInviteResponse response;
  EXPECT_TRUE(Call(&Stub::WithdrawInvite, request, response).ok());
  return response.withdrawn();
}

std::vector<std::string> ReceivedInvitesContract::Lease(const std::string& holder, std::uint32_t milliseconds,
                                                        const std::vector<std::string>& busy, std::uint32_t most) {
  v1::LeaseInviteLeavesRequest request;
  request.set_holder(holder);
  request.set_milliseconds(milliseconds);
  request.set_most(most);
  for (const std::string& room : busy) *request.add_busy() = Invite(room).name();
  v1::LeaseInviteLeavesResponse response;
  const grpc::Status status = Call(&Stub::LeaseInviteLeaves, request, response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  std::vector<std::string> rooms;
  for (const auto& invite : response.invites()) {
    EXPECT_EQ(invite.pdu(), Invite(invite.name().room_id()).pdu());
    rooms.push_back(invite.name().room_id());
  }
  std::ranges::sort(rooms);
  return rooms;
}

bool ReceivedInvitesContract::Report(const std::string& room, const std::string& holder, Report::Outcome outcome,
                                     absl::Duration later) {
  v1::ReportInviteLeaveRequest request;
  *request.mutable_name() = Invite(room).name();
  request.set_holder(holder);
  request.set_outcome(outcome);
  request.set_error("because");
  request.set_next_try_ms(absl::ToUnixMillis(absl::Now() + later));
  v1::ReportInviteLeaveResponse response;
  const grpc::Status status = Call(&Stub::ReportInviteLeave, request, response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response.taken();
}

TEST_P(ReceivedInvitesContract, AnInviteIsKeptOnceAsItCameFirst) {
  v1::ReceivedInvite invite = Invite("!a\xFF");
  invite.set_shown_state(std::string("[\0]", 3));
  EXPECT_EQ(Keep(invite).result(), Kept::RESULT_KEPT);
  v1::ReceivedInvite again = invite;
  again.set_pdu("another");
  const Kept known = Keep(again);
  EXPECT_EQ(known.result(), Kept::RESULT_KNOWN);
  EXPECT_EQ(known.pdu(), invite.pdu());
  const v1::ReceivedInvite kept = Get("!a\xFF");
  EXPECT_EQ(kept.sender(), "@ann:b.example");
  EXPECT_EQ(kept.origin(), "b.example");
  EXPECT_EQ(kept.room_version(), "10");
  EXPECT_EQ(kept.shown_state(), invite.shown_state());
  EXPECT_EQ(kept.state(), v1::INVITE_STATE_OPEN);
  EXPECT_GT(kept.received_at_ms(), 0);
  EXPECT_FALSE(kept.has_next_try_ms());
  Reject(OfRoom("!a\xFF"));
  EXPECT_EQ(Keep(invite).result(), Kept::RESULT_KNOWN) << "what was rejected does not come back";
  EXPECT_EQ(Get("!a\xFF").state(), v1::INVITE_STATE_LEAVING);
}

TEST_P(ReceivedInvitesContract, ANewInviteBySameSenderTakesThePlaceOfTheOneBefore) {
  Keep(Invite("!a", "$1"));
  Keep(Invite("!a", "$2", "evil.example"));
  EXPECT_THAT(List(), ElementsAre("!a $1 1", "!a $2 1"));
  Keep(Invite("!a", "$3"));
  EXPECT_THAT(List(), ElementsAre("!a $1 4", "!a $2 1", "!a $3 1"));
  Reject(OfRoom("!a"));
  Keep(Invite("!a", "$4"));
  EXPECT_THAT(List(), ElementsAre("!a $1 4", "!a $2 2", "!a $3 4", "!a $4 1"));
  EXPECT_THAT(List({}, false), ElementsAre("!a $2 2", "!a $4 1"));
}

TEST_P(ReceivedInvitesContract, P06_ThoseAreListedAndRejectedThatMeetEveryCondition) {
  Keep(Invite("!a"));
  Keep(Invite("!b", "$1", "c.example"));
  Keep(Invite("!c", "$1", "c.example", "@cat:a.example"));
  EXPECT_THAT(List(OfSender("@ann:b.example")), ElementsAre("!a $1 1"));
  EXPECT_THAT(List(OfServer("c.example")), ElementsAre("!b $1 1", "!c $1 1"));
  EXPECT_THAT(List(OfUser(kBob)), ElementsAre("!a $1 1", "!b $1 1"));
  v1::InviteConditions both = OfServer("c.example");
  both.set_user_id("@cat:a.example");
  EXPECT_THAT(Reject(both), ElementsAre("!c"));
  EXPECT_THAT(Reject(OfServer("c.example")), ElementsAre("!b")) << "not again what is rejected";
  EXPECT_THAT(Reject({}, true), ElementsAre("!a"));
  EXPECT_THAT(List(), ElementsAre("!a $1 2", "!b $1 2", "!c $1 2"));
  EXPECT_EQ(Get("!a").reason(), "no\xFF");
}

TEST_P(ReceivedInvitesContract, MoreThanAPageAreListedAndRejectedInTurns) {
  const int count = store::kMostRejected + 1;
  for (int i = 0; i < count; ++i) Keep(Invite(fmt::format("!{:04}", i)));
  EXPECT_THAT(List(), SizeIs(count));
  EXPECT_THAT(Reject({}, true), SizeIs(store::kMostRejected));
  EXPECT_THAT(Reject({}, true), SizeIs(1));
  EXPECT_THAT(Reject({}, true), IsEmpty());
}

TEST_P(ReceivedInvitesContract, OfOneUserSoManyAreKeptAndOfThoseThatAreSettledTheOldestGoes) {
  for (int i = 0; i < store::kMostInvitesOfUser; ++i) Keep(Invite(fmt::format("!{:04}", i)));
  EXPECT_EQ(Keep(Invite("!more")).result(), Kept::RESULT_USER_FULL);
  EXPECT_EQ(Keep(Invite("!more", "$1", "b.example", "@cat:a.example")).result(), Kept::RESULT_KEPT);
  EXPECT_EQ(Keep(Invite("!0000")).result(), Kept::RESULT_KNOWN) << "a repeat needs no room";
  EXPECT_TRUE(Withdraw(Invite("!0002"), "@ann:b.example"));
  std::this_thread::sleep_for(std::chrono::milliseconds(2));  // for the order of the two
  EXPECT_TRUE(Withdraw(Invite("!0001"), "@ann:b.example"));
  EXPECT_EQ(Keep(Invite("!more")).result(), Kept::RESULT_KEPT);
  EXPECT_THAT(List(OfRoom("!0002")), IsEmpty());
  EXPECT_THAT(List(OfRoom("!0001")), ElementsAre("!0001 $1 4"));
}

TEST_P(ReceivedInvitesContract, OfOneOriginSoManyAreKept) {
  for (int i = 0; i < store::kMostInvitesOfOrigin; ++i) {
    Keep(Invite(fmt::format("!{:04}", i), "$1", "b.example", fmt::format("@{}:a.example", i % 4)));
  }
  EXPECT_EQ(Keep(Invite("!more")).result(), Kept::RESULT_ORIGIN_FULL);
  EXPECT_EQ(Keep(Invite("!more", "$1", "c.example")).result(), Kept::RESULT_KEPT);
}

TEST_P(ReceivedInvitesContract, L17_OnlyWhoInvitedWithdraws) {
  Keep(Invite("!a"));
  Keep(Invite("!b"));
  EXPECT_FALSE(Withdraw(Invite("!a"), "@eve:evil.example"));
  EXPECT_FALSE(Withdraw(Invite("!a", "$2"), "@ann:b.example"));
  EXPECT_TRUE(Withdraw(Invite("!a"), "@ann:b.example"));
  EXPECT_FALSE(Withdraw(Invite("!a"), "@ann:b.example"));
  Reject(OfRoom("!b"));
  EXPECT_TRUE(Withdraw(Invite("!b"), "@ann:b.example")) << "then there is nothing to leave";
  EXPECT_THAT(List(), ElementsAre("!a $1 4", "!b $1 4"));
  EXPECT_THAT(Lease("one"), IsEmpty());
}

TEST_P(ReceivedInvitesContract, ALeaveIsOneHoldersUntilItsTimeIsOver) {
  Keep(Invite("!a"));
  EXPECT_THAT(Lease("one"), IsEmpty()) << "nobody has rejected it";
  Reject(OfRoom("!a"));
  EXPECT_THAT(Lease("one"), ElementsAre("!a"));
  EXPECT_EQ(Get("!a").holder(), "one");
  EXPECT_THAT(Lease("two"), IsEmpty());
  EXPECT_THAT(Lease("one"), ElementsAre("!a")) << "its answer may have been lost";
  EXPECT_THAT(Lease("one", 60'000, {"!a"}), IsEmpty()) << "under way";
  EXPECT_THAT(Lease("one", 0), IsEmpty());
  EXPECT_THAT(Lease("two", 1), ElementsAre("!a")) << "given back";
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_THAT(Lease("one"), ElementsAre("!a")) << "two was not heard of any more";
}

TEST_P(ReceivedInvitesContract, ALeaveWaitsWhileAnotherInviteToTheRoomIsOpenForItWouldRejectThatToo) {
  Keep(Invite("!a"));
  Keep(Invite("!b"));
  Reject({}, true);
  const v1::ReceivedInvite other = Invite("!a", "$2", "c.example");
  Keep(other);
  Keep(Invite("!b", "$2", "c.example", "@cat:a.example"));  // another user's
  EXPECT_THAT(Lease("one"), ElementsAre("!b"));
  EXPECT_THAT(List(OfRoom("!a")), ElementsAre("!a $1 2", "!a $2 1")) << "it is put off, not given up";
  EXPECT_TRUE(Withdraw(other, "@ann:c.example"));
  EXPECT_THAT(Lease("one", 60'000, {"!b"}), ElementsAre("!a"));
}

TEST_P(ReceivedInvitesContract, LeavesAreLeasedSoManyAtATime) {
  for (const char* room : {"!a", "!b", "!c"}) Keep(Invite(room));
  Reject({}, true);
  EXPECT_THAT(Lease("one", 60'000, {}, 0), IsEmpty());
  EXPECT_THAT(Lease("one", 60'000, {}, 2), SizeIs(2));
  EXPECT_THAT(Lease("two"), SizeIs(1));
}

TEST_P(ReceivedInvitesContract, WhatCameOfALeaveIsTakenDown) {
  struct Case {
    Report::Outcome outcome;
    v1::InviteState state;
    std::uint32_t attempts, denials;
  };
  for (const Case& c : {Case{Report::OUTCOME_LEFT, v1::INVITE_STATE_LEFT, 0, 0},
                        {Report::OUTCOME_DENIED, v1::INVITE_STATE_LEAVING, 1, 1},
                        {Report::OUTCOME_FAILED, v1::INVITE_STATE_LEAVING, 1, 0},
                        {Report::OUTCOME_LEFT_HERE, v1::INVITE_STATE_LEFT_HERE, 1, 1}}) {
    const std::string room = fmt::format("!{}", static_cast<int>(c.outcome));
    Keep(Invite(room));
    EXPECT_FALSE(Report(room, "one", c.outcome)) << "not rejected";
    Reject(OfRoom(room));
    Lease("one");
    if (c.outcome != Report::OUTCOME_LEFT) {
      EXPECT_FALSE(Report(room, "two", c.outcome)) << "not its";
    }
    EXPECT_TRUE(Report(room, "one", c.outcome));
    const v1::ReceivedInvite after = Get(room);
    EXPECT_EQ(after.state(), c.state);
    EXPECT_EQ(after.attempts(), c.attempts);
    EXPECT_EQ(after.denials(), c.denials);
    EXPECT_EQ(after.has_next_try_ms(), c.state == v1::INVITE_STATE_LEAVING);
    EXPECT_EQ(after.last_error(), "because");
    EXPECT_EQ(after.holder(), "");
    EXPECT_THAT(Lease("one"), IsEmpty()) << "settled, or due later";
  }
}

TEST_P(ReceivedInvitesContract, DenialsCountInARow) {
  Keep(Invite("!a"));
  Reject(OfRoom("!a"));
  for (const auto& [outcome, denials] : {std::pair(Report::OUTCOME_DENIED, 1U),
                                         {Report::OUTCOME_DENIED, 2U},
                                         {Report::OUTCOME_FAILED, 0U},
                                         {Report::OUTCOME_DENIED, 1U}}) {
    EXPECT_THAT(Lease("one"), ElementsAre("!a"));
    EXPECT_TRUE(Report("!a", "one", outcome, -absl::Seconds(1)));
    EXPECT_EQ(Get("!a").denials(), denials);
  }
  EXPECT_EQ(Get("!a").attempts(), 4U);
}

TEST_P(ReceivedInvitesContract, ARejectionByNameTriesAgainAtOnceByOtherServers) {
  Keep(Invite("!a"));
  Reject(OfRoom("!a"));
  Lease("one");
  Report("!a", "one", Report::OUTCOME_FAILED);
  EXPECT_THAT(Reject(OfServer("b.example")), IsEmpty());
  EXPECT_THAT(Reject(OfRoom("!a"), false, {"v.example", "w.example"}), ElementsAre("!a"));
  EXPECT_THAT(Get("!a").via(), ElementsAre("v.example", "w.example"));
  EXPECT_THAT(Lease("one"), ElementsAre("!a"));
  Report("!a", "one", Report::OUTCOME_LEFT_HERE);
  EXPECT_THAT(Reject(OfRoom("!a")), ElementsAre("!a"));
  Lease("one");
  Report("!a", "one", Report::OUTCOME_LEFT);
  EXPECT_THAT(Reject(OfRoom("!a")), IsEmpty()) << "the room knows";
}

TEST_P(ReceivedInvitesContract, RefusesWhatCannotBeMeant) {
  const auto keep = [&](const auto& alter) {
    v1::KeepInviteRequest request;
    *request.mutable_invite() = Invite("!a");
    alter(*request.mutable_invite());
    Kept response;
    return ReasonOf(Call(&Stub::KeepInvite, request, response));
  };
  const std::string long_text(65537, 'x');
  EXPECT_EQ(keep([](auto& invite) { invite.mutable_name()->clear_user_id(); }), Reason::kInvalidArgument);
  EXPECT_EQ(keep([](auto& invite) { invite.clear_origin(); }), Reason::kInvalidArgument);
  EXPECT_EQ(keep([](auto& invite) { invite.clear_pdu(); }), Reason::kInvalidArgument);
  EXPECT_EQ(keep([&](auto& invite) { invite.set_pdu(long_text); }), Reason::kInvalidArgument);
  EXPECT_EQ(keep([&](auto& invite) { invite.set_shown_state(long_text); }), Reason::kInvalidArgument);

  const auto reject = [&](const auto& alter) {
    v1::RejectInvitesRequest request;
    alter(request);
    v1::RejectInvitesResponse response;
    return ReasonOf(Call(&Stub::RejectInvites, request, response));
  };
  EXPECT_EQ(reject([](auto&) {}), Reason::kInvalidArgument) << "no condition";
  EXPECT_EQ(reject([](auto& r) {
              r.set_all(true);
              r.mutable_of()->set_server("b.example");
            }),
            Reason::kInvalidArgument);
  EXPECT_EQ(reject([](auto& r) {
              r.set_all(true);
              for (int i = 0; i < 11; ++i) r.add_via("b.example");
            }),
            Reason::kInvalidArgument);
  EXPECT_EQ(reject([&](auto& r) {
              r.set_all(true);
              r.set_reason(long_text);
            }),
            Reason::kInvalidArgument);

  v1::LeaseInviteLeavesRequest lease;
  v1::LeaseInviteLeavesResponse leased;
  EXPECT_EQ(ReasonOf(Call(&Stub::LeaseInviteLeaves, lease, leased)), Reason::kInvalidArgument) << "no holder";
  lease.set_holder("one");
  lease.set_milliseconds(60'001);
  EXPECT_EQ(ReasonOf(Call(&Stub::LeaseInviteLeaves, lease, leased)), Reason::kInvalidArgument);

  v1::ReportInviteLeaveRequest report;
  v1::ReportInviteLeaveResponse reported;
  EXPECT_EQ(ReasonOf(Call(&Stub::ReportInviteLeave, report, reported)), Reason::kInvalidArgument) << "no outcome";
  report.set_outcome(Report::OUTCOME_FAILED);
  EXPECT_EQ(ReasonOf(Call(&Stub::ReportInviteLeave, report, reported)), Reason::kInvalidArgument) << "no next try";
}

}  // namespace postern::contract
