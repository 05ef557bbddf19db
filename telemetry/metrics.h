// Prometheus metrics of one process. Label values come from bounded sets: what a stranger wrote
// is none, unless whoever counts bounds it and drops what is old.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/time/time.h"

namespace postern::telemetry {

using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

/// Thread-safe. One for each process (or test), handed to whoever counts.
class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  /// Adds to a counter; it exists from its first use on. `name` ends in _total.
  void Count(std::string_view name, Labels labels = {}, double by = 1);
  /// Takes a counter away, so that another one may be shown in its place. What counts next under this name and these
  /// labels begins anew.
  void DropCounter(std::string_view name, Labels labels);
  /// Adds a time to a histogram; `name` ends in _seconds.
  void Observe(std::string_view name, absl::Duration duration, Labels labels = {});
  void SetGauge(std::string_view name, double value, Labels labels = {});

  /// The text exposition format.
  std::string Expose() const;

 private:
  struct Registry;
  std::unique_ptr<Registry> registry_;
};

}  // namespace postern::telemetry
