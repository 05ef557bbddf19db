// Contexts of several events at once: each is what it would be told alone, whatever stands beside it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <limits>
#include <random>
#include <regex>
#include <string>
#include <vector>

#include "matrix/refusal.h"
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

using Answer = absl::StatusOr<v1::EventContext>;

rpc::CallContext Call() { return StoreRig::Within(absl::Seconds(60)); }

std::string Ordered(const Answer& answer) {
  return answer.ok() ? support::TextOf(*answer) : answer.status().ToString();
}

std::vector<Answer> AskedTogether(StoreRig& rig, const std::vector<v1::GetEventContextRequest>& requests) {
  std::vector<const v1::GetEventContextRequest*> pointers;
  for (const auto& request : requests) pointers.push_back(&request);
  return rig.store().GetEventContexts(Call(), pointers);
}

/// A room whose events cite what they like, are judged as chance has it, and commute or do not.
class RandomRoom {
 public:
  RandomRoom(StoreRig& rig, std::mt19937& random, int number) : rig_(rig), random_(random), room_(Build(number)) {
    rig_.Create(room_);
    for (const matrix::Event& event : room_.events()) places_.push_back(&event);
  }

  void Step() {
    Draft draft = SomeEvent();
    for (int i = Below(3); i >= 0; --i) {
      const matrix::Event* place = places_[places_.size() - 1 - Newest()];
      if (std::ranges::find(draft.prev_events, place) == draft.prev_events.end()) draft.prev_events.push_back(place);
    }
    // Its time makes it another event than one of the same content.
    draft.origin_server_ts = room_.tip().origin_server_ts() + static_cast<std::int64_t>(++minted_);
    const matrix::Event& event = taken_.emplace_back(room_.Mint(draft));
    const Answer context = rig_.store().GetEventContext(Call(), support::ContextRequestFor(event));
    ASSERT_TRUE(context.ok()) << context.status();
    const bool unresolved = context->judging().state_before_unresolved();
    matrix::v1::Outcome outcome = matrix::v1::OUTCOME_ACCEPTED;
    if (unresolved || Below(8) == 0) outcome = matrix::v1::OUTCOME_SOFT_FAILED;
    if (Below(8) == 0) outcome = matrix::v1::OUTCOME_REJECTED;
    v1::PersistEventRequest write = support::PersistRequestFor(event, *context, outcome);
    if (outcome == matrix::v1::OUTCOME_ACCEPTED) write.mutable_verdict()->set_commutes(Below(16) != 0);
    const auto stored = rig_.store().PersistEvent(Call(), write);
    ASSERT_TRUE(stored.ok()) << stored.status();
    ASSERT_TRUE(stored->has_stored());
    if (outcome == matrix::v1::OUTCOME_REJECTED) {
      rejected_.push_back(&event);
    } else if (!unresolved || Below(8) == 0) {  // what cites it is unresolved too, and a few are enough
      places_.push_back(&event);
    }
  }

  v1::GetEventContextRequest SomeRequest() {
    v1::GetEventContextRequest request;
    request.set_room_id(Below(12) == 0 ? "!nowhere:a.example" : room_.room_id());
    request.set_event_id(Below(4) == 0 ? places_[Newest()]->event_id() : fmt::format("$new{}", ++minted_));
    request.set_sender(UserOf(Below(7)));
    if (Below(3) == 0) {
      v1::GetRoomRequest asked;
      asked.set_room_id(room_.room_id());
      const auto described = rig_.store().GetRoom(Call(), asked);
      EXPECT_TRUE(described.ok());
      *request.mutable_prev_events() = described->forward_extremities();
    } else {
      for (int i = Below(4); i > 0; --i) request.add_prev_events(places_[places_.size() - 1 - Newest()]->event_id());
      // Of the time when the room was made: a state of the trunk.
      if (Below(8) == 0) request.add_prev_events(places_[static_cast<std::size_t>(Below(8))]->event_id());
      if (Below(8) == 0) request.add_prev_events(SomeOddId());
    }
    for (int i = Below(4); i > 0; --i) {
      request.add_auth_events(Below(4) == 0 ? SomeOddId() : places_[Newest()]->event_id());
    }
    for (int i = Below(6); i > 0; --i) {
      matrix::v1::StateKey& key = *request.add_state_keys();
      key.set_type(Below(3) == 0 ? "m.room.topic" : "m.room.member");
      if (key.type() == "m.room.member") key.set_state_key(UserOf(Below(7)));
    }
    request.set_with_branches(Below(10) == 0);
    return request;
  }

 private:
  int Below(int limit) { return std::uniform_int_distribution(0, limit - 1)(random_); }
  std::size_t Newest() {
    return static_cast<std::size_t>(Below(static_cast<int>(std::min<std::size_t>(places_.size(), 7))));
  }

  TestRoom Build(int number) {
    support::RoomBuilder builder("10", fmt::format("@creator:a{}.example", number));
    for (int user = 0; user < 6; ++user) builder.Member(UserOf(user), user % 2 == 0 ? "join" : "invite");
    return builder.Build();
  }

