// ed25519 over a leave: the bare signature, and what goes around it.
#include <benchmark/benchmark.h>

#include <string>

#include "benchmarks/sample_leave.h"
#include "matrix/signature.h"

namespace postern::benchmarks {
namespace {

void SignBytes(benchmark::State& state) {
  const matrix::SigningKey key = support::KeyOf(kLeavingServer);
  for (auto _ : state) benchmark::DoNotOptimize(key.Sign(TheLeave().text));
}

void VerifyBytes(benchmark::State& state) {
  const matrix::SigningKey key = support::KeyOf(kLeavingServer);
  const std::string signature = key.Sign(TheLeave().text);
  for (auto _ : state) {
    if (!matrix::VerifySignature(TheLeave().text, signature, key.public_key())) {
      state.SkipWithError("it does not hold");
      break;
    }
  }
}

/// With the copy of the event that gets the signature.
void SignALeave(benchmark::State& state) {
  const matrix::SigningKey key = support::KeyOf("a.example");
  const matrix::Event& leave = TheLeave().event;
  for (auto _ : state) {
    matrix::JsonObject event = leave.json();
    matrix::SignEvent(event, "a.example", key, leave.rules());
    benchmark::DoNotOptimize(event);
  }
}

/// Step 3: redaction, canonical JSON, one signature.
void CheckSignaturesOfALeave(benchmark::State& state) {
  const matrix::Event& leave = TheLeave().event;
  const matrix::KeyDirectory keys = TheLeave().room.keys();
  const absl::Time now = TheLeave().room.now();
  for (auto _ : state) {
    if (!matrix::CheckEventSignatures(leave.json(), leave.rules(), keys, now).ok()) {
      state.SkipWithError("it was refused");
      break;
    }
  }
}

BENCHMARK(SignBytes);
BENCHMARK(VerifyBytes);
BENCHMARK(SignALeave);
BENCHMARK(CheckSignaturesOfALeave);

}  // namespace
}  // namespace postern::benchmarks
