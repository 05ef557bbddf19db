// Every state_resolve case again, from a slice: what the differences say is what the whole states say.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <fstream>
#include <string>
#include <vector>

#include "matrix/state_resolution.h"
#include "tests/support/fork_slice.h"

namespace postern::vectors {
namespace {

using matrix::Event;
using matrix::Json;
using matrix::ResolutionEvents;
using matrix::StateKey;
using matrix::StateMap;

struct Case {
  std::string id;
  const matrix::RoomRules* rules = nullptr;
  std::deque<Event> events;
  ResolutionEvents known;
  std::vector<StateMap> states;
};

Case Read(const std::string& line) {
  const auto parsed = matrix::ParseJson(line);
  const auto& fields = *parsed->AsObject();
  const auto& input = *fields.Find("input")->AsObject();
  Case c;
  c.id = *fields.Find("id")->AsString();
  c.rules = matrix::FindRoomRules(*input.Find("room_version")->AsString());
  for (const Json& pdu : *input.Find("events")->AsArray()) {
    c.events.push_back(*Event::FromJson(pdu, *c.rules));
    c.known.Add(c.events.back());
  }
  for (const Json& ids : *input.Find("state_sets")->AsArray()) {
    StateMap& state = c.states.emplace_back();
    for (const Json& id : *ids.AsArray()) {
      const Event& event = *c.known.Find(*id.AsString());
      state[{event.type(), *event.state_key()}] = event.event_id();
    }
  }
  return c;
}

/// The events of the slice and no others.
ResolutionEvents Given(const support::ForkSlice& slice, const Case& c) {
  ResolutionEvents events;
  for (const std::string& id : slice.events) events.Add(*c.known.Find(id));
  return events;
}

/// What the whole states come to, told as the slice tells it.
StateMap WholeState(const StateMap& resolved, const Case& c) {
  StateMap state = c.states.front();
  for (const auto& [key, event_id] : resolved) {
    if (event_id.empty()) {
      state.erase(key);
    } else {
      state.insert_or_assign(key, event_id);
    }
  }
  return state;
}

template <typename Check>
void ForEachCase(Check check) {
  std::ifstream file("tests/vectors/state_resolve.jsonl");
  std::size_t cases = 0;
  for (std::string line; std::getline(file, line); ++cases) check(Read(line));
  EXPECT_EQ(cases, 204U);
}

TEST(ForkSlice, GivesWhatTheWholeStatesGive) {
  ForEachCase([](const Case& c) {
    const auto whole = matrix::ResolveState(c.states, c.known, *c.rules);
    ASSERT_TRUE(whole.ok()) << c.id << whole.status();
    const support::ForkSlice slice = support::CutFork(c.states, c.known);
    const auto resolved = matrix::ResolveFork(slice.fork, Given(slice, c), *c.rules);
    ASSERT_TRUE(resolved.ok()) << c.id << resolved.status();
    EXPECT_EQ(WholeState(*resolved, c), *whole) << c.id;
  });
}

/// A store may tell more keys than differ, and events of more chains.
TEST(ForkSlice, MayTellMoreThanDiffers) {
  ForEachCase([](const Case& c) {
    support::CutOptions options;
    std::size_t number = 0;
    for (const auto& [key, event_id] : c.states.back()) {
      if (++number % 3 == 0) options.told.insert(key);
      if (number % 5 == 0) options.cited.push_back(event_id);
    }
    const support::ForkSlice slice = support::CutFork(c.states, c.known, options);
    const auto resolved = matrix::ResolveFork(slice.fork, Given(slice, c), *c.rules);
    ASSERT_TRUE(resolved.ok()) << c.id << resolved.status();
    EXPECT_EQ(WholeState(*resolved, c), *matrix::ResolveState(c.states, c.known, *c.rules)) << c.id;
  });
}

TEST(ForkSlice, DoesNotHangOnTheOrderOfTheBranches) {
  ForEachCase([](const Case& c) {
    const support::ForkSlice slice = support::CutFork(c.states, c.known);
    matrix::ForkedState turned = slice.fork;
    std::reverse(turned.branches.begin(), turned.branches.end());
    const ResolutionEvents events = Given(slice, c);
    EXPECT_EQ(*matrix::ResolveFork(turned, events, *c.rules), *matrix::ResolveFork(slice.fork, events, *c.rules))
        << c.id;
  });
}

}  // namespace
}  // namespace postern::vectors
