#include "tests/contract/validator_contract.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <set>

#include "grpcpp/support/status.h"
#include "matrix/auth_events.h"
#include "matrix/canonical_json.h"
#include "matrix/content_hash.h"
#include "matrix/refusal.h"
#include "postern/matrix/v1/refusal.pb.h"
#include "rpc/status_codec.h"
#include "tests/contract/in_company.h"
#include "tests/support/judging_request.h"
#include "tests/support/room_builder.h"
#include "tests/support/told_branches.h"

namespace postern::contract {

using matrix::Event;
using matrix::Reason;
using support::Object;
using support::RoomBuilder;
using support::TestRoom;
using support::ValidateRequestFor;
using testing::IsEmpty;
using testing::SizeIs;
namespace wire = postern::matrix::v1;

namespace {

constexpr char kAnn[] = "@ann:b.example";

Reason ReasonOf(const grpc::Status& status) { return matrix::ReasonOf(rpc::FromGrpc(status, Reason::kValidatorDown)); }

TestRoom InvitedAnn(std::string_view version = "10") { return RoomBuilder(version).Member(kAnn, "invite").Build(); }

validator::v1::AuthorizeRequest AuthorizeRequestFor(const TestRoom& room, const Event& event) {
  validator::v1::AuthorizeRequest request;
  matrix::JsonObject draft = event.json();
  draft.Erase("hashes");
  draft.Erase("signatures");
  request.set_pdu(matrix::CanonicalJson(draft));
  *request.mutable_context() = support::JudgingContextFor(room, event);
  return request;
}

}  // namespace

void ValidatorContract::SetUp() {
  served_ = GetParam().start();
  ASSERT_NE(served_, nullptr);
  const auto channel = grpc::CreateChannel(served_->address(), grpc::InsecureChannelCredentials());
  stub_ = validator::v1::Validator::NewStub(channel);
  together_ = validator::v1::ValidatorTogether::NewStub(channel);
}

grpc::Status ValidatorContract::Validate(const validator::v1::ValidateRequest& request) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  response_.Clear();
  if (GetParam().in_company) {
    return CallInCompany(*together_, &validator::v1::ValidatorTogether::Stub::Validate, request, response_);
  }
  return stub_->Validate(&context, request, &response_);
}

grpc::Status ValidatorContract::Explain(const validator::v1::ValidateRequest& request) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  explained_.Clear();
  return stub_->Explain(&context, request, &explained_);
}

grpc::Status ValidatorContract::Authorize(const validator::v1::AuthorizeRequest& request) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  authorized_.Clear();
  return stub_->Authorize(&context, request, &authorized_);
}

TEST_P(ValidatorContract, AcceptsALeaveInEveryVersion) {
  for (const matrix::RoomRules& rules : matrix::AllRoomRules()) {
    const TestRoom room = InvitedAnn(rules.version);
    const Event leave = room.Leave(kAnn);
    ASSERT_TRUE(Validate(ValidateRequestFor(room, leave)).ok()) << rules.version;
    EXPECT_EQ(verdict().outcome(), wire::OUTCOME_ACCEPTED) << rules.version << ": " << verdict().detail();
    EXPECT_EQ(verdict().reason(), wire::REASON_NONE);
    EXPECT_THAT(verdict().steps(), SizeIs(6));
    EXPECT_EQ(verdict().event_id(), leave.event_id());
    EXPECT_EQ(verdict().judged_copy(), TestRoom::Text(leave));
    EXPECT_EQ(verdict().judged_sha256(), matrix::Sha256(verdict().judged_copy()));
    EXPECT_EQ(verdict().judged_at_ms(), absl::ToUnixMillis(room.now()));
    EXPECT_TRUE(verdict().commutes());
    ASSERT_THAT(verdict().current_state_change(), SizeIs(1));
    EXPECT_EQ(verdict().current_state_change(0).state_key(), kAnn);
    EXPECT_EQ(verdict().current_state_change(0).event_id(), leave.event_id());
    EXPECT_THAT(verdict().read_set(), SizeIs(3));
    EXPECT_THAT(verdict().keys_used(), SizeIs(1));
  }
}

