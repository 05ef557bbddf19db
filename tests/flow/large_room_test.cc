// A hundred who join and a hundred who leave a large room, all at once: every answer is 200, memberships are as
// answered, the current state is the resolution's, extremities are few, and no process grows with the room.
// POSTERN_MEMBERS says how large the room is; what was measured is on standard output.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <future>
#include <latch>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "matrix/event.h"
#include "matrix/event_id.h"
#include "matrix/state_resolution.h"
#include "tests/flow/handshake.h"
#include "tests/flow/leave_attempt.h"
#include "tests/flow/must.h"
#include "tests/flow/process_memory.h"
#include "tests/support/case_count.h"

namespace postern::flow {
namespace {

using matrix::Event;
using matrix::JsonObject;
using matrix::StateMap;

constexpr const char* kVersion = "10";
constexpr int kEach = support::CaseCount(100);
constexpr std::int64_t kFewExtremities = 20;
constexpr absl::Duration kPatience = absl::Seconds(60);
constexpr absl::Duration kPoll = absl::Milliseconds(50);
// A thread for each of the requests, and time for all to be served by turns on a busy machine. With fewer threads those
// that come while a request has waited for one for `longest_wait` are answered 503, to come again.
constexpr const char* kSettings = R"(
rate_limits: false
workers: 256
request_timeout: 120s
)";
constexpr std::int64_t kMostGrowthKib = 64 * 1024;

constexpr store::Statement kExtremities{"flow_extremities", "select unnest(extremities) from rooms where room_id = $1"};
constexpr store::Statement kCurrentState{"flow_current_state", R"(
  select type, state_key, event_id from current_state where room_id = $1
  union all select 'm.room.member'::bytea, user_id, event_id from memberships where room_id = $1 and user_id = any ($2::bytea[]))"};
constexpr store::Statement kPdu{"flow_pdu", "select pdu from events where room_id = $1 and event_id = $2"};
constexpr store::Statement kCreator{"flow_creator",
                                    "select sender from events where room_id = $1 and type = 'm.room.create'"};
// In one snapshot, for events that gather may still come.
constexpr store::Statement kEventsSince{"flow_events_since", R"(
  select e.pdu, e.event_id = any (o.extremities) from rooms o join events e using (room_id)
  where o.room_id = $1 and e.outcome = 1 and e.stream_ordering > $2 order by e.stream_ordering)"};
constexpr store::Statement kStillIn{"flow_still_in", R"(
  select count(*) from memberships m join events e using (room_id, event_id)
  where m.room_id = $1 and m.membership = 'join' and e.stream_ordering <= $2)"};

int Members() {
  const char* given = std::getenv("POSTERN_MEMBERS");
  return given == nullptr ? support::CaseCount(100'000) : std::atoi(given);
}

/// Who changes membership, and how.
struct Mover {
  std::string user;
  bool joins;
};
struct Moved {
  Mover mover;
  std::string event_id;
  int status = 0;
  std::string body;
  absl::Duration took;
};

/// The resolution of a room's state, from the events themselves and from nothing that the store made of them.
///
/// Of the state at `tip`, where the room had one extremity, only a part is looked at: what is no member, the members
/// that an event after it sets, and the creator. The others are in every state after `tip` with the same value, so no
/// resolution has them in its conflicted set. They are in no auth difference either: an auth chain of what came after
/// `tip` holds the creator, those members, and what is no member. And no rule reads them.
class WholeResolution {
 public:
  WholeResolution(const matrix::RoomRules& rules, const std::vector<std::string>& pdus_of_state, const std::string& tip)
      : rules_(rules) {
    StateMap state;
    for (const std::string& pdu : pdus_of_state) {
      const Event& event = Know(pdu);
      state[{event.type(), *event.state_key()}] = event.event_id();
    }
    after_[tip] = std::move(state);
  }

  /// In the order in which they were stored.
  void Add(const std::string& pdu) {
    const Event& event = Know(pdu);
    StateMap state = Over(event.prev_events());
    if (event.is_state()) state[{event.type(), *event.state_key()}] = event.event_id();
    after_[event.event_id()] = std::move(state);
  }
  StateMap Over(const std::vector<std::string>& event_ids) {
    std::set<StateMap> states;
    for (const std::string& id : event_ids) {
      Must("a prev event at or after the tip: " + id, after_.contains(id));
      states.insert(after_[id]);
    }
    if (states.size() == 1) return *states.begin();
    ++resolutions_;
    return Must("a resolution", matrix::ResolveState({states.begin(), states.end()}, known_, rules_));
  }
  int resolutions() const { return resolutions_; }

 private:
  const Event& Know(const std::string& pdu) {
    const Event& event = events_.emplace_back(Must("an event", Event::Parse(pdu, rules_)));
    known_.Add(event);
    return event;
  }

  const matrix::RoomRules& rules_;
  std::deque<Event> events_;
  matrix::ResolutionEvents known_;
  std::map<std::string, StateMap> after_;
  int resolutions_ = 0;
};

class LargeRoom : public testing::Test {
 protected:
  static std::vector<std::string> Texts(const store::Rows& rows) {
    std::vector<std::string> texts;
    for (std::size_t row = 0; row < rows.size(); ++row) texts.emplace_back(rows.Bytes(row, 0));
    return texts;
  }
  std::vector<std::string> Extremities() {
    return Texts(scene_.database.Call(kExtremities, store::Parameters().Bytes(room_.room_id)));
  }
  /// The current state as the store has it, but for members who are not among `users`.
  StateMap CurrentState(const std::vector<std::string>& users) {
    const store::Rows rows =
        scene_.database.Call(kCurrentState, store::Parameters().Bytes(room_.room_id).BytesArray(users));
    StateMap state;
    for (std::size_t row = 0; row < rows.size(); ++row) {
      state[{std::string(rows.Bytes(row, 0)), std::string(rows.Bytes(row, 1))}] = rows.Bytes(row, 2);
    }
    return state;
  }
  std::vector<std::string> PdusOf(const StateMap& state) {
    std::vector<std::string> pdus;
    for (const auto& [key, id] : state) {
      pdus.push_back(Texts(scene_.database.Call(kPdu, store::Parameters().Bytes(room_.room_id).Bytes(id))).at(0));
    }
    return pdus;
  }

  /// `joining` who come and as many of the seeded members, from `first` on, who go; by turns.
  std::vector<Mover> Movers(int round) const {
    std::vector<Mover> movers;
    for (int i = 0; i < kEach; ++i) {
      movers.push_back({scene_.remote.User(fmt::format("new{}-{}", round, i)), true});
      movers.push_back({room_.users.at(static_cast<std::size_t>(round * kEach + i)), false});
    }
    return movers;
  }
  JsonObject Draft(const Mover& mover) const {
    return DraftOf(scene_.remote.Send(
        MakeRequest(scene_.remote, mover.joins ? "make_join" : "make_leave", room_.room_id, mover.user, rules_)));
  }
  Moved Send(const Mover& mover, JsonObject draft) const {
    const JsonObject event = scene_.remote.Complete(std::move(draft), rules_);
    // Whole answers to joins of a large room are told by large_join_test.
    const std::string_view send = mover.joins ? "v2/send_join" : "v2/send_leave";
    http::Request request = SendRequest(scene_.remote, send, room_.room_id, event, rules_);
    if (mover.joins) {
      request.target += "?omit_members=true";
      scene_.remote.SignAgain(request);
    }
    const absl::Time begun = absl::Now();
    const http::Response response = scene_.remote.Send(request);
    return {mover, matrix::ComputeEventId(event, rules_), response.status, response.body, absl::Now() - begun};
  }
  /// All of them at once; templates beforehand, from one tip, or each by its own thread while the others send.
  std::vector<Moved> Move(const std::vector<Mover>& movers, bool beforehand) const {
    std::vector<JsonObject> drafts;
    for (const Mover& mover : movers) drafts.push_back(beforehand ? Draft(mover) : JsonObject());
    std::latch all_are_there(static_cast<std::ptrdiff_t>(movers.size()));
    std::vector<std::future<Moved>> moving;
    for (std::size_t i = 0; i < movers.size(); ++i) {
      moving.push_back(std::async(std::launch::async, [&, i] {
        all_are_there.arrive_and_wait();
        return Send(movers[i], beforehand ? drafts[i] : Draft(movers[i]));
      }));
    }
    std::vector<Moved> moved;
    for (auto& one : moving) moved.push_back(one.get());
    return moved;
  }

  void ExpectAsAnswered(const std::vector<Moved>& moved) {
    for (const Moved& one : moved) {
      EXPECT_EQ(one.status, 200) << one.body;
      const LeaveRows rows = scene_.database.RowsOfLeave(room_.room_id, one.event_id, one.mover.user);
      EXPECT_EQ(rows.events, 1);
      EXPECT_EQ(rows.outbox, 1);
      EXPECT_EQ(rows.membership, one.mover.joins ? "join" : "leave");
      EXPECT_TRUE(rows.membership_is_by_it);
    }
  }
  std::size_t AwaitFewExtremities() {
    const absl::Time deadline = absl::Now() + kPatience;
    while (Extremities().size() > kFewExtremities && absl::Now() < deadline) absl::SleepFor(kPoll);
    return Extremities().size();
  }

  Scene scene_{StackOptions{.gateway_settings = kSettings}};
  const matrix::RoomRules& rules_ = *matrix::FindRoomRules(kVersion);
  const int members_ = Members();
  const SeededRoom room_ = scene_.room_operator.Seed(kVersion, scene_.remote.name(), "join", members_);
};

TEST_F(LargeRoom, TakesAHundredJoinsAndAHundredLeavesAtOnce) {
  scene_.database.Execute("analyze");
  const std::vector<Mover> beforehand = Movers(0), meanwhile = Movers(1);
  std::vector<std::string> touched;
  for (const auto& movers : {beforehand, meanwhile}) {
    for (const Mover& mover : movers) touched.push_back(mover.user);
  }
  const std::vector<std::string> tip = Extremities();
  ASSERT_EQ(tip.size(), 1U);
  const std::int64_t events_before = scene_.database.EventsOfRoom(room_.room_id);
  touched.push_back(Texts(scene_.database.Call(kCreator, store::Parameters().Bytes(room_.room_id))).at(0));
  WholeResolution resolution(rules_, PdusOf(CurrentState(touched)), tip.front());
  const std::vector<const ServiceProcess*> processes{&scene_.stack.gateway(), &scene_.stack.store(),
                                                     &scene_.stack.validator()};
  std::vector<std::int64_t> memory_before;
  for (const ServiceProcess* process : processes) {
    memory_before.push_back(MemoryKib(*process, "VmRSS"));
    ForgetPeak(*process);
  }

  for (const bool from_one_tip : {true, false}) {
    const absl::Time begun = absl::Now();
    const std::vector<Moved> moved = Move(from_one_tip ? beforehand : meanwhile, from_one_tip);
    const absl::Duration took = absl::Now() - begun;
    ExpectAsAnswered(moved);
    absl::Duration longest;
    for (const Moved& one : moved) longest = std::max(longest, one.took);
    const std::size_t at_the_end = Extremities().size(), later = AwaitFewExtremities();
    fmt::print(
        "{} members, {} joins and {} leaves at once, templates {}: {}, the longest {}; extremities {}, then {}\n",
        members_, kEach, kEach, from_one_tip ? "beforehand" : "meanwhile", absl::FormatDuration(took),
        absl::FormatDuration(longest), at_the_end, later);
    std::fflush(stdout);
    EXPECT_LE(later, kFewExtremities);
  }
  for (std::size_t i = 0; i < processes.size(); ++i) {
    const std::int64_t most = MemoryKib(*processes[i], "VmHWM");
    fmt::print("{}: {} KiB before, {} at most\n", processes[i]->service, memory_before[i], most);
    if (support::kSanitized) continue;
    EXPECT_LT(most - memory_before[i], kMostGrowthKib);
  }

  const store::Rows rows =
      scene_.database.Call(kEventsSince, store::Parameters().Bytes(room_.room_id).Integer(events_before));
  std::vector<std::string> extremities;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const std::string pdu(rows.Bytes(row, 0));
    resolution.Add(pdu);
    if (rows.Boolean(row, 1)) extremities.push_back(Must("an event", Event::Parse(pdu, rules_)).event_id());
  }
  EXPECT_EQ(CurrentState(touched), resolution.Over(extremities));
  EXPECT_GT(resolution.resolutions(), 0);
  fmt::print("{} events since, {} resolutions of them\n", rows.size(), resolution.resolutions());
  const store::Rows untouched =
      scene_.database.Call(kStillIn, store::Parameters().Bytes(room_.room_id).Integer(events_before));
  EXPECT_EQ(untouched.Integer(0, 0), members_ + 1 - 2 * kEach) << "nobody else has moved";
  EXPECT_EQ(scene_.database.HalfWritten(), std::vector<std::string>());
}

}  // namespace
}  // namespace postern::flow