  Draft SomeEvent() {
    if (Below(8) == 0) {
      return {.type = "m.room.topic", .state_key = "", .sender = room_.creator(), .content = support::Object("{}")};
    }
    if (Below(6) == 0) {
      return {.type = "m.room.message",
              .state_key = std::nullopt,
              .sender = room_.creator(),
              .content = support::Object("{}")};
    }
    const std::string user = UserOf(Below(6));
    const char* membership = Below(2) == 0 ? R"({"membership":"leave"})" : R"({"membership":"join"})";
    return {.type = "m.room.member", .state_key = user, .sender = user, .content = support::Object(membership)};
  }

  std::string SomeOddId() {
    if (rejected_.empty() || Below(2) == 0) return fmt::format("$unknown{}", Below(1000));
    return rejected_[static_cast<std::size_t>(Below(static_cast<int>(rejected_.size())))]->event_id();
  }

  StoreRig& rig_;
  std::mt19937& random_;
  TestRoom room_;
  std::deque<matrix::Event> taken_;
  std::vector<const matrix::Event*> places_;
  std::vector<const matrix::Event*> rejected_;
  int minted_ = 0;
};

TEST(Contexts, AskedTogetherAreWhatEachIsAlone) {
  StoreRig rig;
  std::mt19937 random(11);
  std::vector<v1::GetEventContextRequest> requests;
  std::vector<std::string> alone;
  int merged = 0, unresolved = 0, older = 0, refused = 0, existing = 0, branches = 0;
  for (int number = 0; number < support::CaseCount(10); ++number) {
    RandomRoom room(rig, random, number);
    for (int step = 0; step < 25; ++step) {
      room.Step();
      ASSERT_FALSE(testing::Test::HasFailure()) << "room " << number << ", step " << step;
    }
    for (int i = 0; i < 40; ++i) {
      requests.push_back(room.SomeRequest());
      const Answer answer = rig.store().GetEventContext(Call(), requests.back());
      alone.push_back(Ordered(answer));
      if (!answer.ok()) continue;
      const matrix::v1::JudgingContext& judging = answer->judging();
      const auto token = DecodeToken(answer->token(), requests.back().room_id());
      ASSERT_TRUE(token.ok());
      merged += token->merged;
      unresolved += judging.state_before_unresolved();
      older += token->before && !token->merged && *token->before != token->now;
      existing += answer->has_existing();
      branches += judging.has_branches();
      refused += std::ranges::count_if(judging.prev_events(), [](const auto& cited) { return cited.rejected(); }) > 0;
    }
  }
  for (const int seen : {merged, unresolved, older, refused, existing, branches})
    EXPECT_GE(seen, support::CaseCount(5));

  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < requests.size() * 3; ++i) order.push_back(i % requests.size());
  std::ranges::shuffle(order, random);
  for (std::size_t begun = 0; begun < order.size();) {
    const std::size_t size = std::uniform_int_distribution<std::size_t>(1, 40)(random);
    const std::size_t end = std::min(order.size(), begun + size);
    std::vector<v1::GetEventContextRequest> batch;
    for (std::size_t i = begun; i < end; ++i) batch.push_back(requests[order[i]]);
    const std::vector<Answer> answers = AskedTogether(rig, batch);
    ASSERT_EQ(answers.size(), batch.size());
    for (std::size_t i = begun; i < end; ++i) {
      ASSERT_EQ(Ordered(answers[i - begun]), alone[order[i]]) << requests[order[i]].ShortDebugString();
    }
    begun = end;
  }
}

class SeveralContexts : public testing::Test {
 protected:
  SeveralContexts() { rig_.Create(room_); }
  /// Blocks of tables that PostgreSQL looks at for a context at the room's tip. The least of several calls in one
  /// session: those that a session reads of the catalogue come with the first, and again whenever what other databases
  /// of this PostgreSQL change at the time makes it forget what it had read.
  int BlocksRead() {
    const std::string query = fmt::format(
        "select count(*) from rooms o cross join lateral fn.event_contexts("
        "array[o.room_id], array['$new'::bytea], array['{0}'::bytea], o.extremities, array[1], "
        "(select array_agg(e.event_id) from (select event_id from events x where x.room_id = o.room_id and "
        "x.event_id > '$1' limit 4) as e), array[4], array['m.room.create'::bytea, 'm.room.power_levels', "
        "'m.room.member'], "
        "array[''::bytea, '', '{0}'], array[3]) where o.room_id = '{1}'",
        UserOf(0), room_.room_id());
    const std::string explain = "explain (analyze, buffers, format json) " + query;
    const auto session = DatabaseConnection::Open(rig_.dsn());
    EXPECT_TRUE(session.ok() && (*session)->Call({"first", query.c_str()}, {}).ok());
    int least = std::numeric_limits<int>::max();
    for (int i = 0; i < 5; ++i) {
      const auto rows = (*session)->Call({"explained", explain.c_str()}, {});
      EXPECT_TRUE(rows.ok()) << rows.status();
      const std::string plan(rows->Text(0, 0));
      std::smatch found;
      EXPECT_TRUE(std::regex_search(plan, found, std::regex(R"re("Shared Hit Blocks": (\d+))re"))) << plan;
      if (!found.empty()) least = std::min(least, std::stoi(found[1]));
    }
    return least;
  }