TEST_P(ValidatorContract, NumbersTheStepsAndSaysHowEachEnded) {
  const TestRoom room = InvitedAnn();
  ASSERT_TRUE(Validate(ValidateRequestFor(room, room.Leave(kAnn))).ok());
  for (int i = 0; i < verdict().steps_size(); ++i) {
    EXPECT_EQ(verdict().steps(i).step(), i + 1);
    EXPECT_EQ(verdict().steps(i).outcome(), wire::STEP_OUTCOME_OK);
    EXPECT_FALSE(verdict().steps(i).text().empty());
  }
}

TEST_P(ValidatorContract, ABrokenEventIsJudgedNotRefused) {
  const TestRoom room = InvitedAnn();
  auto request = ValidateRequestFor(room, room.Leave(kAnn));
  for (const std::string_view pdu : {"", "{", "[]", "{}", "{\"type\":1}"}) {
    request.set_pdu(std::string(pdu));
    ASSERT_TRUE(Validate(request).ok()) << pdu;
    EXPECT_EQ(verdict().outcome(), wire::OUTCOME_INVALID);
    EXPECT_EQ(verdict().reason(), wire::REASON_BAD_FORMAT);
    EXPECT_THAT(verdict().judged_copy(), IsEmpty());
  }
}

TEST_P(ValidatorContract, AnUnsignedEventIsInvalid) {
  const TestRoom room = InvitedAnn();
  auto request = ValidateRequestFor(room, room.Leave(kAnn));
  request.clear_verify_keys();
  ASSERT_TRUE(Validate(request).ok());
  EXPECT_EQ(verdict().outcome(), wire::OUTCOME_INVALID);
  EXPECT_EQ(verdict().reason(), wire::REASON_BAD_SIGNATURE);
  EXPECT_THAT(verdict().current_state_change(), IsEmpty());
}

TEST_P(ValidatorContract, AnExpiredKeyDoesNotCountFromV5OnButItDidBefore) {
  for (const auto& [version, outcome] :
       {std::pair{"4", wire::OUTCOME_ACCEPTED}, std::pair{"5", wire::OUTCOME_INVALID}}) {
    const TestRoom room = InvitedAnn(version);
    auto request = ValidateRequestFor(room, room.Leave(kAnn));
    for (auto& server : *request.mutable_verify_keys()) server.set_valid_until_ms(1000);
    ASSERT_TRUE(Validate(request).ok());
    EXPECT_EQ(verdict().outcome(), outcome) << version;
  }
}

TEST_P(ValidatorContract, UnknownPrevEventsAreInvalid) {
  const TestRoom room = InvitedAnn();
  auto request = ValidateRequestFor(room, room.Leave(kAnn));
  request.mutable_context()->mutable_prev_events(0)->set_known(false);
  ASSERT_TRUE(Validate(request).ok());
  EXPECT_EQ(verdict().outcome(), wire::OUTCOME_INVALID);
  EXPECT_EQ(verdict().reason(), wire::REASON_UNKNOWN_EVENTS);
}

TEST_P(ValidatorContract, TheBannedAreRejected) {
  const TestRoom room = RoomBuilder("10").Member(kAnn, "ban").Build();
  ASSERT_TRUE(Validate(ValidateRequestFor(room, room.Leave(kAnn))).ok());
  EXPECT_EQ(verdict().outcome(), wire::OUTCOME_REJECTED);
  EXPECT_EQ(verdict().reason(), wire::REASON_NOT_AUTHORISED);
  EXPECT_EQ(verdict().steps(3).rule(), "auth rule 4.5.1");
}

TEST_P(ValidatorContract, ABanThatLandedMeanwhileSoftFails) {
  const TestRoom room = InvitedAnn();
  const Event leave = room.Leave(kAnn);
  const Event ban = room.Member(kAnn, "ban", room.creator());
  auto request = ValidateRequestFor(room, leave);
  request.mutable_context()->set_extends_all_extremities(false);
  support::SetStateNow(ban, *request.mutable_context());
  ASSERT_TRUE(Validate(request).ok());
  EXPECT_EQ(verdict().outcome(), wire::OUTCOME_SOFT_FAILED);
  EXPECT_EQ(verdict().steps(4).outcome(), wire::STEP_OUTCOME_OK);
  EXPECT_EQ(verdict().steps(5).outcome(), wire::STEP_OUTCOME_FAILED);
  EXPECT_THAT(verdict().state_after_change(), IsEmpty());
  EXPECT_THAT(verdict().current_state_change(), IsEmpty());
  EXPECT_FALSE(verdict().judged_copy().empty());
}

