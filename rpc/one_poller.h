// How many threads serve gRPC's callback API in a process.
#pragma once

#include <cstddef>
#include <memory>

namespace postern::rpc {

/// While it lives, one thread serves all callbacks of gRPC in this process. Where gRPC polls by threads that ask a
/// completion queue (1.51 on Linux), it starts one for each two processors of the machine, two at least and sixteen at
/// most, however few processors the process may use; they take turns, so each event wakes another of them
/// (docs/decisions/0035). The others are kept in a callback that waits for the end of this object.
///
/// Make it once in a process, when its servers are started. Where there are no such threads it does nothing.
class OnePoller {
 public:
  OnePoller();
  ~OnePoller();
  OnePoller(const OnePoller&) = delete;
  OnePoller& operator=(const OnePoller&) = delete;

  /// How many threads are kept waiting.
  std::size_t kept() const;

 private:
  class Kept;
  const std::shared_ptr<Kept> kept_;
};

}  // namespace postern::rpc
