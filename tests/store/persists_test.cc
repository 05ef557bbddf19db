// Events persisted together: the outcome is what it would have been one by one, and none harms another.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "matrix/refusal.h"
#include "services/gateway/remembered_templates.h"
#include "services/store/context_token.h"
#include "services/store/database_connection.h"
#include "tests/store/context_text.h"
#include "tests/store/store_rig.h"
#include "tests/support/case_count.h"
#include "tests/support/store_requests.h"

namespace postern::store {
namespace {

using matrix::Reason;
using support::Draft;
using support::StoreRig;
using support::TestRoom;
using support::UserOf;

using Answer = absl::StatusOr<v1::PersistEventResponse>;

rpc::CallContext Call() { return StoreRig::Within(absl::Seconds(60)); }

std::vector<Answer> Together(StoreRig& rig, const std::vector<v1::PersistEventRequest>& requests) {
  std::vector<const v1::PersistEventRequest*> pointers;
  for (const auto& request : requests) pointers.push_back(&request);
  std::vector<Answer> answers(requests.size(), absl::UnknownError("not answered"));
  std::vector<int> answered(requests.size());
  rig.store().PersistEvents(Call(), pointers, LockedRooms::kWaitFor, [&](std::size_t place, Answer answer) {
    answers[place] = std::move(answer);
    ++answered[place];
  });
  EXPECT_EQ(answered, std::vector<int>(requests.size(), 1));
  return answers;
}

std::vector<Answer> OneByOne(StoreRig& rig, const std::vector<v1::PersistEventRequest>& requests) {
  std::vector<Answer> answers;
  for (const auto& request : requests) answers.push_back(rig.store().PersistEvent(Call(), request));
  return answers;
}

std::string Told(const Answer& answer) {
  if (!answer.ok()) return answer.status().ToString();
  return answer->has_stored() ? answer->stored().ShortDebugString() : "conflict";
}

/// All that is stored, but for times and for what only counts.
std::string AllOf(StoreRig& rig) {
  constexpr std::array kTables = {
      "select room_id, stream_ordering, accepted_ordering, fixed_ordering, state_group, lineages, extremities "
      "from rooms",
      "select room_id, event_id, stream_ordering, outcome, reason, state_group_before, state_group_now, "
      "state_group_after, fixed_ordering, prev_events, auth_events, pdu from events",
      "select * from event_ids",
      "select * from auth_edges",
      "select * from state_entries",
      "select * from state_lineages",
      "select * from extremity_states",
      "select * from current_state",
      "select room_id, user_id, membership, event_id, reason from memberships",
      "select * from room_servers",
      "select room_id, event_id, stream_ordering, destinations from outbox",
      "select destination, room_id, event_id, row_number() over (partition by destination, room_id order by number) "
      "from deliveries",
      "select room_id, event_id, reason, origin from refusals",
      "select server_name from remote_servers",
  };
  std::string all;
  for (const char* table : kTables) {
    all += rig.Sql(fmt::format("select string_agg(t::text, E'\\n' order by t::text) from ({}) as t", table)) + "\n\n";
  }
  return all;
}

/// A room of members of four servers, on two stores alike.
class TwinRoom {
 public:
  TwinRoom(StoreRig& one, StoreRig& other, std::mt19937& random, int number)
      : one_(one), other_(other), random_(random), room_(Build(number)) {
    one_.Create(room_);
    other.Create(room_);
    cited_ = {&room_.tip()};
  }

