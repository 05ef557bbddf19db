// State resolution on random graphs, honest ones and others: what it promises on any of them. A failure names its seed.
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "matrix/state_resolution.h"
#include "tests/support/case_count.h"
#include "tests/support/choices.h"
#include "tests/support/grown_room.h"
#include "tests/support/resolution_promises.h"

namespace postern::matrix {
namespace {

using support::BytesOfSeed;
using support::Choices;
using support::GrownRoom;

constexpr std::uint32_t kRooms = support::CaseCount(150);
constexpr std::size_t kChoices = 600;
constexpr std::size_t kMostEvents = 40;
constexpr std::size_t kMostOfASmallerBudget = 2000;

class ResolutionProperty : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Versions, ResolutionProperty, testing::Values("1", "2", "3", "6", "8", "10", "11", "12"),
                         [](const auto& tested) { return "V" + tested.param; });

TEST_P(ResolutionProperty, HoldsOnAnyGraph) {
  for (std::uint32_t seed = 1; seed <= kRooms; ++seed) {
    const std::string bytes = BytesOfSeed(seed, kChoices);
    Choices choices(bytes);
    const GrownRoom room(GetParam(), choices, kMostEvents);
    const std::string more = BytesOfSeed(seed + kRooms, 64);
    Choices later(more);
    for (int round = 0; round < 3; ++round) {
      const auto states = room.SomeStates(later);
      const std::size_t budget = later.Below(kMostOfASmallerBudget);
      ASSERT_EQ(support::BrokenPromise(states, room.known(), room.rules(), budget), "") << "seed " << seed;
    }
  }
}

/// Other names, in the same order.
class Renamed {
 public:
  explicit Renamed(const GrownRoom& room) {
    for (const Event& event : room.start().events()) Add(event);
    for (const Event& event : room.grown()) Add(event);
  }

  static std::string NewName(const std::string& id) { return "$also" + id.substr(1); }
  static StateMap NewNames(const StateMap& state) {
    StateMap renamed;
    for (const auto& [key, id] : state) renamed.emplace(key, NewName(id));
    return renamed;
  }
  const ResolutionEvents& known() const { return known_; }

 private:
  void Add(const Event& event) {
    JsonObject fields = event.json();
    fields.Set("event_id", NewName(event.event_id()));
    fields.Set("auth_events", References(event.auth_events()));
    fields.Set("prev_events", References(event.prev_events()));
    events_.push_back(*Event::FromJson(Json(std::move(fields)), event.rules()));
    known_.Add(events_.back());
  }

  static JsonArray References(const std::vector<std::string>& ids) {
    JsonArray references;
    for (const std::string& id : ids) references.push_back(JsonArray{NewName(id), JsonObject()});
    return references;
  }

  std::deque<Event> events_;
  ResolutionEvents known_;
};

/// Version 1 decides by hashes of ids, and from version 3 on an id is a hash itself.
TEST(ResolutionInVersion2, DoesNotLookAtWhatEventsAreCalled) {
  int disputed = 0;
  for (std::uint32_t seed = 1; seed <= kRooms; ++seed) {
    const std::string bytes = BytesOfSeed(seed, kChoices);
    Choices choices(bytes);
    const GrownRoom room("2", choices, kMostEvents);
    const Renamed renamed(room);
    const std::string more = BytesOfSeed(seed + kRooms, 64);
    Choices later(more);
    const auto states = room.SomeStates(later);
    std::vector<StateMap> under_new_names;
    for (const StateMap& state : states) under_new_names.push_back(Renamed::NewNames(state));
    const auto resolved = ResolveState(states, room.known(), room.rules());
    if (!resolved.ok()) continue;
    const auto again = ResolveState(under_new_names, renamed.known(), room.rules());
    ASSERT_TRUE(again.ok()) << "seed " << seed << ": " << again.status();
    ASSERT_EQ(*again, Renamed::NewNames(*resolved)) << "seed " << seed;
    if (states.front() != states.back()) ++disputed;
  }
  EXPECT_GE(disputed, static_cast<int>(kRooms / 3)) << "too few disputes to prove anything";
}

}  // namespace
}  // namespace postern::matrix