  const TestRoom room_ = support::RoomOf(4);
  StoreRig rig_;
};

TEST_F(SeveralContexts, AreNoneForNoRequest) { EXPECT_TRUE(AskedTogether(rig_, {}).empty()); }

TEST_F(SeveralContexts, EachHasItsOwnRefusal) {
  const v1::GetEventContextRequest good = support::ContextRequestFor(room_.Leave(UserOf(1)));
  v1::GetEventContextRequest nameless = good, elsewhere = good, greedy = good;
  nameless.clear_event_id();
  elsewhere.set_room_id("!nowhere:a.example");
  for (int i = 0; i < 100; ++i) greedy.add_state_keys()->set_type(fmt::format("t{}", i));
  const std::vector<Answer> answers = AskedTogether(rig_, {nameless, good, elsewhere, good, greedy});
  const std::string alone = Ordered(rig_.store().GetEventContext(Call(), good));
  EXPECT_EQ(Ordered(answers[1]), alone);
  EXPECT_EQ(Ordered(answers[3]), alone);
  EXPECT_EQ(matrix::ReasonOf(answers[0].status()), Reason::kInvalidArgument);
  EXPECT_EQ(matrix::ReasonOf(answers[2].status()), Reason::kUnknownRoom);
  EXPECT_EQ(matrix::ReasonOf(answers[4].status()), Reason::kInvalidArgument);
}

TEST_F(SeveralContexts, OneThatPostgresStumblesOverHarmsNoOther) {
  const matrix::Event leave = room_.Leave(UserOf(0));
  const matrix::Event late = room_.Leave(UserOf(1));
  ASSERT_TRUE(rig_.Persist(leave).ok());
  const std::string old_tip = room_.tip().event_id();
  // A state of a lineage that is not there.
  rig_.Sql(fmt::format("update events set state_group_after = (77::bigint << 32) + 1 where event_id = '{}' returning 1",
                       old_tip));
  const v1::GetEventContextRequest bad = support::ContextRequestFor(late);
  v1::GetEventContextRequest good = bad;
  *good.mutable_prev_events(0) = leave.event_id();
  StoreRig other(rig_.dsn());  // that remembers nothing yet
  const std::vector<Answer> answers = AskedTogether(other, {good, bad, good});
  EXPECT_TRUE(answers[0].ok()) << answers[0].status();
  EXPECT_EQ(matrix::ReasonOf(answers[1].status()), Reason::kInternal);
  EXPECT_EQ(Ordered(answers[2]), Ordered(answers[0]));
}

TEST_F(SeveralContexts, ReadNoMoreOfALargeRoomBesideSmallOnes) {
  const int before = BlocksRead();
  // As many small rooms as make the mean room a small one: what a plan is made for.
  rig_.Sql(
      "with rooms_made as (insert into rooms select ('!r' || n)::bytea, room_version, false, 0, 0, 0, 0, 0, "
      "extremities, 0 "
      "from rooms cross join generate_series(1, 3000) as n), "
      "events_made as (insert into events (room_id, event_id, stream_ordering, outcome, reason, depth, "
      "origin_server_ts, "
      "stored_at, state_group_after, fixed_ordering, type, sender, origin, prev_events, auth_events, pdu) "
      "select ('!r' || n)::bytea, e.event_id, 0, 1, 0, 0, 0, n, 0, 0, '', '', '', '{}', '{}', '{}' "
      "from events e cross join generate_series(1, 3000) as n where e.depth < 6), "
      "entries_made as (insert into state_entries select ('!r' || n)::bytea, 0, e.type, e.state_key, e.position, "
      "e.event_id "
      "from state_entries e cross join generate_series(1, 3000) as n where e.position < 6), "
      "large_events as (insert into events (room_id, event_id, stream_ordering, outcome, reason, depth, "
      "origin_server_ts, "
      "stored_at, state_group_after, fixed_ordering, type, sender, origin, prev_events, auth_events, pdu) "
      "select room_id, ('$' || n)::bytea, 0, 1, 0, 0, 0, n, 0, 0, '', '', '', '{}', '{}', '{}' "
      "from rooms cross join generate_series(1, 20000) as n) "
      "insert into state_entries select room_id, 0, 'm.room.member', ('@m' || n)::bytea, state_group + n, ('$' || "
      "n)::bytea "
      "from rooms cross join generate_series(1, 20000) as n returning 1");
  rig_.Sql("update rooms set state_group = state_group + 20000 where state_group > 0 returning 1");
  rig_.Sql("analyze events, state_entries, rooms, memberships");
  EXPECT_LT(BlocksRead(), before + 200);
}

}  // namespace
}  // namespace postern::store
