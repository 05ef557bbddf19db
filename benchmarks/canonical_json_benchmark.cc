// Reading JSON and writing its canonical spelling: what happens to every event several times.
#include <benchmark/benchmark.h>

#include <string>

#include "benchmarks/sample_leave.h"
#include "matrix/canonical_json.h"
#include "matrix/json.h"

namespace postern::benchmarks {
namespace {

void TellBytes(benchmark::State& state, std::size_t bytes) {
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes) * state.iterations());
}

/// Near the most that an event may have (65,536 bytes): a member of the leave's content repeated.
std::string LargeEventText() {
  matrix::JsonObject event = TheLeave().event.json();
  matrix::JsonArray repeated;
  for (int i = 0; i < 55; ++i) repeated.emplace_back(TheLeave().event.json());
  event.Set("content", std::move(repeated));
  return matrix::CanonicalJson(event);
}

void Parse(benchmark::State& state, const std::string& text) {
  for (auto _ : state) {
    auto json = matrix::ParseJson(text);
    if (!json.ok()) {
      state.SkipWithError("it was refused");
      break;
    }
    benchmark::DoNotOptimize(json);
  }
  TellBytes(state, text.size());
}

void Write(benchmark::State& state, const std::string& text) {
  const auto json = matrix::ParseJson(text);
  if (!json.ok() || matrix::CanonicalJson(*json) != text) {
    state.SkipWithError("not the text that was read");
    return;
  }
  for (auto _ : state) benchmark::DoNotOptimize(matrix::CanonicalJson(*json));
  TellBytes(state, text.size());
}

void ParseJsonOfALeave(benchmark::State& state) { Parse(state, TheLeave().text); }
void ParseJsonOfALargeEvent(benchmark::State& state) { Parse(state, LargeEventText()); }
void CanonicalJsonOfALeave(benchmark::State& state) { Write(state, TheLeave().text); }
void CanonicalJsonOfALargeEvent(benchmark::State& state) { Write(state, LargeEventText()); }

void CanonicalJsonWithoutSignatures(benchmark::State& state) {
  const matrix::JsonObject& leave = TheLeave().event.json();
  for (auto _ : state) benchmark::DoNotOptimize(matrix::CanonicalJsonWithout(leave, {"signatures", "unsigned"}));
}

BENCHMARK(ParseJsonOfALeave);
BENCHMARK(ParseJsonOfALargeEvent);
BENCHMARK(CanonicalJsonOfALeave);
BENCHMARK(CanonicalJsonOfALargeEvent);
BENCHMARK(CanonicalJsonWithoutSignatures);

}  // namespace
}  // namespace postern::benchmarks
