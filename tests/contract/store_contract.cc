#include "tests/contract/store_contract.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "matrix/canonical_json.h"
#include "matrix/refusal.h"
#include "tests/support/store_requests.h"

namespace postern::contract {

using matrix::Event;
using matrix::Reason;
using matrix::v1::OUTCOME_ACCEPTED;
using matrix::v1::OUTCOME_REJECTED;
using matrix::v1::OUTCOME_SOFT_FAILED;
using store::v1::Store;
using support::ContextRequestFor;
using support::EntryOf;
using support::PersistRequestFor;
using support::RoomBuilder;
using support::TestRoom;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;
namespace v1 = store::v1;

namespace {

/// Each event that the context names is given once.
void ExpectNamedEventsGiven(const matrix::v1::JudgingContext& judging) {
  std::set<std::string> named;
  for (const auto& entry : judging.state_now()) named.insert(entry.event_id());
  for (const auto& entry : judging.state_before()) named.insert(entry.event_id());
  for (const auto& cited : judging.prev_events()) named.insert(cited.event_id());
  for (const auto& cited : judging.auth_events()) named.insert(cited.event_id());
  const std::vector<std::string> given = IdsOf(judging.events());
  EXPECT_THAT(given, SizeIs(named.size()));
  EXPECT_EQ(std::set<std::string>(given.begin(), given.end()), named);
}

/// A state event of the creator's, from these events.
Event StateFrom(const TestRoom& room, std::string_view type, std::vector<const Event*> prev) {
  return room.Mint({.type = std::string(type),
                    .state_key = "",
                    .sender = room.creator(),
                    .content = {},
                    .prev_events = std::move(prev)});
}

void Ask(v1::GetEventContextRequest& request, std::string_view type, std::string_view key) {
  auto& asked = *request.add_state_keys();
  asked.set_type(std::string(type));
  asked.set_state_key(std::string(key));
}

/// Entries by key; "" where there is none.
using Entries = std::map<matrix::StateKey, std::string>;

Entries EntriesOf(const google::protobuf::RepeatedPtrField<matrix::v1::StateEntry>& entries) {
  Entries by_key;
  for (const auto& entry : entries) by_key[{entry.type(), entry.state_key()}] = entry.event_id();
  return by_key;
}

Entries With(Entries base, const google::protobuf::RepeatedPtrField<matrix::v1::StateEntry>& changes) {
  for (const auto& [key, event_id] : EntriesOf(changes)) base[key] = event_id;
  return base;
}

v1::GetEventContextRequest BranchesRequestFor(const Event& event) {
  v1::GetEventContextRequest request = ContextRequestFor(event);
  request.set_with_branches(true);
  request.mutable_own_key()->set_type(event.type());
  request.mutable_own_key()->set_state_key(*event.state_key());
  return request;
}

}  // namespace

void StoreContract::SetUp() {
  served_ = GetParam().start();
  ASSERT_NE(served_, nullptr);
  const auto channel = grpc::CreateChannel(served_->address(), grpc::InsecureChannelCredentials());
  stub_ = Store::NewStub(channel);
  together_ = v1::StoreTogether::NewStub(channel);
}

TestRoom StoreContract::MakeRoom(std::string_view version) {
  TestRoom room = RoomBuilder(version)
                      .Member("@ann:b.example", "invite")
                      .Member("@bob:c.example", "join")
                      .Member("@cat:d.example", "join")
                      .Build();
  Create(room);
  return room;
}

void StoreContract::Create(const TestRoom& room) {
  v1::CreateRoomResponse response;
  const grpc::Status status = Call(&Store::Stub::CreateRoom, support::CreateRoomRequestFor(room), response);
  ASSERT_TRUE(status.ok()) << status.error_message();
}

v1::EventContext StoreContract::ContextOf(const Event& event) {
  v1::EventContext context;
  const grpc::Status status = Call(&Store::Stub::GetEventContext, ContextRequestFor(event), context);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return context;
}

v1::PersistEventResponse StoreContract::Persist(const v1::PersistEventRequest& request) {
  v1::PersistEventResponse response;
  const grpc::Status status = Call(&Store::Stub::PersistEvent, request, response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response;
}

v1::PersistEventResponse StoreContract::Judge(const Event& event, matrix::v1::Outcome outcome) {
  return Persist(PersistRequestFor(event, ContextOf(event), outcome));
}

v1::PersistEventResponse StoreContract::JudgeAlone(const Event& event) {
  v1::PersistEventRequest request = PersistRequestFor(event, ContextOf(event));
  request.mutable_verdict()->set_commutes(false);
  return Persist(request);
}

v1::RoomDescription StoreContract::Room(const TestRoom& room) {
  v1::GetRoomRequest request;
  request.set_room_id(room.room_id());
  v1::RoomDescription description;
  EXPECT_TRUE(Call(&Store::Stub::GetRoom, request, description).ok());
  return description;
}

std::string StoreContract::MembershipOf(const TestRoom& room, const std::string& user) {
  v1::GetMemberRequest request;
  request.set_room_id(room.room_id());
  request.set_user_id(user);
  v1::Member member;
  return Call(&Store::Stub::GetMember, request, member).ok() ? member.membership() : "";
}

v1::ListOutboxResponse StoreContract::Outbox(const TestRoom& room) {
  v1::ListOutboxRequest request;
  request.set_room_id(room.room_id());
  v1::ListOutboxResponse outbox;
  EXPECT_TRUE(Call(&Store::Stub::ListOutbox, request, outbox).ok());
  return outbox;
}

TEST_P(StoreContract, ShowsARoomAsItWasCreated) {
  const TestRoom room = MakeRoom();
  const v1::RoomDescription shown = Room(room);
  EXPECT_EQ(shown.room_version(), "10");
  EXPECT_EQ(shown.events(), static_cast<std::int64_t>(room.events().size()));
  EXPECT_EQ(shown.joined_members(), 3);
  EXPECT_EQ(shown.invited_members(), 1);
  EXPECT_THAT(shown.forward_extremities(), ElementsAre(room.tip().event_id()));
  EXPECT_EQ(shown.servers_size(), 3);
  EXPECT_EQ(EntryOf(shown.state(), "m.room.create", ""), room.events().front().event_id());
  EXPECT_EQ(MembershipOf(room, "@ann:b.example"), "invite");
  EXPECT_EQ(MembershipOf(room, "@nobody:b.example"), "");
  EXPECT_EQ(Outbox(room).rows_size(), static_cast<int>(room.events().size()));
}

TEST_P(StoreContract, CreatesARoomOnce) {
  const TestRoom room = MakeRoom();
  v1::CreateRoomResponse response;
  EXPECT_EQ(ReasonOf(Call(&Store::Stub::CreateRoom, support::CreateRoomRequestFor(room), response)),
            Reason::kAlreadyExists);
  v1::CreateRoomRequest empty;
  empty.set_room_id("!x:a.example");
  empty.set_room_version("10");
  EXPECT_EQ(ReasonOf(Call(&Store::Stub::CreateRoom, empty, response)), Reason::kInvalidArgument);
}

TEST_P(StoreContract, DoesNotKnowARoom) {
  const TestRoom room = RoomBuilder("10").Member("@ann:b.example", "invite").Build();
  v1::EventContext context;
  EXPECT_EQ(ReasonOf(Call(&Store::Stub::GetEventContext, ContextRequestFor(room.Leave("@ann:b.example")), context)),
            Reason::kUnknownRoom);
  v1::GetTemplateContextRequest request;
  request.set_room_id(room.room_id());
  v1::TemplateContext template_context;
  EXPECT_EQ(ReasonOf(Call(&Store::Stub::GetTemplateContext, request, template_context)), Reason::kUnknownRoom);
  v1::GetRoomRequest read;
  read.set_room_id(room.room_id());
  v1::RoomDescription description;
  EXPECT_EQ(ReasonOf(Call(&Store::Stub::GetRoom, read, description)), Reason::kNotFound);
}

TEST_P(StoreContract, GathersTheContextOfAnEventAtTheTip) {
  const TestRoom room = MakeRoom();
  const Event leave = room.Leave("@ann:b.example");
  const v1::EventContext context = ContextOf(leave);
  const matrix::v1::JudgingContext& judging = context.judging();
  EXPECT_EQ(judging.room_version(), "10");
  EXPECT_EQ(judging.room_id(), room.room_id());
  EXPECT_TRUE(judging.extends_all_extremities());
  EXPECT_FALSE(judging.state_before_unresolved());
  EXPECT_EQ(context.sender_membership(), "invite");
  EXPECT_FALSE(context.has_existing());
  EXPECT_EQ(EntryOf(judging.state_now(), "m.room.create", ""), room.events().front().event_id());
  EXPECT_NE(EntryOf(judging.state_now(), "m.room.member", "@ann:b.example"), "");
  EXPECT_EQ(judging.state_before_size(), judging.state_now_size());
  EXPECT_EQ(IdsOf(judging.prev_events()), leave.prev_events());
  EXPECT_EQ(IdsOf(judging.auth_events()), leave.auth_events());
  for (const auto& cited : judging.auth_events()) EXPECT_TRUE(cited.known() && !cited.rejected());
  ExpectNamedEventsGiven(judging);
}

TEST_P(StoreContract, SaysWhichCitedEventsItDoesNotKnow) {
  const TestRoom room = MakeRoom();
  const Event leave = room.Leave("@ann:b.example");
  v1::GetEventContextRequest request = ContextRequestFor(leave);
  request.add_prev_events("$nobody-has-it");
  request.add_auth_events("$nor-this");
  v1::EventContext context;
  ASSERT_TRUE(Call(&Store::Stub::GetEventContext, request, context).ok());
  EXPECT_FALSE(context.judging().prev_events().rbegin()->known());
  EXPECT_FALSE(context.judging().auth_events().rbegin()->known());
  EXPECT_TRUE(context.judging().prev_events(0).known());
  EXPECT_TRUE(context.judging().state_before_unresolved());
  EXPECT_FALSE(context.judging().extends_all_extremities());
}

TEST_P(StoreContract, StoresALeaveWithAllThatFollowsFromIt) {
  const TestRoom room = MakeRoom();
  const Event leave = room.Leave("@bob:c.example");
  const v1::PersistEventResponse answer = Judge(leave);
  ASSERT_TRUE(answer.has_stored());
  EXPECT_EQ(answer.stored().outcome(), OUTCOME_ACCEPTED);
  EXPECT_FALSE(answer.stored().replay());

  EXPECT_EQ(MembershipOf(room, "@bob:c.example"), "leave");
  const v1::RoomDescription shown = Room(room);
  EXPECT_THAT(shown.forward_extremities(), ElementsAre(leave.event_id()));
  EXPECT_EQ(shown.joined_members(), 2);
  EXPECT_EQ(shown.servers_size(), 2);  // c.example has nobody left
  EXPECT_EQ(EntryOf(shown.state(), "m.room.member", "@bob:c.example"), leave.event_id());
  const v1::ListOutboxResponse outbox = Outbox(room);
  EXPECT_EQ(outbox.rows().rbegin()->event_id(), leave.event_id());
  // As before the event, without its origin and this server.
  EXPECT_THAT(outbox.rows().rbegin()->destinations(), ElementsAre("d.example"));

  v1::GetEventRequest request;
  request.set_event_id(leave.event_id());
  v1::EventRecord record;
  ASSERT_TRUE(Call(&Store::Stub::GetEvent, request, record).ok());
  EXPECT_EQ(record.pdu(), TestRoom::Text(leave));
  EXPECT_EQ(record.room_id(), room.room_id());
  EXPECT_EQ(record.origin(), "c.example");
  EXPECT_EQ(record.room_version(), "10");
  EXPECT_EQ(record.verdict().outcome(), OUTCOME_ACCEPTED);
  EXPECT_EQ(ContextOf(leave).existing().pdu(), TestRoom::Text(leave));
}

TEST_P(StoreContract, AnswersAReplayAsStoredAndWritesNothing) {
  const TestRoom room = MakeRoom();
  const Event leave = room.Leave("@bob:c.example");
  const v1::PersistEventRequest request = PersistRequestFor(leave, ContextOf(leave));
  Persist(request);
  const v1::PersistEventResponse again = Persist(request);
  ASSERT_TRUE(again.has_stored());
  EXPECT_TRUE(again.stored().replay());
  EXPECT_EQ(again.stored().outcome(), OUTCOME_ACCEPTED);
  v1::PersistEventRequest other = request;
  other.mutable_verdict()->set_outcome(OUTCOME_SOFT_FAILED);
  EXPECT_EQ(Persist(other).stored().outcome(), OUTCOME_ACCEPTED);
  EXPECT_EQ(Outbox(room).rows_size(), static_cast<int>(room.events().size()) + 1);
  EXPECT_EQ(Room(room).events(), static_cast<std::int64_t>(room.events().size()) + 1);
}

TEST_P(StoreContract, CarriedIdsWithOtherContentAreAConflict) {
  const TestRoom room = MakeRoom("1");
  const Event leave = room.Leave("@bob:c.example");
  const v1::PersistEventRequest request = PersistRequestFor(leave, ContextOf(leave));
  Persist(request);
  EXPECT_TRUE(Persist(request).stored().replay());
  matrix::JsonObject changed = leave.json();
  changed.Set("origin_server_ts", leave.origin_server_ts() + 1);
  v1::PersistEventRequest other = request;
  other.set_pdu(matrix::CanonicalJson(changed));
  const v1::PersistEventResponse answer = Persist(other);
  ASSERT_TRUE(answer.has_fresh_context());
  EXPECT_EQ(answer.fresh_context().existing().pdu(), TestRoom::Text(leave));
}

TEST_P(StoreContract, ARefusedEventIsNoEventAndMayBeAcceptedLater) {
  const TestRoom room = MakeRoom();
  const Event leave = room.Leave("@bob:c.example");
  EXPECT_EQ(Judge(leave, OUTCOME_REJECTED).stored().outcome(), OUTCOME_REJECTED);
  EXPECT_TRUE(Judge(leave, OUTCOME_REJECTED).stored().replay());
  EXPECT_FALSE(ContextOf(leave).has_existing());
  EXPECT_EQ(MembershipOf(room, "@bob:c.example"), "join");
  v1::GetEventRequest request;
  request.set_event_id(leave.event_id());
  v1::EventRecord record;
  ASSERT_TRUE(Call(&Store::Stub::GetEvent, request, record).ok());
  EXPECT_EQ(record.outcome(), OUTCOME_REJECTED);
  EXPECT_EQ(record.pdu(), "");
  EXPECT_EQ(record.verdict().reason(), matrix::v1::REASON_NOT_AUTHORISED);
  // One that cites it is told.
  v1::GetEventContextRequest citing = ContextRequestFor(room.Leave("@cat:d.example"));
  citing.add_auth_events(leave.event_id());
  v1::EventContext context;
  ASSERT_TRUE(Call(&Store::Stub::GetEventContext, citing, context).ok());
  EXPECT_TRUE(context.judging().auth_events().rbegin()->rejected());

  const v1::PersistEventResponse accepted = Judge(leave);
  EXPECT_EQ(accepted.stored().outcome(), OUTCOME_ACCEPTED);
  EXPECT_FALSE(accepted.stored().replay());
  EXPECT_EQ(MembershipOf(room, "@bob:c.example"), "leave");
}

TEST_P(StoreContract, ASoftFailedEventIsStoredAndChangesNothing) {
  TestRoom room = MakeRoom();
  const std::string tip = room.tip().event_id();
  const Event leave = room.Leave("@bob:c.example");
  EXPECT_EQ(Judge(leave, OUTCOME_SOFT_FAILED).stored().outcome(), OUTCOME_SOFT_FAILED);
  EXPECT_EQ(ContextOf(leave).existing().outcome(), OUTCOME_SOFT_FAILED);
  EXPECT_EQ(MembershipOf(room, "@bob:c.example"), "join");
  EXPECT_THAT(Room(room).forward_extremities(), ElementsAre(tip));
  EXPECT_EQ(Outbox(room).rows_size(), static_cast<int>(room.events().size()));

  // Cited, it counts: the state after it holds it, and what it cites is no extremity any more.
  room.Append(leave);
  const Event next = room.Leave("@cat:d.example");
  const v1::EventContext context = ContextOf(next);
  EXPECT_FALSE(context.judging().state_before_unresolved());
  EXPECT_TRUE(Judge(next).has_stored());
  EXPECT_THAT(Room(room).forward_extremities(), ElementsAre(next.event_id()));
}

/// Pitfall R06: only what is resolved and live shuts a server out.
TEST_P(StoreContract, AServerAclThatWasSoftFailedOrRejectedIsNotInTheCurrentState) {
  const TestRoom room = MakeRoom();
  const auto acl = [&](const char* content) {
    return room.Mint(
        {.type = "m.room.server_acl", .state_key = "", .sender = room.creator(), .content = support::Object(content)});
  };
  const auto current = [&] {
    std::vector<std::string> ids;
    v1::GetEventContextRequest request = ContextRequestFor(room.Leave("@bob:c.example"));
    auto& key = *request.add_state_keys();
    key.set_type("m.room.server_acl");
    v1::EventContext context;
    EXPECT_TRUE(Call(&Store::Stub::GetEventContext, request, context).ok());
    for (const auto& entry : context.judging().state_now()) {
      if (entry.type() == "m.room.server_acl") ids.push_back(entry.event_id());
    }
    return ids;
  };
  Judge(acl(R"({"allow":[]})"), OUTCOME_SOFT_FAILED);
  Judge(acl(R"({"deny":["*"]})"), OUTCOME_REJECTED);
  EXPECT_THAT(current(), IsEmpty());
  const Event accepted = acl(R"({"allow":["*"]})");
  Judge(accepted);
  EXPECT_THAT(current(), ElementsAre(accepted.event_id()));
}

TEST_P(StoreContract, LeavesFromOneTipDoNotConflict) {
  const TestRoom room = MakeRoom();
  const Event bob = room.Leave("@bob:c.example");
  const Event cat = room.Leave("@cat:d.example");
  const v1::EventContext before = ContextOf(cat);
  ASSERT_TRUE(Judge(bob).has_stored());
  ASSERT_TRUE(Persist(PersistRequestFor(cat, before)).has_stored());
  EXPECT_THAT(Room(room).forward_extremities(), ElementsAre(bob.event_id(), cat.event_id()));
  EXPECT_EQ(MembershipOf(room, "@bob:c.example"), "leave");
  EXPECT_EQ(MembershipOf(room, "@cat:d.example"), "leave");

  // One that cites both has the current state before it; one that cites the first has the state after that.
  const Event both = room.Mint({.type = "m.room.topic",
                                .state_key = "",
                                .sender = room.creator(),
                                .content = support::Object(R"({"topic":"x"})"),
                                .prev_events = {&bob, &cat}});
  v1::GetEventContextRequest request = ContextRequestFor(both);
  for (const char* user : {"@bob:c.example", "@cat:d.example"}) {
    request.add_state_keys()->set_type("m.room.member");
    request.mutable_state_keys()->rbegin()->set_state_key(user);
  }
  v1::EventContext context;
  ASSERT_TRUE(Call(&Store::Stub::GetEventContext, request, context).ok());
  EXPECT_TRUE(context.judging().extends_all_extremities());
  EXPECT_EQ(EntryOf(context.judging().state_before(), "m.room.member", "@bob:c.example"), bob.event_id());
  EXPECT_EQ(EntryOf(context.judging().state_before(), "m.room.member", "@cat:d.example"), cat.event_id());
  request.mutable_prev_events()->RemoveLast();
  ASSERT_TRUE(Call(&Store::Stub::GetEventContext, request, context).ok());
  EXPECT_FALSE(context.judging().extends_all_extremities());
  EXPECT_EQ(EntryOf(context.judging().state_before(), "m.room.member", "@bob:c.example"), bob.event_id());
  EXPECT_NE(EntryOf(context.judging().state_before(), "m.room.member", "@cat:d.example"), cat.event_id());
  EXPECT_EQ(EntryOf(context.judging().state_now(), "m.room.member", "@cat:d.example"), cat.event_id());
  ExpectNamedEventsGiven(context.judging());
}

TEST_P(StoreContract, StatesThatDifferByCommutingChangesAloneArePutTogether) {
  const TestRoom room = MakeRoom();
  const Event ann = room.Leave("@ann:b.example");
  const Event bob = room.Leave("@bob:c.example");
  const Event cat = room.Leave("@cat:d.example");
  for (const Event* leave : {&ann, &bob, &cat}) ASSERT_TRUE(Judge(*leave).has_stored());
  // All the extremities, those that were so once, and two that never were.
  for (const auto& prev : std::vector<std::vector<const Event*>>{{&ann, &bob, &cat}, {&bob, &ann}, {&bob, &cat}}) {
    const Event topic = StateFrom(room, "m.room.topic", prev);
    v1::GetEventContextRequest request = ContextRequestFor(topic);
    for (const Event* leave : {&ann, &bob, &cat}) Ask(request, "m.room.member", *leave->state_key());
    v1::EventContext context;
    ASSERT_TRUE(Call(&Store::Stub::GetEventContext, request, context).ok());
    EXPECT_FALSE(context.judging().state_before_unresolved());
    EXPECT_FALSE(context.judging().states_diverge());
    for (const Event* leave : {&ann, &bob, &cat}) {
      const bool cited = std::find(prev.begin(), prev.end(), leave) != prev.end();
      const std::string value = EntryOf(context.judging().state_before(), "m.room.member", *leave->state_key());
      EXPECT_EQ(value == leave->event_id(), cited) << *leave->state_key();
    }
    ExpectNamedEventsGiven(context.judging());
  }

  // And so they are once an event stands on them.
  const Event topic = StateFrom(room, "m.room.topic", {&bob, &cat});
  ASSERT_TRUE(Judge(topic).has_stored());
  v1::GetEventContextRequest request = ContextRequestFor(StateFrom(room, "m.room.name", {&topic}));
  for (const Event* leave : {&ann, &bob, &cat}) Ask(request, "m.room.member", *leave->state_key());
  Ask(request, "m.room.topic", "");
  v1::EventContext context;
  ASSERT_TRUE(Call(&Store::Stub::GetEventContext, request, context).ok());
  const auto& before = context.judging().state_before();
  EXPECT_EQ(EntryOf(before, "m.room.topic", ""), topic.event_id());
  EXPECT_EQ(EntryOf(before, "m.room.member", "@bob:c.example"), bob.event_id());
  EXPECT_EQ(EntryOf(before, "m.room.member", "@cat:d.example"), cat.event_id());
  EXPECT_NE(EntryOf(before, "m.room.member", "@ann:b.example"), ann.event_id());
}

TEST_P(StoreContract, PrevEventsThatDisagreeOtherwiseAreUnresolved) {
  const TestRoom room = MakeRoom();
  const Event bob = room.Leave("@bob:c.example");
  const Event cat = room.Leave("@cat:d.example");
  ASSERT_TRUE(Judge(bob).has_stored());
  const Event topic = StateFrom(room, "m.room.topic", {&room.tip()});
  ASSERT_TRUE(JudgeAlone(topic).has_stored());
  ASSERT_TRUE(JudgeAlone(cat).has_stored());
  const auto unresolved = [&](std::vector<const Event*> prev) {
    const v1::EventContext context = ContextOf(StateFrom(room, "m.room.name", std::move(prev)));
    EXPECT_FALSE(context.judging().has_branches());
    return context.judging().state_before_unresolved();
  };
  EXPECT_FALSE(unresolved({&bob, &topic}));  // were all extremities
  EXPECT_TRUE(unresolved({&topic, &cat}));
  EXPECT_TRUE(unresolved({&bob, &cat}));
}

TEST_P(StoreContract, TellsTheBranchesThatMeetAtAnEventIfAsked) {
  const TestRoom room = MakeRoom();
  const Event ann = room.Leave("@ann:b.example");
  const Event bob = room.Leave("@bob:c.example");
  const Event cat = room.Leave("@cat:d.example");
  ASSERT_TRUE(Judge(ann).has_stored());
  ASSERT_TRUE(Judge(bob).has_stored());
  const Event topic = StateFrom(room, "m.room.topic", {&ann});
  ASSERT_TRUE(JudgeAlone(topic).has_stored());
  EXPECT_FALSE(ContextOf(cat).judging().has_branches());
  v1::EventContext context;
  ASSERT_TRUE(Call(&Store::Stub::GetEventContext, BranchesRequestFor(cat), context).ok());
  const matrix::v1::Branches& branches = context.judging().branches();
  ASSERT_FALSE(branches.too_large());
  const Entries base = EntriesOf(branches.base());
  const matrix::StateKey of_ann{"m.room.member", "@ann:b.example"}, of_bob{"m.room.member", "@bob:c.example"},
      of_cat{"m.room.member", "@cat:d.example"}, of_topic{"m.room.topic", ""};
  const std::string ann_before = room.state().Find("m.room.member", "@ann:b.example")->event_id();
  const std::string bob_before = room.state().Find("m.room.member", "@bob:c.example")->event_id();
  const std::string cat_before = room.state().Find("m.room.member", "@cat:d.example")->event_id();
  std::vector<std::pair<Entries, bool>> told;  // with whether it is the state before
  for (const auto& state : branches.states()) {
    EXPECT_NE(state.before(), state.beside());
    told.emplace_back(With(base, state.changes()), state.before());
  }
  EXPECT_THAT(
      told,
      UnorderedElementsAre(
          std::pair(Entries{{of_ann, ann_before}, {of_bob, bob_before}, {of_cat, cat_before}, {of_topic, ""}}, true),
          std::pair(Entries{{of_ann, ann_before}, {of_bob, bob.event_id()}, {of_cat, cat_before}, {of_topic, ""}},
                    false),
          std::pair(
              Entries{
                  {of_ann, ann.event_id()}, {of_bob, bob_before}, {of_cat, cat_before}, {of_topic, topic.event_id()}},
              false)));
  EXPECT_EQ(
      With(base, branches.now()),
      (Entries{
          {of_ann, ann.event_id()}, {of_bob, bob.event_id()}, {of_cat, cat_before}, {of_topic, topic.event_id()}}));
  EXPECT_EQ(EntryOf(branches.agreed(), "m.room.create", ""), room.events().front().event_id());
  EXPECT_NE(EntryOf(branches.agreed(), "m.room.power_levels", ""), "");
  EXPECT_NE(EntryOf(branches.agreed(), "m.room.member", room.creator()), "");

  // The events of all chains are there, and of each it is said whether all have it.
  const std::vector<std::string> given = IdsOf(context.judging().events());
  EXPECT_EQ(std::set<std::string>(given.begin(), given.end()).size(), given.size());
  for (const Event& event : room.events()) EXPECT_THAT(given, testing::Contains(event.event_id()));
  for (const Event* event : {&ann, &bob, &topic}) EXPECT_THAT(given, testing::Contains(event->event_id()));
  EXPECT_THAT(branches.reached(), testing::Contains(room.events().front().event_id()));
  EXPECT_THAT(branches.not_reached(), testing::Contains(ann.event_id()));
}

TEST_P(StoreContract, TellsNoBranchesToAnEventThatExtendsAllOrStandsOnNothingKnown) {
  const TestRoom room = MakeRoom();
  const Event bob = room.Leave("@bob:c.example");
  v1::GetEventContextRequest request = BranchesRequestFor(bob);
  v1::EventContext context;
  ASSERT_TRUE(Call(&Store::Stub::GetEventContext, request, context).ok());
  EXPECT_FALSE(context.judging().has_branches());
  request.set_prev_events(0, "$nobody-has-it");
  ASSERT_TRUE(Call(&Store::Stub::GetEventContext, request, context).ok());
  EXPECT_FALSE(context.judging().has_branches());
  EXPECT_TRUE(context.judging().state_before_unresolved());
}

TEST_P(StoreContract, StoresWhatAResolutionHasChanged) {
  const TestRoom room = MakeRoom();
  const Event ann = room.Leave("@ann:b.example");
  const Event bob = room.Leave("@bob:c.example");
  const Event cat = room.Leave("@cat:d.example");
  ASSERT_TRUE(Judge(ann).has_stored());
  ASSERT_TRUE(Judge(bob).has_stored());
  const Event topic = StateFrom(room, "m.room.topic", {&ann});
  ASSERT_TRUE(JudgeAlone(topic).has_stored());
  ASSERT_TRUE(JudgeAlone(cat).has_stored());
  EXPECT_EQ(Room(room).joined_members(), 1);

  // An event on two branches that never were all extremities. The resolution says that Ann has left before it and the
  // topic is none; and of the current state, that Bob is joined again and the topic gone.
  const Event name = StateFrom(room, "m.room.name", {&topic, &cat});
  v1::EventContext context;
  ASSERT_TRUE(Call(&Store::Stub::GetEventContext, BranchesRequestFor(name), context).ok());
  ASSERT_TRUE(context.judging().state_before_unresolved());
  ASSERT_TRUE(context.judging().has_branches());
  const std::string bob_before = room.state().Find("m.room.member", "@bob:c.example")->event_id();
  Entries before = EntriesOf(context.judging().branches().base());
  before[{"m.room.member", "@ann:b.example"}] = ann.event_id();
  before[{"m.room.member", "@bob:c.example"}] = bob_before;
  before[{"m.room.member", "@cat:d.example"}] = cat.event_id();
  before[{"m.room.topic", ""}] = "";
  v1::PersistEventRequest write = PersistRequestFor(name, context);
  *write.mutable_context_request() = BranchesRequestFor(name);
  write.mutable_verdict()->set_commutes(false);
  const auto add = [](auto* changes, const matrix::StateKey& key, const std::string& event_id) {
    auto& change = *changes->Add();
    change.set_type(key.type);
    change.set_state_key(key.state_key);
    change.set_event_id(event_id);
  };
  for (const auto& [key, id] : before) add(write.mutable_verdict()->mutable_state_before_change(), key, id);
  add(write.mutable_verdict()->mutable_current_state_change(), {"m.room.member", "@bob:c.example"}, bob_before);
  add(write.mutable_verdict()->mutable_current_state_change(), {"m.room.topic", ""}, "");
  ASSERT_TRUE(Persist(write).has_stored());

  const v1::RoomDescription shown = Room(room);
  EXPECT_EQ(EntryOf(shown.state(), "m.room.member", "@bob:c.example"), bob_before);
  EXPECT_EQ(EntryOf(shown.state(), "m.room.topic", ""), "");
  EXPECT_EQ(EntryOf(shown.state(), "m.room.name", ""), name.event_id());
  EXPECT_EQ(shown.joined_members(), 2);
  EXPECT_EQ(MembershipOf(room, "@bob:c.example"), "join");
  EXPECT_THAT(shown.forward_extremities(), ElementsAre(bob.event_id(), name.event_id()));
  bool c_example = false;
  for (const auto& server : shown.servers()) c_example = c_example || server.server_name() == "c.example";
  EXPECT_TRUE(c_example);

  v1::GetEventContextRequest request = ContextRequestFor(StateFrom(room, "m.room.avatar", {&name}));
  for (const auto& [key, id] : before) Ask(request, key.type, key.state_key);
  ASSERT_TRUE(Call(&Store::Stub::GetEventContext, request, context).ok());
  EXPECT_FALSE(context.judging().state_before_unresolved());
  before[{"m.room.name", ""}] = name.event_id();
  for (const auto& [key, id] : before) {
    EXPECT_EQ(EntryOf(context.judging().state_before(), key.type, key.state_key), id) << key.type << key.state_key;
  }
}

TEST_P(StoreContract, AFreshContextHasBranchesIfTheyWereAskedFor) {
  const TestRoom room = MakeRoom();
  const Event bob = room.Leave("@bob:c.example");
  const Event cat = room.Leave("@cat:d.example");
  const Event topic = StateFrom(room, "m.room.topic", {&room.tip()});
  ASSERT_TRUE(JudgeAlone(topic).has_stored());
  v1::EventContext context;
  ASSERT_TRUE(Call(&Store::Stub::GetEventContext, BranchesRequestFor(cat), context).ok());
  v1::PersistEventRequest write = PersistRequestFor(cat, context);
  *write.mutable_context_request() = BranchesRequestFor(cat);
  write.mutable_verdict()->set_commutes(false);
  ASSERT_TRUE(JudgeAlone(bob).has_stored());
  const v1::PersistEventResponse answer = Persist(write);
  ASSERT_TRUE(answer.has_fresh_context());
  EXPECT_EQ(answer.fresh_context().judging().branches().states_size(), 3);
}

TEST_P(StoreContract, StatesThatDifferByCommutingChangesAloneDoNotDiverge) {
  TestRoom room = MakeRoom();
  const Event ann = room.Leave("@ann:b.example");
  const Event bob = room.Leave("@bob:c.example");
  const Event cat = room.Leave("@cat:d.example");
  const auto diverge = [&](const Event& event) { return ContextOf(event).judging().states_diverge(); };
  EXPECT_FALSE(diverge(cat));
  ASSERT_TRUE(Judge(ann).has_stored());
  ASSERT_TRUE(Judge(bob).has_stored());
  EXPECT_FALSE(diverge(cat));

  // A change of another key that does not commute: from here on the state before the old leave is another one.
  const auto mint = [&](std::vector<const Event*> prev) {
    return room.Mint({.type = "m.room.topic",
                      .state_key = "",
                      .sender = room.creator(),
                      .content = {},
                      .prev_events = std::move(prev)});
  };
  const Event topic = mint({&ann, &bob});
  v1::PersistEventRequest fixed = PersistRequestFor(topic, ContextOf(topic));
  fixed.mutable_verdict()->set_commutes(false);
  ASSERT_TRUE(Persist(fixed).has_stored());
  EXPECT_TRUE(diverge(cat));
  EXPECT_TRUE(diverge(mint({&ann, &bob})));  // the extremities as they were before it
  EXPECT_FALSE(diverge(mint({&topic})));
  // Neither after an event that has not been accepted, nor where nothing is known.
  room.Append(topic);
  const Event failed = room.Leave("@cat:d.example");
  ASSERT_TRUE(Judge(failed, OUTCOME_SOFT_FAILED).has_stored());
  EXPECT_TRUE(diverge(mint({&failed})));
  EXPECT_TRUE(diverge(mint({&cat})));
}

TEST_P(StoreContract, WhatTheVerdictReadHasChanged) {
  const TestRoom room = MakeRoom();
  const Event bob = room.Leave("@bob:c.example");
  const v1::EventContext before = ContextOf(bob);
  const Event ban = room.Member("@bob:c.example", "ban", room.creator());
  ASSERT_TRUE(Judge(ban).has_stored());
  const v1::PersistEventResponse answer = Persist(PersistRequestFor(bob, before));
  ASSERT_TRUE(answer.has_fresh_context());
  EXPECT_EQ(answer.fresh_context().sender_membership(), "ban");
  EXPECT_FALSE(answer.fresh_context().judging().extends_all_extremities());
  EXPECT_EQ(MembershipOf(room, "@bob:c.example"), "ban");
}

TEST_P(StoreContract, ChangesThatDoNotCommuteConflict) {
  const TestRoom room = MakeRoom();
  const Event bob = room.Leave("@bob:c.example");
  const Event cat = room.Leave("@cat:d.example");
  const v1::EventContext before = ContextOf(cat);
  v1::PersistEventRequest first = PersistRequestFor(bob, before);
  first.mutable_context_request()->CopyFrom(ContextRequestFor(bob));
  ASSERT_TRUE(Persist(first).has_stored());
  v1::PersistEventRequest fixed = PersistRequestFor(cat, before);
  fixed.mutable_verdict()->set_commutes(false);
  EXPECT_TRUE(Persist(fixed).has_fresh_context());

  fixed.set_token(ContextOf(cat).token());
  EXPECT_TRUE(Persist(fixed).has_stored());
  const Event ann = room.Leave("@ann:b.example");
  EXPECT_TRUE(Persist(PersistRequestFor(ann, before)).has_fresh_context());  // one since then does not commute
  // A soft failure is judged on the current state too.
  EXPECT_TRUE(Persist(PersistRequestFor(ann, before, OUTCOME_SOFT_FAILED)).has_fresh_context());
}

TEST_P(StoreContract, RefusesRequestsThatCannotBeMeant) {
  const TestRoom room = MakeRoom();
  const Event leave = room.Leave("@bob:c.example");
  const v1::PersistEventRequest good = PersistRequestFor(leave, ContextOf(leave));
  std::vector<v1::PersistEventRequest> bad(6, good);
  bad[0].set_token("x");
  bad[1].mutable_verdict()->set_event_id("$other");
  bad[2].mutable_verdict()->set_outcome(matrix::v1::OUTCOME_INVALID);
  bad[3].set_pdu("{}");
  bad[4].set_origin("");
  bad[5].mutable_context_request()->add_prev_events("$more");
  v1::PersistEventResponse response;
  for (const v1::PersistEventRequest& request : bad) {
    EXPECT_EQ(ReasonOf(Call(&Store::Stub::PersistEvent, request, response)), Reason::kInvalidArgument);
  }
  EXPECT_TRUE(Persist(good).has_stored());
}

TEST_P(StoreContract, WritesWhatATemplateNeeds) {
  const TestRoom room = MakeRoom();
  v1::GetTemplateContextRequest request;
  request.set_room_id(room.room_id());
  request.set_user_id("@ann:b.example");
  request.add_state_keys()->set_type("m.room.power_levels");
  v1::TemplateContext context;
  ASSERT_TRUE(Call(&Store::Stub::GetTemplateContext, request, context).ok());
  EXPECT_TRUE(context.resident());
  EXPECT_EQ(context.user_membership(), "invite");
  EXPECT_EQ(context.max_depth(), room.tip().depth());
  EXPECT_THAT(IdsOf(context.judging().prev_events()), ElementsAre(room.tip().event_id()));
  EXPECT_NE(EntryOf(context.judging().state_now(), "m.room.power_levels", ""), "");
  EXPECT_NE(EntryOf(context.judging().state_before(), "m.room.create", ""), "");
  ExpectNamedEventsGiven(context.judging());

  // Its token serves an event of our own.
  const Event topic = room.Mint({.type = "m.room.topic", .state_key = "", .sender = room.creator(), .content = {}});
  v1::EventContext with_token;
  with_token.set_token(context.token());
  EXPECT_TRUE(Persist(PersistRequestFor(topic, with_token)).has_stored());
  EXPECT_EQ(EntryOf(Room(room).state(), "m.room.topic", ""), topic.event_id());
}

TEST_P(StoreContract, AlsoTellsServersThatAreNotInTheRoomWhereItIsAskedTo) {
  const TestRoom room = MakeRoom();
  const Event leave = room.Leave("@bob:c.example");
  v1::PersistEventRequest request = PersistRequestFor(leave, ContextOf(leave));
  for (const char* server : {"invited.example", "d.example", "c.example", "a.example"}) request.add_also_tell(server);
  ASSERT_TRUE(Persist(request).has_stored());
  // Each once; neither its origin nor this server.
  EXPECT_THAT(Outbox(room).rows().rbegin()->destinations(), ElementsAre("d.example", "invited.example"));
}

TEST_P(StoreContract, SeedsAtTheTipOnly) {
  TestRoom room = MakeRoom();
  v1::SeedEventsRequest request;
  request.set_room_id(room.room_id());
  for (int i = 0; i < 30; ++i) {
    const Event& event = room.Append(room.Member("@seed" + std::to_string(i) + ":e.example", "join"));
    v1::InitialEvent& given = *request.add_events();
    given.set_event_id(event.event_id());
    given.set_pdu(TestRoom::Text(event));
  }
  v1::SeedEventsResponse response;
  ASSERT_TRUE(Call(&Store::Stub::SeedEvents, request, response).ok());
  EXPECT_EQ(MembershipOf(room, "@seed29:e.example"), "join");
  EXPECT_EQ(Room(room).joined_members(), 33);
  EXPECT_EQ(Outbox(room).rows_size(), static_cast<int>(room.events().size()));
  EXPECT_EQ(ReasonOf(Call(&Store::Stub::SeedEvents, request, response)), Reason::kInvalidArgument);
  EXPECT_TRUE(Judge(room.Leave("@seed7:e.example")).has_stored());
  EXPECT_THAT(Outbox(room).rows().rbegin()->destinations(), ElementsAre("c.example", "d.example"));
}

TEST_P(StoreContract, KeepsWhateverAStrangerWrote) {
  // Pitfall S08: good JSON that PostgreSQL's text refuses, or reads as something else.
  const TestRoom room = MakeRoom();
  const Event leave = room.Mint(
      {.type = "m.room.member",
       .state_key = "@bob:c.example",
       .sender = "@bob:c.example",
       .content = support::Object(
           R"({"membership":"leave","reason":"a\u0000b","displayname":{"no":"string"},"avatar_url":"NULL","{\"\\":"{\"\\"})")});
  ASSERT_TRUE(Judge(leave).has_stored());
  v1::GetMemberRequest request;
  request.set_room_id(room.room_id());
  request.set_user_id("@bob:c.example");
  v1::Member member;
  ASSERT_TRUE(Call(&Store::Stub::GetMember, request, member).ok());
  EXPECT_EQ(member.reason(), std::string("a\0b", 3));
  EXPECT_FALSE(member.has_displayname());
  EXPECT_EQ(member.avatar_url(), "NULL");
  EXPECT_EQ(ContextOf(leave).existing().pdu(), TestRoom::Text(leave));
}

TEST_P(StoreContract, ListsRoomsAndMembers) {
  const TestRoom first = MakeRoom();
  const TestRoom second = MakeRoom("12");
  v1::ListRoomsResponse rooms;
  ASSERT_TRUE(Call(&Store::Stub::ListRooms, v1::ListRoomsRequest(), rooms).ok());
  EXPECT_THAT(rooms.room_ids(), UnorderedElementsAre(first.room_id(), second.room_id()));
  EXPECT_TRUE(std::is_sorted(rooms.room_ids().begin(), rooms.room_ids().end()));
  v1::ListMembersRequest request;
  request.set_room_id(second.room_id());
  v1::ListMembersResponse members;
  ASSERT_TRUE(Call(&Store::Stub::ListMembers, request, members).ok());
  EXPECT_THAT(members.members(), SizeIs(4));
  EXPECT_EQ(members.members(0).user_id(), "@ann:b.example");
  EXPECT_EQ(members.members(0).invited_by(), second.creator());
  request.set_after("@cat:d.example");
  ASSERT_TRUE(Call(&Store::Stub::ListMembers, request, members).ok());
  EXPECT_THAT(members.members(), SizeIs(1));
}

TEST_P(StoreContract, KeepsTheKeysOfServers) {
  v1::PutServerKeysRequest put;
  v1::StoredServerKeys& server = *put.add_servers();
  server.set_server_name("b.example");
  server.set_valid_until_ms(7);
  server.set_fetched_at_ms(5);
  server.set_from("direct");
  server.set_document("{}");
  server.add_keys()->set_key_id("ed25519:new");
  server.mutable_keys(0)->set_public_key(std::string("\0\x01\xff", 3));
  server.add_keys()->set_key_id("ed25519:old");
  server.mutable_keys(1)->set_public_key("k");
  server.mutable_keys(1)->set_expired_ms(3);
  v1::PutServerKeysResponse done;
  ASSERT_TRUE(Call(&Store::Stub::PutServerKeys, put, done).ok());
  v1::GetServerKeysRequest get;
  get.add_server_names("b.example");
  get.add_server_names("nobody.example");
  v1::GetServerKeysResponse got;
  ASSERT_TRUE(Call(&Store::Stub::GetServerKeys, get, got).ok());
  ASSERT_THAT(got.servers(), SizeIs(1));
  EXPECT_EQ(got.servers(0).SerializeAsString(), server.SerializeAsString());

  server.mutable_keys()->RemoveLast();
  ASSERT_TRUE(Call(&Store::Stub::PutServerKeys, put, done).ok());
  ASSERT_TRUE(Call(&Store::Stub::GetServerKeys, get, got).ok());
  EXPECT_THAT(got.servers(0).keys(), SizeIs(1));

  server.clear_keys();
  ASSERT_TRUE(Call(&Store::Stub::PutServerKeys, put, done).ok());
  ASSERT_TRUE(Call(&Store::Stub::GetServerKeys, get, got).ok());
  EXPECT_THAT(got.servers(), IsEmpty());
}

}  // namespace postern::contract
