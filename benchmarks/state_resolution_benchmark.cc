// State resolution by size and by algorithm: room version 1 has the first, 10 the second, 12 the changed second.
#include <benchmark/benchmark.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "benchmarks/forked_room.h"
#include "matrix/state_resolution.h"
#include "tests/support/choices.h"
#include "tests/support/fork_slice.h"
#include "tests/support/grown_room.h"

namespace postern::benchmarks {
namespace {

/// Made once for each version and size.
const ForkedRoom& RoomOf(const benchmark::State& state) {
  static std::map<std::pair<std::int64_t, std::int64_t>, std::unique_ptr<ForkedRoom>> rooms;
  auto& room = rooms[{state.range(0), state.range(1)}];
  if (!room) {
    room = std::make_unique<ForkedRoom>(std::to_string(state.range(0)), static_cast<std::size_t>(state.range(1)));
  }
  return *room;
}

void TakeResult(benchmark::State& state, const absl::StatusOr<matrix::StateMap>& resolved) {
  if (!resolved.ok()) state.SkipWithError("it was refused");
  benchmark::DoNotOptimize(resolved);
}

void ResolveWholeStates(benchmark::State& state) {
  const ForkedRoom& room = RoomOf(state);
  for (auto _ : state) {
    TakeResult(state, matrix::ResolveState(room.states(), room.known(), room.rules()));
    if (state.error_occurred()) break;
  }
}

/// As a store gives it: without what all branches have.
void ResolveCutFork(benchmark::State& state) {
  const ForkedRoom& room = RoomOf(state);
  const support::ForkSlice slice = support::CutFork(room.states(), room.known());
  matrix::ResolutionEvents events;
  for (const std::string& id : slice.events) events.Add(*room.known().Find(id));
  for (auto _ : state) {
    TakeResult(state, matrix::ResolveFork(slice.fork, events, room.rules()));
    if (state.error_occurred()) break;
  }
}

/// A few users who do all that the rules speak of, honestly or not: long auth chains, and power levels in dispute.
void ResolveGrownRoom(benchmark::State& state) {
  const auto most_events = static_cast<std::size_t>(state.range(0));
  const std::string bytes = support::BytesOfSeed(6, 40 * most_events);
  support::Choices choices(bytes);
  const support::GrownRoom room("10", choices, most_events);
  const std::string more = support::BytesOfSeed(7, 64);
  support::Choices later(more);
  const auto states = room.SomeStates(later);
  for (auto _ : state) {
    TakeResult(state, matrix::ResolveState(states, room.known(), room.rules()));
    if (state.error_occurred()) break;
  }
  std::set<std::string> walked;
  for (const matrix::StateMap& one : states) {
    for (const auto& [key, id] : one) walked.merge(support::ChainsOf({id}, room.known()));
  }
  state.counters["grown"] = static_cast<double>(room.grown().size());
  state.counters["branches"] = static_cast<double>(states.size());
  state.counters["events_in_chains"] = static_cast<double>(walked.size());
}

void BySize(benchmark::internal::Benchmark* one) {
  one->ArgNames({"version", "conflicted"})->ArgsProduct({{1, 10, 12}, {10, 100, 1000}})->Unit(benchmark::kMicrosecond);
}

BENCHMARK(ResolveWholeStates)->Apply(BySize);
BENCHMARK(ResolveCutFork)->Apply(BySize);
BENCHMARK(ResolveGrownRoom)->ArgName("events")->Arg(10)->Arg(100)->Arg(1000)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace postern::benchmarks
