// What was said of servers that want to take part in rooms, while the events that it was said by are still those of the
// rooms' states: in large rooms the server ACL is tens of kilobytes, and each event from another server asks it.
#pragma once

#include <cstddef>
#include <mutex>

#include "absl/status/status.h"
#include "matrix/server_name.h"
#include "postern/matrix/v1/judging.pb.h"
#include "rpc/recent_names.h"

namespace postern::gateway {

/// Thread-safe.
class RememberedAccess {
 public:
  /// At most `most` answers; the one that was asked for longest ago goes first.
  explicit RememberedAccess(std::size_t most = 4096) : answers_(most) {}

  /// What CheckRoomAccess says.
  absl::Status Check(const matrix::v1::JudgingContext& room, const matrix::ServerName& server);

  std::size_t size() const;

 private:
  mutable std::mutex mutex_;
  rpc::RecentNames<absl::Status> answers_;  // by room, m.room.create, m.room.server_acl and server
};

}  // namespace postern::gateway
