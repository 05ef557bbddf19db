// A light load of leaves, joins, knocks and transactions that goes on while parts of the stack are killed, and what
// became of each.
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

enum class Deed {
  kLeave,
  kJoin,
  kKnock,
  kTransaction,  // two messages of a member, and then the leave
};

/// Who is to do what.
struct Actor {
  const matrix::RoomRules* rules;
  std::string room_id;
  std::string user;
  Deed deed = Deed::kLeave;
};

/// What an actor was told. Neither accepted nor odd: given up on after trouble.
struct Fate {
  Actor actor;
  /// In the order in which they follow on each other.
  std::vector<std::string> event_ids;
  /// As it was sent, each time.
  http::Request request = {};
  bool accepted = false;
  /// An answer that is neither a 200 which says that all is well, nor trouble.
  std::string odd = {};
};

class CrashLoad {
 public:
  /// Threads begin as soon as actors are allowed to act. `remote` and `stack` outlive the load.
  CrashLoad(const PlayedHomeserver& remote, const RunningStack& stack, std::vector<Actor> actors, std::uint64_t seed);
  ~CrashLoad();

  /// Lets that many more act.
  void Allow(std::size_t actors);
  /// Until that many in all have been accepted, or all that are allowed have ended.
  void AwaitAccepted(std::size_t actors);
  /// Until all that are allowed have ended.
  void AwaitEnded();

  std::size_t accepted() const;
  std::vector<Fate> fates() const;

  /// Sends the same request until there is another answer than trouble.
  absl::StatusOr<http::Response> AskUntilAnswered(const http::Request& request) const;

 private:
  void Run(std::uint64_t seed);
  Fate Act(const Actor& actor, std::mt19937_64& random) const;

  const PlayedHomeserver& remote_;
  const RunningStack& stack_;
  const std::vector<Actor> actors_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::size_t allowed_ = 0;
  std::size_t begun_ = 0;
  std::size_t accepted_ = 0;
  bool ending_ = false;
  std::vector<Fate> fates_;
  std::vector<std::thread> threads_;
};

/// What is wrong with an answer to what an actor has sent; "" if it says that all is well.
std::string OddityOf(const absl::StatusOr<http::Response>& answer, Deed deed);

}  // namespace postern::flow
