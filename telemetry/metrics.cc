#include "telemetry/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <mutex>
#include <unordered_map>

namespace postern::telemetry {
namespace {

const prometheus::Histogram::BucketBoundaries kSeconds{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                                       0.05,   0.1,     0.25,   0.5,   1,      2.5,   5,    10};

/// Good until this thread asks for the next one.
const std::string& SeriesKey(std::string_view name, Labels labels) {
  thread_local std::string key;
  key = name;
  for (const auto& [label, value] : labels) {
    key += '\0';
    key += label;
    key += '=';
    key += value;
  }
  return key;
}

prometheus::Labels ToPrometheus(Labels labels) {
  prometheus::Labels out;
  for (const auto& [label, value] : labels) out.emplace(label, value);
  return out;
}

}  // namespace

struct Metrics::Registry {
  prometheus::Family<prometheus::Counter>& CountersOf(std::string_view name) {
    return prometheus::BuildCounter().Name(std::string(name)).Register(registry);
  }

  prometheus::Registry registry;
  std::mutex mutex;
  // Finding a series by its labels in prometheus-cpp hashes and copies them all: each is looked up there once.
  std::unordered_map<std::string, prometheus::Counter*> counters;
  std::unordered_map<std::string, prometheus::Histogram*> histograms;
  std::unordered_map<std::string, prometheus::Gauge*> gauges;
};

Metrics::Metrics() : registry_(std::make_unique<Registry>()) {}
Metrics::~Metrics() = default;

void Metrics::Count(std::string_view name, Labels labels, double by) {
  const std::lock_guard lock(registry_->mutex);  // for the whole of it: a counter may be dropped
  auto& slot = registry_->counters[SeriesKey(name, labels)];
  if (!slot) slot = &registry_->CountersOf(name).Add(ToPrometheus(labels));
  slot->Increment(by);
}

void Metrics::DropCounter(std::string_view name, Labels labels) {
  const std::lock_guard lock(registry_->mutex);
  const auto found = registry_->counters.find(SeriesKey(name, labels));
  if (found == registry_->counters.end()) return;
  registry_->CountersOf(name).Remove(found->second);
  registry_->counters.erase(found);
}

void Metrics::Observe(std::string_view name, absl::Duration duration, Labels labels) {
  prometheus::Histogram* series = nullptr;
  {
    const std::lock_guard lock(registry_->mutex);
    auto& slot = registry_->histograms[SeriesKey(name, labels)];
    if (!slot) {
      slot = &prometheus::BuildHistogram()
                  .Name(std::string(name))
                  .Register(registry_->registry)
                  .Add(ToPrometheus(labels), kSeconds);
    }
    series = slot;
  }
  series->Observe(absl::ToDoubleSeconds(duration));
}

void Metrics::SetGauge(std::string_view name, double value, Labels labels) {
  const std::lock_guard lock(registry_->mutex);
  auto& slot = registry_->gauges[SeriesKey(name, labels)];
  if (!slot)
    slot = &prometheus::BuildGauge().Name(std::string(name)).Register(registry_->registry).Add(ToPrometheus(labels));
  slot->Set(value);
}

std::string Metrics::Expose() const { return prometheus::TextSerializer().Serialize(registry_->registry.Collect()); }

}  // namespace postern::telemetry