  /// Appends what some members, and sometimes the creator, do at once: on the state as it is now, some of it twice.
  void AddRequests(int count, std::vector<v1::PersistEventRequest>& requests) {
    std::vector<const matrix::Event*> minted;
    for (; !late_.empty() && Below(4) == 0; late_.pop_front()) requests.push_back(late_.front());
    for (int i = 0; i < count; ++i) {
      const matrix::Event& event = *minted.emplace_back(&taken_.emplace_back(room_.Mint(SomeDraft())));
      const auto context = one_.store().GetEventContext(Call(), support::ContextRequestFor(event));
      ASSERT_TRUE(context.ok()) << context.status();
      const auto expected = other_.store().GetEventContext(Call(), support::ContextRequestFor(event));
      ASSERT_TRUE(expected.ok()) << expected.status();
      ASSERT_EQ(support::TextOf(*context), support::TextOf(*expected));
      matrix::v1::Outcome outcome = matrix::v1::OUTCOME_ACCEPTED;
      if (Below(8) == 0) outcome = matrix::v1::OUTCOME_REJECTED;
      if (Below(8) == 0 || context->judging().state_before_unresolved()) outcome = matrix::v1::OUTCOME_SOFT_FAILED;
      v1::PersistEventRequest request = support::PersistRequestFor(event, *context, outcome);
      if (event.type() != "m.room.member") request.mutable_verdict()->set_commutes(false);
      if (Below(10) == 0) request.add_also_tell("told.example");
      if (Below(10) == 0) {  // comes late, on what its context told
        late_.push_back(request);
        minted.pop_back();
        continue;
      }
      requests.push_back(request);
      if (Below(8) == 0) requests.push_back(request);
    }
    if (!minted.empty() && Below(3) != 0) cited_.clear();
    cited_.insert(cited_.end(), minted.begin(), minted.end());
    if (cited_.size() > 6) cited_.erase(cited_.begin(), cited_.end() - 6);
  }

  /// What a gateway makes of a template's context is what the store tells of the leave. Returns for how many it makes
  /// anything.
  int CompareTemplates() {
    int made = 0;
    for (int i = 0; i < 4; ++i) {
      const std::string user = Member(Below(12));
      v1::GetTemplateContextRequest wanted;
      wanted.set_room_id(room_.room_id());
      wanted.set_user_id(user);
      v1::GetEventContextRequest request = support::ContextRequestFor(room_.Leave(user));
      *wanted.mutable_state_keys() = request.state_keys();
      const auto given = one_.store().GetTemplateContext(Call(), wanted);
      if (!given.ok()) {
        ADD_FAILURE() << given.status();
        continue;
      }
      request.set_event_id("$new");
      request.clear_prev_events();
      for (const auto& tip : given->judging().prev_events()) request.add_prev_events(tip.event_id());
      request.clear_auth_events();
      for (const auto& entry : given->judging().state_now()) {
        if (Below(4) != 0) request.add_auth_events(entry.event_id());
      }
      gateway::RememberedTemplates templates;
      templates.Keep(request.sender(), *given, absl::UnixEpoch());
      const auto context = templates.Take(request, absl::UnixEpoch());
      if (!context) continue;
      const auto expected = other_.store().GetEventContext(Call(), request);
      EXPECT_TRUE(expected.ok()) << expected.status();
      EXPECT_EQ(support::TextOf(*context), support::TextOf(*expected));
      ++made;
    }
    return made;
  }

 private:
  int Below(int limit) { return std::uniform_int_distribution(0, limit - 1)(random_); }

  static std::string Member(int number) { return fmt::format("@u{}:s{}.example", number, number % 4); }

  TestRoom Build(int number) {
    support::RoomBuilder builder("10", fmt::format("@creator:a{}.example", number));
    for (int user = 0; user < 12; ++user) builder.Member(Member(user), Below(3) == 0 ? "invite" : "join");
    return builder.Build();
  }

  Draft SomeDraft() {
    Draft draft{.type = "m.room.topic", .state_key = "", .sender = room_.creator(), .content = support::Object("{}")};
    if (Below(10) != 0) {
      const std::string user = Member(Below(12));
      const char* content = Below(4) == 0 ? R"({"membership":"join"})" : R"({"membership":"leave","reason":"so"})";
      draft = {.type = "m.room.member", .state_key = user, .sender = user, .content = support::Object(content)};
    }
    draft.prev_events.push_back(cited_[static_cast<std::size_t>(Below(static_cast<int>(cited_.size())))]);
    if (cited_.back() != draft.prev_events.front() && Below(3) == 0) draft.prev_events.push_back(cited_.back());
    // Its time makes it another event than one of the same content.
    draft.origin_server_ts = room_.tip().origin_server_ts() + static_cast<std::int64_t>(taken_.size());
    return draft;
  }

