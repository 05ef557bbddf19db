// What `commutes` promises: adding the change to the current state equals the whole state resolution, whatever other
// commuting events land first. Random rooms fork at random; where an event is said to commute, the current state that
// is kept by adding its change is held against the resolution over all forward extremities. So is what a store relies
// on besides: states that differ by commuting changes alone come to all of these together.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "fmt/format.h"
#include "matrix/auth_rules.h"
#include "matrix/branches.h"
#include "matrix/state_change.h"
#include "matrix/state_resolution.h"
#include "tests/support/case_count.h"
#include "tests/support/fork_slice.h"
#include "tests/support/room_builder.h"

namespace postern::matrix {
namespace {

using support::Draft;
using support::Object;
using support::RoomBuilder;
using support::TestRoom;

constexpr int kRooms = support::CaseCount(200);
constexpr int kSteps = 24;
constexpr int kFewestForks = 3 * kRooms;
constexpr int kFewestPutTogether = kRooms / 2;
const std::vector<std::string> kUsers{"@u0:b.example", "@u1:b.example", "@u2:c.example", "@u3:c.example",
                                      "@u4:d.example", "@u5:d.example", "@u6:e.example", "@u7:e.example"};

/// A room's graph as a server keeps it: where an event commutes its change is added, otherwise the resolution tells.
/// Each state carries its base: the event from which commuting changes alone have led to it. Two states of one base do
/// not diverge. An event may stand on one event, on several, or on any set of extremities that there was.
class GrowingRoom {
 public:
  GrowingRoom(const std::string& version, std::uint32_t seed) : random_(seed), room_(Start(version)) {
    for (const Event& event : room_.events()) {
      known_.Add(event);
      age_.emplace(event.event_id(), age_.size());
      current_[{event.type(), *event.state_key()}] = event.event_id();
      after_.emplace(event.event_id(), State{current_, event.event_id()});
    }
    base_ = room_.tip().event_id();
    extremities_ = {&room_.tip()};
    Remember();
  }

  /// One event more, if it is taken. Returns whether it was a fork that commutes.
  bool Step() { return Chance(20) ? Extend() : Fork(); }

  /// How often events of one base were cited together.
  int put_together() const { return put_together_; }
  /// The state that is kept, and what the resolution says.
  const StateMap& current() const { return current_; }
  StateMap Resolved() const {
    std::vector<StateMap> states;
    for (const Event* tip : extremities_) states.push_back(after_.at(tip->event_id()).state);
    return Resolution(states);
  }

 private:
  struct State {
    StateMap state;
    std::string base;
  };
  struct Place {
    std::vector<const Event*> prev_events;
    State before;
  };
  struct ById {
    bool operator()(const Event* a, const Event* b) const { return a->event_id() < b->event_id(); }
  };

  StateMap Resolution(const std::vector<StateMap>& states) const {
    const auto resolved = ResolveState(states, known_, room_.rules());
    EXPECT_TRUE(resolved.ok()) << resolved.status();
    return resolved.ok() ? *resolved : StateMap();
  }

  bool Chance(int percent) { return std::uniform_int_distribution(1, 100)(random_) <= percent; }
  template <typename T>
  const T& OneOf(const std::vector<T>& values) {
    return values[std::uniform_int_distribution<std::size_t>(0, values.size() - 1)(random_)];
  }

  TestRoom Start(const std::string& version) {
    RoomBuilder builder(version);
    builder.JoinRule(OneOf(std::vector<std::string>{"public", "invite"}));
    for (const std::string& user : kUsers) {
      builder.Member(user, OneOf(std::vector<std::string>{"invite", "join", "join", "leave", ""}));
    }
    return builder.Build();
  }

  RoomState StateOf(const StateMap& ids) const {
    RoomState state;
    for (const auto& [key, id] : ids) state.Set(*known_.Find(id));
    return state;
  }

