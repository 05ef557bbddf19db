// The authorization rules on member events, and all six steps on a leave.
#include <benchmark/benchmark.h>

#include <vector>

#include "benchmarks/sample_leave.h"
#include "matrix/auth_rules.h"
#include "matrix/six_steps.h"
#include "tests/support/room_builder.h"

namespace postern::benchmarks {
namespace {

void CheckRules(benchmark::State& state, const matrix::Event& event, const matrix::RoomState& room) {
  for (auto _ : state) {
    auto result = matrix::CheckAuthRules(event, room);
    if (!result.allowed()) {
      state.SkipWithError("it was refused");
      break;
    }
    benchmark::DoNotOptimize(result);
  }
}

void AuthRulesOnALeave(benchmark::State& state) { CheckRules(state, TheLeave().event, TheLeave().room.state()); }

void AuthRulesOnARejectedInvite(benchmark::State& state) {
  const support::TestRoom room = support::RoomBuilder("10").Member(kLeavingUser, "invite").Build();
  CheckRules(state, room.Leave(kLeavingUser), room.state());
}

void AuthRulesOnAKick(benchmark::State& state) {
  const support::TestRoom& room = TheLeave().room;
  CheckRules(state, room.Member(kLeavingUser, "leave", room.creator()), room.state());
}

void CitedEventsOfALeave(benchmark::State& state) {
  const SampleLeave& leave = TheLeave();
  const matrix::JudgingContext context = leave.room.ContextFor(leave.event);
  std::vector<matrix::CitedEvent> cited;
  for (const matrix::Cited& one : context.auth_events) cited.push_back({one.event, one.rejected});
  for (auto _ : state) {
    auto result = matrix::CheckCitedEvents(leave.event, cited, leave.room.state().create());
    if (!result.allowed()) {
      state.SkipWithError("it was refused");
      break;
    }
    benchmark::DoNotOptimize(result);
  }
}

void SixStepsOnALeave(benchmark::State& state) {
  const SampleLeave& leave = TheLeave();
  const matrix::JudgingContext context = leave.room.ContextFor(leave.event);
  const matrix::KeyDirectory keys = leave.room.keys();
  for (auto _ : state) {
    auto verdict = matrix::RunSixSteps(leave.text, leave.room.rules(), context, keys, leave.room.now());
    if (!verdict.ok() || verdict->outcome != matrix::Outcome::kAccepted) {
      state.SkipWithError("it was refused");
      break;
    }
    benchmark::DoNotOptimize(verdict);
  }
}

BENCHMARK(AuthRulesOnALeave);
BENCHMARK(AuthRulesOnARejectedInvite);
BENCHMARK(AuthRulesOnAKick);
BENCHMARK(CitedEventsOfALeave);
BENCHMARK(SixStepsOnALeave);

}  // namespace
}  // namespace postern::benchmarks
