// What the system says of a process, held against what this one knows of itself.
#include "telemetry/process_metrics.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <ctime>
#include <regex>
#include <string>

#include "absl/time/clock.h"

namespace postern::telemetry {
namespace {

double ValueOf(const Metrics& metrics, const std::string& name) {
  const std::string text = metrics.Expose();
  std::smatch found;
  if (!std::regex_search(text, found, std::regex("\n" + name + " (\\S+)"))) return -1;
  return std::stod(found[1]);
}

TEST(ProcessMetrics, CountTheFilesThatAreOpen) {
  Metrics metrics;
  ProcessMetrics process;
  process.Update(metrics);
  const double before = ValueOf(metrics, "process_open_fds");
  const int opened = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  process.Update(metrics);
  EXPECT_EQ(ValueOf(metrics, "process_open_fds"), before + 1);
  ::close(opened);
  process.Update(metrics);
  EXPECT_EQ(ValueOf(metrics, "process_open_fds"), before);
  EXPECT_GT(ValueOf(metrics, "process_max_fds"), before);
}

TEST(ProcessMetrics, AddUpTheProcessorsTimeAndNeverLoseAny) {
  Metrics metrics;
  ProcessMetrics process;
  process.Update(metrics);
  const double before = ValueOf(metrics, "process_cpu_seconds_total");
  ASSERT_GE(before, 0);
  const std::clock_t busy_from = std::clock();
  while (std::clock() - busy_from < CLOCKS_PER_SEC / 20) {
  }
  process.Update(metrics);
  EXPECT_GE(ValueOf(metrics, "process_cpu_seconds_total"), before + 0.04);
}

TEST(ProcessMetrics, SaySinceWhenHowLargeAndWhichBuild) {
  Metrics metrics;
  ProcessMetrics().Update(metrics);
  const double now = static_cast<double>(absl::ToUnixSeconds(absl::Now()));
  EXPECT_LE(ValueOf(metrics, "process_start_time_seconds"), now + 1);
  EXPECT_GE(ValueOf(metrics, "process_start_time_seconds"), now - 3600);
  EXPECT_GE(ValueOf(metrics, "process_resident_memory_bytes"), 1 << 20);
  EXPECT_GE(ValueOf(metrics, "process_threads"), 1);
  EXPECT_THAT(metrics.Expose(),
              testing::ContainsRegex("postern_build_info\\{revision=\"[0-9a-z]+\",version=\"[0-9.]+\"\\} 1"));
}

}  // namespace
}  // namespace postern::telemetry
