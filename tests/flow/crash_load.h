// A light load of leaves that goes on while parts of the stack are killed, and what became of each leave.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "http/http_message.h"
#include "matrix/room_rules.h"
#include "tests/flow/played_homeserver.h"

namespace postern::flow {

struct Leaver {
  const matrix::RoomRules* rules;
  std::string room_id;
  std::string user;
};

/// What a leaver was told of one leave. Neither accepted nor odd: given up on after trouble.
struct LeaveFate {
  Leaver leaver;
  std::string event_id;
  bool accepted = false;
  /// An answer that is neither 200 nor trouble.
  std::string odd = {};
};

class CrashLoad {
 public:
  /// Threads begin as soon as leavers are allowed to leave. `remote` and `stack` outlive the load.
  CrashLoad(const PlayedHomeserver& remote, const RunningStack& stack, std::vector<Leaver> leavers, std::uint64_t seed);
  ~CrashLoad();

  /// Lets that many more leave.
  void Allow(std::size_t leaves);
  /// Until that many in all have been accepted, or all that are allowed have ended.
  void AwaitAccepted(std::size_t leaves);
  /// Until all that are allowed have ended.
  void AwaitEnded();

  std::size_t accepted() const;
  std::vector<LeaveFate> fates() const;

 private:
  void Run(std::uint64_t seed);
  LeaveFate Leave(const Leaver& leaver, std::mt19937_64& random) const;
  absl::StatusOr<http::Response> AskUntilAnswered(const http::Request& request) const;

  const PlayedHomeserver& remote_;
  const RunningStack& stack_;
  const std::vector<Leaver> leavers_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::size_t allowed_ = 0;
  std::size_t begun_ = 0;
  std::size_t accepted_ = 0;
  bool ending_ = false;
  std::vector<LeaveFate> fates_;
  std::vector<std::thread> threads_;
};

}  // namespace postern::flow