TEST_P(ValidatorContract, AnAlteredEventIsJudgedAsItsRedactedCopy) {
  const TestRoom room = InvitedAnn();
  const Event leave = room.Leave(kAnn);
  auto request = ValidateRequestFor(room, leave);
  matrix::JsonObject altered = leave.json();
  altered.Set("content", matrix::Json(Object(R"({"membership":"leave","reason":"spam"})")));
  request.set_pdu(matrix::CanonicalJson(altered));
  ASSERT_TRUE(Validate(request).ok());
  EXPECT_EQ(verdict().outcome(), wire::OUTCOME_ACCEPTED);
  EXPECT_EQ(verdict().steps(1).outcome(), wire::STEP_OUTCOME_REDACTED);
  EXPECT_EQ(verdict().judged_copy().find("spam"), std::string::npos);
}

TEST_P(ValidatorContract, RefusesAVersionThatNobodyKnows) {
  const TestRoom room = InvitedAnn();
  auto request = ValidateRequestFor(room, room.Leave(kAnn));
  for (const std::string_view version : {"", "0", "13", "org.example.1"}) {
    request.mutable_context()->set_room_version(std::string(version));
    const grpc::Status status = Validate(request);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(ReasonOf(status), Reason::kUnsupportedVersion);
  }
}

TEST_P(ValidatorContract, RefusesAContextThatDoesNotFit) {
  const TestRoom room = InvitedAnn();
  const auto whole = ValidateRequestFor(room, room.Leave(kAnn));
  auto request = whole;
  request.mutable_context()->clear_events();
  EXPECT_EQ(ReasonOf(Validate(request)), Reason::kInvalidArgument);
  request = whole;
  request.mutable_context()->mutable_events(0)->set_pdu("{}");
  EXPECT_EQ(ReasonOf(Validate(request)), Reason::kInvalidArgument);
  request = whole;
  request.mutable_context()->mutable_events(0)->set_event_id("$other");
  EXPECT_EQ(ReasonOf(Validate(request)), Reason::kInvalidArgument);
  request = whole;
  request.mutable_context()->mutable_state_now(0)->set_type("m.room.name");
  EXPECT_EQ(ReasonOf(Validate(request)), Reason::kInvalidArgument);
  request = whole;
  request.mutable_context()->clear_auth_events();
  EXPECT_EQ(ReasonOf(Validate(request)), Reason::kInvalidArgument);
}

TEST_P(ValidatorContract, SaysThatItCannotJudgeWhatHangsOnAResolution) {
  const TestRoom room = InvitedAnn();
  auto request = ValidateRequestFor(room, room.Leave(kAnn));
  request.mutable_context()->set_extends_all_extremities(false);
  request.mutable_context()->set_state_before_unresolved(true);
  grpc::Status status = Validate(request);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ReasonOf(status), Reason::kStateUnresolved);
  request.mutable_context()->set_state_before_unresolved(false);
  EXPECT_TRUE(Validate(request).ok());
  EXPECT_TRUE(verdict().commutes());
}