  /// Timestamps and depths lie, as senders' may.
  Event Mint(Draft draft) {
    draft.origin_server_ts = room_.tip().origin_server_ts() + std::uniform_int_distribution(-8000, 12000)(random_);
    JsonObject event = room_.Unsigned(draft);
    if (Chance(30)) event.Set("depth", Json(std::uniform_int_distribution(1, 30)(random_)));
    return room_.Sign(std::move(event));
  }

  Draft Member(const std::string& user, const std::string& membership, const std::string& sender) {
    Draft draft{.type = "m.room.member", .state_key = user, .sender = sender, .content = {}};
    draft.content.Set("membership", Json(membership));
    if (Chance(30)) draft.content.Set("reason", Json(std::to_string(random_())));
    return draft;
  }

  /// No state event, such as one that only cites tips.
  Draft Message() {
    return {.type = "org.matrix.dummy_event", .state_key = std::nullopt, .sender = room_.creator(), .content = {}};
  }

  Draft SomeEvent() {
    const std::string user = OneOf(kUsers);
    const std::string creator = room_.creator();
    if (Chance(15)) return Message();
    switch (std::uniform_int_distribution(0, 9)(random_)) {
      case 0:
        return Member(user, "invite", creator);
      case 1:
      case 2:
        return Member(user, "join", user);
      case 3:
        return Member(user, "leave", creator);
      case 4:
        return Member(user, "ban", creator);
      case 5: {
        Draft draft{.type = "m.room.power_levels", .state_key = "", .sender = creator, .content = Object("{}")};
        if (!room_.rules().room_id_is_create_hash) draft.content = Object(R"({"users":{"@creator:a.example":100}})");
        draft.content.Set("kick", Json(std::uniform_int_distribution(0, 60)(random_)));
        return draft;
      }
      case 6:
        return {.type = "m.room.join_rules",
                .state_key = "",
                .sender = creator,
                .content = Object(Chance(50) ? R"({"join_rule":"public"})" : R"({"join_rule":"invite"})")};
      default:
        return Member(user, "leave", user);
    }
  }

  bool Extend() {
    const RoomState now = StateOf(current_);
    Draft draft = SomeEvent();
    draft.prev_events.assign(extremities_.begin(), extremities_.end());
    draft.state = &now;
    Event event = Mint(std::move(draft));
    if (!CheckAuthRules(event, now).allowed()) return false;
    const auto change = CurrentStateChangeOf(event, now, now, {.extends_all_extremities = true});
    Take(std::move(event), State{current_, base_}, change);
    return false;
  }

  bool Fork() {
    const Place place = SomePlace();
    const RoomState state_before = StateOf(place.before.state);
    const RoomState now = StateOf(current_);
    Draft draft = Chance(80) ? OwnLeave(place.before.state) : Chance(50) ? Message() : SomeEvent();
    draft.prev_events = place.prev_events;
    draft.state = &state_before;
    Event event = Mint(std::move(draft));
    if (!CheckAuthRules(event, state_before).allowed() || !CheckAuthRules(event, now).allowed()) return false;
    const auto change = CurrentStateChangeOf(
        event, state_before, now,
        {.extends_all_extremities = StandsOnAll(place), .states_diverge = place.before.base != base_});
    if (!change && !Chance(15)) return false;  // else nothing would commute for long
    const bool commutes = change && change->commutes;
    Take(std::move(event), place.before, change);
    return commutes;
  }

  bool StandsOnAll(const Place& place) const {
    return std::set<const Event*, ById>(place.prev_events.begin(), place.prev_events.end()) == extremities_;
  }

  Place SomePlace() { return Chance(30) ? SeveralEvents() : OnePlace(); }

  /// Mostly one whose state does not diverge: others are resolved, and most of them not taken.
  Place OnePlace() {
    std::vector<const Place*> near;
    for (const Place& place : places_) {
      if (place.before.base == base_ || Chance(10)) near.push_back(&place);
    }
    return near.empty() ? places_.back() : *OneOf(near);
  }

