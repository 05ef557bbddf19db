// From bytes to a named event: format check, redaction, the two hashes.
#include <benchmark/benchmark.h>

#include <string>

#include "benchmarks/sample_leave.h"
#include "matrix/content_hash.h"
#include "matrix/event.h"
#include "matrix/event_id.h"
#include "matrix/redaction.h"

namespace postern::benchmarks {
namespace {

void Sha256OfALeave(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(matrix::Sha256(TheLeave().text));
}

void RedactALeave(benchmark::State& state) {
  const matrix::Event& leave = TheLeave().event;
  for (auto _ : state) benchmark::DoNotOptimize(matrix::Redact(leave.json(), leave.rules()));
}

void EventIdOfALeave(benchmark::State& state) {
  const matrix::Event& leave = TheLeave().event;
  for (auto _ : state) {
    std::string event_id = matrix::ComputeEventId(leave.json(), leave.rules());
    if (event_id != leave.event_id()) {
      state.SkipWithError("another id");
      break;
    }
    benchmark::DoNotOptimize(event_id);
  }
}

void ContentHashOfALeave(benchmark::State& state) {
  for (auto _ : state) {
    if (!matrix::ContentHashMatches(TheLeave().event.json())) {
      state.SkipWithError("another hash");
      break;
    }
  }
}

/// Step 1 whole: JSON, format, id.
void EventFromTextOfALeave(benchmark::State& state) {
  const SampleLeave& leave = TheLeave();
  for (auto _ : state) {
    auto event = matrix::Event::Parse(leave.text, leave.room.rules());
    if (!event.ok()) {
      state.SkipWithError("it was refused");
      break;
    }
    benchmark::DoNotOptimize(event);
  }
}

BENCHMARK(Sha256OfALeave);
BENCHMARK(RedactALeave);
BENCHMARK(EventIdOfALeave);
BENCHMARK(ContentHashOfALeave);
BENCHMARK(EventFromTextOfALeave);

}  // namespace
}  // namespace postern::benchmarks