namespace {

/// Ann's leave from a room's last event, beside others from there: the request, with what a store would say of them.
class ForkOf {
 public:
  ForkOf(const TestRoom& room, const Event& leave) : leave_(leave) {
    for (const Event& event : room.events()) {
      events_.Add(event);
      if (event.is_state()) state_[{event.type(), *event.state_key()}] = event.event_id();
    }
    request_ = ValidateRequestFor(room, leave);
    request_.mutable_context()->set_extends_all_extremities(false);
    request_.mutable_context()->set_states_diverge(true);
  }
  /// The room's state with these, each of which is held.
  matrix::StateMap With(const std::vector<const Event*>& changes) {
    matrix::StateMap state = state_;
    for (const Event* event : changes) {
      state[{event->type(), *event->state_key()}] = event->event_id();
      events_.Add(*event);
      support::SetStateNow(*event, *request_.mutable_context());
    }
    return state;
  }
  void Tell(const support::MeetingStates& states) {
    std::set<std::string> named;
    wire::JudgingContext& context = *request_.mutable_context();
    support::CutOptions options{.told = {{"m.room.member", kAnn}}, .asked = {}, .cited = leave_.auth_events()};
    for (const matrix::StateKey& key : matrix::KeysForLeave(kAnn)) options.asked.insert(key);
    *context.mutable_branches() = support::TellBranches(states, events_, options, named);
    context.set_state_before_unresolved(states.before.size() > 1);
    for (const auto& held : context.events()) named.erase(held.event_id());
    for (const std::string& id : named) {
      auto& stored = *context.add_events();
      stored.set_event_id(id);
      stored.set_pdu(TestRoom::Text(*events_.Find(id)));
    }
  }
  validator::v1::ValidateRequest& request() { return request_; }

 private:
  const Event& leave_;
  matrix::ResolutionEvents events_;
  matrix::StateMap state_;
  validator::v1::ValidateRequest request_;
};

Event SomeState(const TestRoom& room, std::string_view type) {
  return room.Mint({.type = std::string(type), .state_key = "", .sender = room.creator(), .content = Object("{}")});
}

}  // namespace

TEST_P(ValidatorContract, ResolvesALeaveBesideAnotherBranchWhereItIsGiven) {
  for (const matrix::RoomRules& rules : matrix::AllRoomRules()) {
    const TestRoom room = InvitedAnn(rules.version);
    const Event leave = room.Leave(kAnn);
    const Event topic = SomeState(room, "m.room.topic");
    ForkOf fork(room, leave);
    const matrix::StateMap base = fork.With({});
    const matrix::StateMap named = fork.With({&topic});
    EXPECT_EQ(ReasonOf(Validate(fork.request())), Reason::kStateUnresolved) << rules.version;
    fork.Tell({.before = {base}, .beside = {named}, .now = named});
    const grpc::Status status = Validate(fork.request());
    ASSERT_TRUE(status.ok()) << rules.version << status.error_message();
    EXPECT_EQ(verdict().outcome(), wire::OUTCOME_ACCEPTED) << verdict().detail();
    EXPECT_FALSE(verdict().commutes());
    EXPECT_THAT(verdict().state_before_change(), IsEmpty());
    ASSERT_THAT(verdict().current_state_change(), SizeIs(1));
    EXPECT_EQ(verdict().current_state_change(0).event_id(), leave.event_id());
  }
}

TEST_P(ValidatorContract, ResolvesTheStateBeforeALeaveThatCitesSeveralBranches) {
  for (const matrix::RoomRules& rules : matrix::AllRoomRules()) {
    const TestRoom room = InvitedAnn(rules.version);
    const Event leave = room.Leave(kAnn);
    const Event topic = SomeState(room, "m.room.topic");
    const Event name = SomeState(room, "m.room.name");
    const Event avatar = SomeState(room, "m.room.avatar");
    ForkOf fork(room, leave);
    fork.Tell({.before = {fork.With({&topic}), fork.With({&name})},
               .beside = {fork.With({&avatar})},
               .now = fork.With({&topic, &name, &avatar})});
    const grpc::Status status = Validate(fork.request());
    ASSERT_TRUE(status.ok()) << rules.version << status.error_message();
    EXPECT_EQ(verdict().outcome(), wire::OUTCOME_ACCEPTED) << verdict().detail();
    // The first of them is the base: it has the topic, and not the name.
    ASSERT_THAT(verdict().state_before_change(), SizeIs(1));
    EXPECT_EQ(verdict().state_before_change(0).event_id(), name.event_id());
    ASSERT_THAT(verdict().state_after_change(), SizeIs(1));
    ASSERT_THAT(verdict().current_state_change(), SizeIs(1));
    EXPECT_EQ(verdict().current_state_change(0).event_id(), leave.event_id());
  }
}