  /// Two or three events. Where they have a base in common, what they have changed since is put together.
  Place SeveralEvents() {
    std::vector<const Event*> near;
    for (const Event& event : taken_) {
      if (after_.at(event.event_id()).base == base_ || Chance(10)) near.push_back(&event);
    }
    if (near.size() < 2) return OnePlace();
    std::set<const Event*, ById> prev;
    for (int i = 0; i < 3; ++i) prev.insert(OneOf(near));
    std::vector<StateMap> states;
    std::set<std::string> bases;
    for (const Event* event : prev) {
      states.push_back(after_.at(event->event_id()).state);
      bases.insert(after_.at(event->event_id()).base);
    }
    State before{Resolution(states), bases.size() == 1 ? *bases.begin() : ""};
    if (bases.size() == 1) {
      ++put_together_;
      EXPECT_EQ(PutTogether(states), before.state);
    }
    return {{prev.begin(), prev.end()}, std::move(before)};
  }

  /// Each key's newest value.
  StateMap PutTogether(const std::vector<StateMap>& states) const {
    StateMap newest;
    for (const StateMap& state : states) {
      for (const auto& [key, event_id] : state) {
        std::string& value = newest.try_emplace(key, event_id).first->second;
        if (age_.at(event_id) > age_.at(value)) value = event_id;
      }
    }
    return newest;
  }

  /// Mostly of somebody who can leave.
  Draft OwnLeave(const StateMap& before) {
    std::vector<std::string> leavers;
    for (const std::string& user : kUsers) {
      const auto entry = before.find({"m.room.member", user});
      const bool gone = entry == before.end() || known_.Find(entry->second)->membership() == "leave";
      if (!gone || Chance(10)) leavers.push_back(user);
    }
    const std::string user = OneOf(leavers.empty() ? kUsers : leavers);
    return Member(user, "leave", user);
  }

  static std::set<StateKey> OwnKey(const Event& event) {
    if (!event.is_state()) return {};
    return {{event.type(), *event.state_key()}};
  }

  void Remember() { places_.push_back({{extremities_.begin(), extremities_.end()}, {current_, base_}}); }

  /// The current state once `event`, with `after` after it, stands beside those. The branches, cut as a store cuts
  /// them, say the same.
  StateMap ResolvedWith(const Event& event, const StateMap& after, const std::vector<StateMap>& beside) const {
    std::vector<StateMap> before, states = beside;
    for (const std::string& id : event.prev_events()) before.push_back(after_.at(id).state);
    states.push_back(after);
    const StateMap resolved = Resolution(states);

    std::vector<StateMap> all = before;
    all.insert(all.end(), beside.begin(), beside.end());
    all.push_back(current_);
    const auto slice =
        support::CutFork(all, known_, {.told = OwnKey(event), .asked = {}, .cited = event.auth_events()});
    Branches branches{.base = slice.fork.base,
                      .branches = {},
                      .now = slice.fork.branches.back(),
                      .agreed = slice.fork.agreed,
                      .reached = slice.fork.reached,
                      .events = {}};
    for (std::size_t i = 0; i + 1 < all.size(); ++i) {
      branches.branches.push_back({slice.fork.branches[i], i < before.size(), i >= before.size()});
    }
    for (const std::string& id : slice.events) branches.events.Add(*known_.Find(id));
    const auto told_before = ResolveBefore(branches, room_.rules());
    EXPECT_TRUE(told_before.ok()) << told_before.status();
    if (!told_before.ok()) return {};
    EXPECT_EQ(Changed(all.front(), *told_before), Resolution(before));
    const auto told = ResolveWith(event, *told_before, branches, room_.rules());
    EXPECT_TRUE(told.ok()) << told.status();
    if (!told.ok()) return {};
    EXPECT_EQ(Changed(current_, ChangesBetween(branches, branches.now, *told)), resolved);
    return resolved;
  }

  static StateMap Changed(StateMap state, const StateMap& changes) {
    for (const auto& [key, event_id] : changes) {
      state.erase(key);
      if (!event_id.empty()) state.emplace(key, event_id);
    }
    return state;
  }

