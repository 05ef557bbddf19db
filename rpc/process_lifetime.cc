#include "rpc/process_lifetime.h"

#include <csignal>
#include <cstdio>
#include <fstream>

#include "absl/time/clock.h"
#include "fmt/format.h"
#include "matrix/refusal.h"

namespace postern::rpc {
namespace {

sigset_t HandledSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  return signals;
}

}  // namespace

void BlockSignals() {
  const sigset_t signals = HandledSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

void WaitForEnd(const std::function<void()>& reload) {
  const sigset_t signals = HandledSignals();
  int signal = 0;
  while (sigwait(&signals, &signal) == 0 && signal == SIGHUP) reload();
}

void Linger(absl::Duration delay) {
  const sigset_t signals = HandledSignals();
  const absl::Time end = absl::Now() + delay;
  for (absl::Duration left = delay; left > absl::ZeroDuration(); left = end - absl::Now()) {
    const timespec patience = absl::ToTimespec(left);
    const int signal = sigtimedwait(&signals, nullptr, &patience);
    if (signal == SIGTERM || signal == SIGINT) return;
  }
}

absl::Status WritePortFile(const std::string& path, const std::vector<std::pair<std::string, int>>& ports) {
  if (path.empty()) return absl::OkStatus();
  std::string json = "{";
  for (const auto& [name, port] : ports) json += fmt::format("{}\"{}\":{}", json.size() > 1 ? "," : "", name, port);
  const std::string draft = path + ".new";
  std::ofstream file(draft);
  file << json << "}\n";
  file.close();
  if (file && std::rename(draft.c_str(), path.c_str()) == 0) return absl::OkStatus();
  return matrix::Refuse(matrix::Reason::kInvalidArgument, fmt::format("cannot write {}", path));
}

}  // namespace postern::rpc