TEST_P(ValidatorContract, ALeaveThatIsOrderedBeforeItsInviteLeavesTheInviteInTheCurrentState) {
  const TestRoom room = InvitedAnn();
  const Event leave = room.Mint({.type = "m.room.member",
                                 .state_key = kAnn,
                                 .sender = kAnn,
                                 .content = Object(R"({"membership":"leave"})"),
                                 .origin_server_ts = room.tip().origin_server_ts() - 1000});
  const Event topic = SomeState(room, "m.room.topic");
  ForkOf fork(room, leave);
  fork.Tell({.before = {fork.With({})}, .beside = {fork.With({&topic})}, .now = fork.With({&topic})});
  ASSERT_TRUE(Validate(fork.request()).ok());
  EXPECT_EQ(verdict().outcome(), wire::OUTCOME_ACCEPTED);
  EXPECT_THAT(verdict().state_after_change(), SizeIs(1));
  EXPECT_THAT(verdict().current_state_change(), IsEmpty());
}

TEST_P(ValidatorContract, SaysThatItCannotJudgeBranchesThatAreTooLargeOrNotWhole) {
  const TestRoom room = InvitedAnn();
  const Event leave = room.Leave(kAnn);
  const Event topic = SomeState(room, "m.room.topic");
  ForkOf fork(room, leave);
  fork.Tell({.before = {fork.With({})}, .beside = {fork.With({&topic})}, .now = fork.With({&topic})});
  validator::v1::ValidateRequest request = fork.request();
  request.mutable_context()->mutable_branches()->Clear();
  request.mutable_context()->mutable_branches()->set_too_large(true);
  EXPECT_EQ(ReasonOf(Validate(request)), Reason::kStateUnresolved);
  request = fork.request();
  request.mutable_context()->mutable_branches()->clear_agreed();
  EXPECT_EQ(ReasonOf(Validate(request)), Reason::kStateUnresolved);
  request = fork.request();
  request.mutable_context()->mutable_branches()->mutable_states(1)->mutable_changes(0)->set_event_id("$nobody-has-it");
  EXPECT_EQ(ReasonOf(Validate(request)), Reason::kInvalidArgument);
}

TEST_P(ValidatorContract, TheSameRequestHasTheSameAnswer) {
  const TestRoom room = InvitedAnn();
  const auto request = ValidateRequestFor(room, room.Leave(kAnn));
  ASSERT_TRUE(Validate(request).ok());
  const std::string first = response_.SerializeAsString();
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(Validate(request).ok());
    EXPECT_EQ(response_.SerializeAsString(), first);
  }
}

TEST_P(ValidatorContract, ExplainsWithTheVerdictOfValidate) {
  const TestRoom invited = InvitedAnn();
  const TestRoom banned = RoomBuilder("10").Member(kAnn, "ban").Build();
  auto unsigned_event = ValidateRequestFor(invited, invited.Leave(kAnn));
  unsigned_event.clear_verify_keys();
  for (const auto& request : {ValidateRequestFor(invited, invited.Leave(kAnn)),
                              ValidateRequestFor(banned, banned.Leave(kAnn)), unsigned_event}) {
    ASSERT_TRUE(Validate(request).ok());
    ASSERT_TRUE(Explain(request).ok());
    EXPECT_EQ(explained_.verdict().SerializeAsString(), verdict().SerializeAsString());
  }
}