  StoreRig& one_;
  StoreRig& other_;
  std::mt19937& random_;
  TestRoom room_;
  std::deque<matrix::Event> taken_;
  std::vector<const matrix::Event*> cited_;
  std::deque<v1::PersistEventRequest> late_;
};

TEST(PersistsTogether, LeaveWhatTheyWouldOneByOne) {
  std::mt19937 random(5);
  StoreRig together;
  StoreRig beside(together.dsn());  // writes to the same rooms, now and then
  // The database tells and decides everything.
  StoreRig alone({}, {.server_name = "a.example", .memory = {.rooms = 0}});
  int conflicts = 0, replays = 0, by_templates = 0;
  for (int trial = 0; trial < support::CaseCount(15); ++trial) {
    std::vector<TwinRoom> rooms;
    rooms.reserve(3);
    for (int i = 0; i < 3; ++i) rooms.emplace_back(together, alone, random, trial * 3 + i);
    for (int round = 0; round < 8; ++round) {
      std::vector<v1::PersistEventRequest> requests;
      for (TwinRoom& room : rooms) room.AddRequests(std::uniform_int_distribution(0, 6)(random), requests);
      std::ranges::shuffle(requests, random);
      StoreRig& writer = round % 3 == 2 ? beside : together;
      const std::vector<Answer> answers = Together(writer, requests), expected = OneByOne(alone, requests);
      for (std::size_t i = 0; i < requests.size(); ++i) {
        EXPECT_EQ(Told(answers[i]), Told(expected[i])) << requests[i].ShortDebugString();
        conflicts += answers[i].ok() && !answers[i]->has_stored();
        replays += answers[i].ok() && answers[i]->stored().replay();
      }
      for (TwinRoom& room : rooms) by_templates += room.CompareTemplates();
      ASSERT_FALSE(testing::Test::HasFailure()) << "trial " << trial << ", round " << round;
    }
    ASSERT_EQ(AllOf(together), AllOf(alone)) << "trial " << trial;
  }
  // Both ways have been gone, and one of the twins knows one only.
  EXPECT_GE(together.Calls("persist_plain"), support::CaseCount(20));
  EXPECT_GE(together.Calls("persist_events"), support::CaseCount(20));
  EXPECT_EQ(alone.Calls("persist_plain"), 0);
  EXPECT_GE(together.Calls("context_rests"), support::CaseCount(50));
  EXPECT_GE(together.Calls("event_contexts"), support::CaseCount(20));
  EXPECT_EQ(alone.Calls("context_rests"), 0);
  EXPECT_GE(conflicts, support::CaseCount(5));
  EXPECT_GE(replays, support::CaseCount(5));
  EXPECT_GE(by_templates, support::CaseCount(400));
}

class Persists : public testing::Test {
 protected:
  Persists() {
    rig_.Create(room_);
    rig_.Create(other_);
  }
  v1::PersistEventRequest LeaveOf(const TestRoom& room, int user) {
    const matrix::Event& leave = leaves_.emplace_back(room.Leave(UserOf(user)));
    return support::PersistRequestFor(leave, rig_.ContextOf(leave));
  }

