#include "telemetry/spans.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

namespace postern::telemetry {
namespace {

struct Sink {
  std::atomic<bool> is_wanted = false;
  std::atomic<double> share = 0;
  std::mutex mutex;
  std::shared_ptr<const std::function<void(Span)>> take;
};

// Never destroyed: threads of libraries work while the process ends.
Sink& TheSink() {
  static Sink& sink = *new Sink;
  return sink;
}

// The last 56 bits of a trace id are random (W3C Trace Context, level 2): all services agree on them.
bool IsInShare(const std::string& trace_id, double share) {
  constexpr int kDigits = 14;  // 56 bits
  if (trace_id.size() < kDigits) return false;
  std::uint64_t bits = 0;
  for (const char c : std::string_view(trace_id).substr(trace_id.size() - kDigits)) {
    bits = (bits << 4U) | static_cast<std::uint64_t>(c <= '9' ? c - '0' : c - 'a' + 10);
  }
  return static_cast<double>(bits) < share * static_cast<double>(std::uint64_t{1} << 56U);
}

}  // namespace

void SendSpansTo(std::function<void(Span)> sink) {
  Sink& the = TheSink();
  const std::lock_guard lock(the.mutex);
  const bool is_wanted = sink != nullptr;
  the.take = is_wanted ? std::make_shared<const std::function<void(Span)>>(std::move(sink)) : nullptr;
  the.is_wanted = is_wanted;
}

bool WantsSpans(const TraceContext& trace) {
  return trace.sampled && TheSink().is_wanted.load(std::memory_order_relaxed);
}

void Say(Span span) {
  if (!WantsSpans(span.self)) return;
  std::shared_ptr<const std::function<void(Span)>> take;
  {
    const std::lock_guard lock(TheSink().mutex);
    take = TheSink().take;
  }
  if (take != nullptr) (*take)(std::move(span));
}

void SampleShare(double share) { TheSink().share = share; }

void Sample(TraceContext& trace) {
  Sink& the = TheSink();
  if (trace.sampled || !the.is_wanted.load(std::memory_order_relaxed)) return;
  trace.sampled = IsInShare(trace.trace_id, the.share.load(std::memory_order_relaxed));
}

}  // namespace postern::telemetry