  void Take(Event event, State before, const std::optional<CurrentStateChange>& change) {
    const Event& kept = taken_.emplace_back(std::move(event));
    known_.Add(kept);
    age_.emplace(kept.event_id(), age_.size());
    State after = std::move(before);
    for (const StateKey& key : OwnKey(kept)) after.state[key] = kept.event_id();
    std::erase_if(extremities_, [&](const Event* tip) {
      return std::ranges::find(kept.prev_events(), tip->event_id()) != kept.prev_events().end();
    });
    extremities_.insert(&kept);
    if (change) {
      for (const StateKey& key : OwnKey(kept)) current_[key] = kept.event_id();
    } else {
      std::vector<StateMap> beside;
      for (const Event* tip : extremities_) {
        if (tip != &kept) beside.push_back(after_.at(tip->event_id()).state);
      }
      current_ = ResolvedWith(kept, after.state, beside);
    }
    if (!change || !change->commutes) {
      base_ = kept.event_id();
      // Beside other branches the state after it has nothing in common with the current one, even where the two hold
      // the same: those branches have values that neither shows.
      after.base = extremities_.size() == 1 ? base_ : "after " + base_;
    }
    places_.push_back({{&kept}, after});
    after_.emplace(kept.event_id(), std::move(after));
    Remember();
  }

  int put_together_ = 0;
  std::mt19937 random_;
  TestRoom room_;
  std::deque<Event> taken_;
  ResolutionEvents known_;
  std::map<std::string, std::size_t> age_;
  std::map<std::string, State> after_;
  std::deque<Place> places_;
  StateMap current_;
  std::string base_;
  std::set<const Event*, ById> extremities_;
};

class CommutesProperty : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Versions, CommutesProperty, testing::Values("1", "2", "4", "6", "8", "10", "11", "12"),
                         [](const auto& tested) { return "V" + tested.param; });

TEST_P(CommutesProperty, AddingTheChangeEqualsTheWholeResolution) {
  int commuting = 0;
  int put_together = 0;
  for (std::uint32_t seed = 1; seed <= kRooms; ++seed) {
    GrowingRoom room(GetParam(), seed);
    for (int step = 0; step < kSteps; ++step) {
      if (room.Step()) ++commuting;
      ASSERT_EQ(room.current(), room.Resolved()) << "seed " << seed << ", step " << step;
      ASSERT_FALSE(HasFailure()) << "seed " << seed << ", step " << step;
    }
    put_together += room.put_together();
  }
  EXPECT_GE(commuting, kFewestForks) << "too few forks to prove anything";
  EXPECT_GE(put_together, kFewestPutTogether);
}

/// Why a leave dated before its own invite may not be said to commute: the resolution puts it first, and the invite
/// wins.
TEST(Commutes, NotWhereTheResolutionPutsTheInviteLast) {
  TestRoom room = RoomBuilder("10").Member("@ann:b.example", "invite").Build();
  const Event& invite = room.tip();
  const RoomState before = room.state();
  const Event& name = room.Append(
      room.Mint({.type = "m.room.name", .state_key = "", .sender = room.creator(), .content = Object("{}")}));
  Event leave = room.Mint({.type = "m.room.member",
                           .state_key = "@ann:b.example",
                           .sender = "@ann:b.example",
                           .content = Object(R"({"membership":"leave"})"),
                           .prev_events = {&invite},
                           .origin_server_ts = invite.origin_server_ts() - 1});
  EXPECT_FALSE(CurrentStateChangeOf(leave, before, room.state(), {}));
  ResolutionEvents events;
  StateMap now;
  for (const Event& event : room.events()) {
    events.Add(event);
    now[{event.type(), *event.state_key()}] = event.event_id();
  }
  events.Add(leave);
  StateMap after = now;
  after.erase({name.type(), *name.state_key()});
  after[{"m.room.member", "@ann:b.example"}] = leave.event_id();
  const auto resolved = ResolveState({now, after}, events, room.rules());
  ASSERT_TRUE(resolved.ok()) << resolved.status();
  EXPECT_EQ(resolved->at({"m.room.member", "@ann:b.example"}), invite.event_id());
}

}  // namespace
}  // namespace postern::matrix
