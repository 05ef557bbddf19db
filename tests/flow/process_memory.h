// What a process of the stack holds of the machine's memory.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>

#include "tests/flow/running_stack.h"

namespace postern::flow {

/// "VmRSS" or "VmHWM" (the most it has been), in KiB.
inline std::int64_t MemoryKib(const ServiceProcess& process, std::string_view what) {
  std::ifstream status(fmt::format("/proc/{}/status", process.pid));
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(what)) return std::atoll(line.c_str() + what.size() + 1);
  }
  return 0;
}

/// From here on VmHWM counts anew.
inline void ForgetPeak(const ServiceProcess& process) {
  std::ofstream(fmt::format("/proc/{}/clear_refs", process.pid)) << 5;
}

}  // namespace postern::flow
