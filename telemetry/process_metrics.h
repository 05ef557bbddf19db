// What the operating system says of this process, under the names that Prometheus' client libraries use, and which
// build it is.
#pragma once

#include "telemetry/metrics.h"

namespace postern::telemetry {

/// Whoever shows metrics has one, and brings it up to date before each time. Not thread-safe.
class ProcessMetrics {
 public:
  /// process_cpu_seconds_total, process_resident_memory_bytes, process_virtual_memory_bytes, process_open_fds,
  /// process_max_fds, process_threads, process_start_time_seconds (Unix time), and postern_build_info{version,
  /// revision}, which is 1. What /proc does not say is left as it was.
  void Update(Metrics& metrics);

 private:
  double cpu_seconds_told_ = 0;
};

}  // namespace postern::telemetry
