// How a service process starts and ends: signals are taken by the main thread alone, ports are told to whoever asked.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace postern::rpc {

/// Blocks SIGTERM, SIGINT and SIGHUP in this thread and all that it starts; ignores SIGPIPE. Call before any thread is
/// made.
void BlockSignals();

/// Returns at SIGTERM or SIGINT; calls `reload` at each SIGHUP.
void WaitForEnd(const std::function<void()>& reload);

/// Returns after `delay`, or at another SIGTERM or SIGINT.
void Linger(absl::Duration delay);

/// Writes {"name":port,…} to `path` in one step, so that a reader sees all or nothing; does nothing for an empty path.
/// Refuses: kInvalidArgument.
absl::Status WritePortFile(const std::string& path, const std::vector<std::pair<std::string, int>>& ports);

}  // namespace postern::rpc