  StoreRig rig_;
  const TestRoom room_ = support::RoomOf(4);
  const TestRoom other_ = [] {
    support::RoomBuilder builder("10", "@creator:elsewhere.example");
    for (int i = 0; i < 4; ++i) builder.Member(UserOf(i), "join");
    return builder.Build();
  }();
  std::deque<matrix::Event> leaves_;
};

TEST_F(Persists, OfSeveralRoomsAreOneTransaction) {
  const auto answers = Together(rig_, {LeaveOf(room_, 0), LeaveOf(other_, 0), LeaveOf(room_, 1), LeaveOf(other_, 1)});
  for (const Answer& answer : answers) EXPECT_TRUE(answer.ok() && answer->has_stored()) << Told(answer);
  EXPECT_EQ(rig_.Sql("select count(distinct xmin::text) from events where outcome = 1 and verdict is not null"), "1");
}

TEST_F(Persists, HaveTheirOwnRefusals) {
  v1::PersistEventRequest nameless = LeaveOf(room_, 0), elsewhere = LeaveOf(room_, 1);
  nameless.clear_origin();
  elsewhere.mutable_context_request()->set_room_id("!nowhere:a.example");
  const auto token = DecodeToken(elsewhere.token(), room_.room_id());
  ContextToken moved = *token;
  moved.room_id = "!nowhere:a.example";
  elsewhere.set_token(EncodeToken(moved));
  const auto answers = Together(rig_, {nameless, LeaveOf(room_, 2), elsewhere, LeaveOf(other_, 0)});
  EXPECT_EQ(matrix::ReasonOf(answers[0].status()), Reason::kInvalidArgument);
  EXPECT_TRUE(answers[1].ok() && answers[1]->has_stored());
  EXPECT_EQ(matrix::ReasonOf(answers[2].status()), Reason::kUnknownRoom);
  EXPECT_TRUE(answers[3].ok() && answers[3]->has_stored());
}

TEST_F(Persists, ThatPostgresStumblesOverHarmNoOther) {
  v1::PersistEventRequest bad = LeaveOf(room_, 0);
  ContextToken token = *DecodeToken(bad.token(), room_.room_id());
  // A state of a lineage that is not there, which a change is to be added to.
  token.before = (std::int64_t{77} << 32) + 1;
  bad.set_token(EncodeToken(token));
  *bad.mutable_verdict()->mutable_state_before_change() = bad.verdict().state_after_change();
  const auto answers = Together(rig_, {LeaveOf(other_, 0), bad, LeaveOf(room_, 1)});
  EXPECT_TRUE(answers[0].ok() && answers[0]->has_stored()) << Told(answers[0]);
  EXPECT_EQ(matrix::ReasonOf(answers[1].status()), Reason::kInternal);
  EXPECT_TRUE(answers[2].ok() && answers[2]->has_stored()) << Told(answers[2]);
}

TEST_F(Persists, DoNotWaitForARoomThatIsLocked) {
  auto locker = DatabaseConnection::Open(rig_.dsn());
  ASSERT_TRUE(locker.ok());
  ASSERT_TRUE((*locker)->Call({"begin", "begin"}, {}).ok());
  const Statement lock{"lock", "select 1 from rooms where room_id = $1 for update"};
  ASSERT_TRUE((*locker)->Call(lock, Parameters().Bytes(room_.room_id())).ok());

  const std::vector<v1::PersistEventRequest> requests = {LeaveOf(room_, 0), LeaveOf(other_, 0)};
  const std::vector<const v1::PersistEventRequest*> pointers = {&requests[0], &requests[1]};
  std::vector<Answer> answers(2, absl::UnknownError("not answered"));
  rig_.store().PersistEvents(Call(), pointers, LockedRooms::kLeave,
                             [&](std::size_t place, Answer answer) { answers[place] = std::move(answer); });
  EXPECT_EQ(matrix::ReasonOf(answers[0].status()), Reason::kRoomBusy);
  EXPECT_TRUE(answers[1].ok() && answers[1]->has_stored()) << Told(answers[1]);

  std::thread waiting([&] { answers[0] = rig_.store().PersistEvent(Call(), requests[0]); });
  EXPECT_TRUE((*locker)->Call({"commit", "commit"}, {}).ok());
  waiting.join();
  EXPECT_TRUE(answers[0].ok() && answers[0]->has_stored()) << Told(answers[0]);
}

TEST_F(Persists, TwoLeavesOfOneMemberConflict) {
  const v1::PersistEventRequest first = LeaveOf(room_, 0);
  const matrix::Event& again =
      leaves_.emplace_back(room_.Mint({.type = "m.room.member",
                                       .state_key = UserOf(0),
                                       .sender = UserOf(0),
                                       .content = support::Object(R"({"membership":"leave","reason":"again"})")}));
  const auto answers = Together(rig_, {first, support::PersistRequestFor(again, rig_.ContextOf(again))});
  EXPECT_TRUE(answers[0].ok() && answers[0]->has_stored());
  EXPECT_EQ(Told(answers[1]), "conflict");
}

}  // namespace
}  // namespace postern::store
