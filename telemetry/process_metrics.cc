#include "telemetry/process_metrics.h"

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <system_error>

#include "absl/time/clock.h"

namespace postern::telemetry {
namespace {

double CpuSeconds() {
  rusage used{};
  if (::getrusage(RUSAGE_SELF, &used) != 0) return 0;
  return absl::ToDoubleSeconds(absl::DurationFromTimeval(used.ru_utime) + absl::DurationFromTimeval(used.ru_stime));
}

void ShowMemory(Metrics& metrics) {
  std::ifstream file("/proc/self/statm");
  double pages = 0, resident_pages = 0;
  if (!(file >> pages >> resident_pages)) return;
  const auto page_bytes = static_cast<double>(::sysconf(_SC_PAGESIZE));
  metrics.SetGauge("process_virtual_memory_bytes", pages * page_bytes);
  metrics.SetGauge("process_resident_memory_bytes", resident_pages * page_bytes);
}

void ShowFiles(Metrics& metrics) {
  std::error_code failed;
  const auto entries = std::filesystem::directory_iterator("/proc/self/fd", failed);
  // One of them is that of the directory being read.
  if (!failed)
    metrics.SetGauge("process_open_fds", static_cast<double>(std::distance(begin(entries), end(entries)) - 1));
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) metrics.SetGauge("process_max_fds", static_cast<double>(limit.rlim_cur));
}

// In /proc/self/stat, counted from 1; what stands before is the name, which may hold anything, in brackets.
void ShowThreadsAndStart(Metrics& metrics) {
  constexpr int kFirstAfterName = 3, kThreads = 20, kStartTime = 22;
  std::ifstream file("/proc/self/stat");
  const std::string stat(std::istreambuf_iterator<char>(file), {});
  const std::size_t name_ends = stat.rfind(')');
  if (name_ends == std::string::npos) return;
  std::istringstream fields(stat.substr(name_ends + 1));
  std::string field;
  for (int number = kFirstAfterName; fields >> field && number <= kStartTime; ++number) {
    if (number == kThreads) metrics.SetGauge("process_threads", std::stod(field));
    if (number != kStartTime) continue;
    const absl::Duration after_boot = absl::Seconds(std::stod(field) / static_cast<double>(::sysconf(_SC_CLK_TCK)));
    timespec since_boot{};
    if (::clock_gettime(CLOCK_BOOTTIME, &since_boot) != 0) return;
    const absl::Time start = absl::Now() - absl::DurationFromTimespec(since_boot) + after_boot;
    metrics.SetGauge("process_start_time_seconds", static_cast<double>(absl::ToUnixMillis(start)) / 1000);
  }
}

}  // namespace

void ProcessMetrics::Update(Metrics& metrics) {
  const double cpu_seconds = CpuSeconds();
  metrics.Count("process_cpu_seconds_total", {}, cpu_seconds - cpu_seconds_told_);
  cpu_seconds_told_ = cpu_seconds;
  ShowMemory(metrics);
  ShowFiles(metrics);
  ShowThreadsAndStart(metrics);
  metrics.SetGauge("postern_build_info", 1, {{"version", POSTERN_VERSION}, {"revision", POSTERN_REVISION}});
}

}  // namespace postern::telemetry