TEST_P(ValidatorContract, ExplainsWhichStateItTurnedOn) {
  const TestRoom room = InvitedAnn();
  const Event leave = room.Leave(kAnn);
  const Event ban = room.Member(kAnn, "ban", room.creator());
  auto request = ValidateRequestFor(room, leave);
  request.mutable_context()->set_extends_all_extremities(false);
  support::SetStateNow(ban, *request.mutable_context());
  ASSERT_TRUE(Explain(request).ok());
  ASSERT_THAT(explained_.keys(), SizeIs(3));
  EXPECT_EQ(explained_.keys(0).key().type(), "m.room.create");
  EXPECT_EQ(explained_.keys(0).before(), explained_.keys(0).now());
  EXPECT_EQ(explained_.keys(1).key().state_key(), kAnn);
  EXPECT_EQ(explained_.keys(1).before(), room.state().Find("m.room.member", kAnn)->event_id());
  EXPECT_EQ(explained_.keys(1).now(), ban.event_id());
  EXPECT_EQ(explained_.keys(2).key().type(), "m.room.power_levels");

  // An event that extends the whole room has the current state before it, and a key may have no entry.
  const TestRoom without_levels = RoomBuilder("10").NoPowerLevels().Member(kAnn, "invite").Build();
  auto at_the_tip = ValidateRequestFor(without_levels, without_levels.Leave(kAnn));
  at_the_tip.mutable_context()->clear_state_before();
  ASSERT_TRUE(Explain(at_the_tip).ok());
  ASSERT_THAT(explained_.keys(), SizeIs(3));
  EXPECT_EQ(explained_.keys(1).before(), explained_.keys(1).now());
  EXPECT_TRUE(explained_.keys(1).has_before());
  EXPECT_FALSE(explained_.keys(2).has_before());
  EXPECT_FALSE(explained_.keys(2).has_now());
}

TEST_P(ValidatorContract, ExplainsABrokenEventWithoutState) {
  const TestRoom room = InvitedAnn();
  auto request = ValidateRequestFor(room, room.Leave(kAnn));
  request.set_pdu("{}");
  ASSERT_TRUE(Explain(request).ok());
  EXPECT_EQ(explained_.verdict().reason(), wire::REASON_BAD_FORMAT);
  EXPECT_THAT(explained_.keys(), IsEmpty());
}

TEST_P(ValidatorContract, ExplainsNothingThatItCouldNotJudge) {
  const TestRoom room = InvitedAnn();
  auto request = ValidateRequestFor(room, room.Leave(kAnn));
  request.mutable_context()->set_room_version("13");
  EXPECT_EQ(ReasonOf(Explain(request)), Reason::kUnsupportedVersion);
  request.mutable_context()->set_room_version("10");
  request.mutable_context()->clear_events();
  EXPECT_EQ(ReasonOf(Explain(request)), Reason::kInvalidArgument);
}

TEST_P(ValidatorContract, SaysWhichOfTheKeysUsedWereGivenUp) {
  const TestRoom room = InvitedAnn();
  auto request = ValidateRequestFor(room, room.Leave(kAnn));
  for (auto& server : *request.mutable_verify_keys()) {
    for (auto& key : *server.mutable_keys()) key.set_expired_ms(absl::ToUnixMillis(room.now()));
  }
  ASSERT_TRUE(Validate(request).ok());
  ASSERT_THAT(verdict().keys_used(), SizeIs(1));
  EXPECT_TRUE(verdict().keys_used(0).old());
  EXPECT_EQ(verdict().keys_used(0).valid_until_ms(), absl::ToUnixMillis(room.now()));
}

TEST_P(ValidatorContract, AuthorizesWhatIsStillToBeSigned) {
  for (const matrix::RoomRules& rules : matrix::AllRoomRules()) {
    const TestRoom room = InvitedAnn(rules.version);
    ASSERT_TRUE(Authorize(AuthorizeRequestFor(room, room.Leave(kAnn))).ok()) << rules.version;
    EXPECT_TRUE(authorized_.allowed()) << authorized_.text();
    EXPECT_FALSE(authorized_.rule().empty());
    EXPECT_FALSE(authorized_.has_refusal());
  }
}

TEST_P(ValidatorContract, AuthorizesNothingThatTheRulesRefuse) {
  const TestRoom room = RoomBuilder("10").Member(kAnn, "leave").Build();
  ASSERT_TRUE(Authorize(AuthorizeRequestFor(room, room.Leave(kAnn))).ok());
  EXPECT_FALSE(authorized_.allowed());
  EXPECT_EQ(authorized_.refusal().reason(), wire::REASON_NOT_AUTHORISED);
  EXPECT_EQ(authorized_.rule(), "auth rule 4.5.1");
}

TEST_P(ValidatorContract, AuthorizesNoBrokenEvent) {
  const TestRoom room = InvitedAnn();
  auto request = AuthorizeRequestFor(room, room.Leave(kAnn));
  request.set_pdu("{}");
  EXPECT_EQ(Authorize(request).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

}  // namespace postern::contract
