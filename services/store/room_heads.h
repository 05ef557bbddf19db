// What stands in the rows of rooms, as this store last saw them: so that most of what an event does to its room is
// known before PostgreSQL is asked. Never relied on without being checked there.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "rpc/recent_names.h"

namespace postern::store {

/// A row of `rooms`: see migrations/0001_tables.sql.
struct RoomHead {
  std::int64_t stored = 0;    // stream_ordering
  std::int64_t accepted = 0;  // accepted_ordering
  std::int64_t fixed = 0;     // fixed_ordering
  std::int64_t group = 0;     // state_group
  std::int64_t lineages = 0;
  std::vector<std::string> extremities = {};
};

/// Of so many rooms at most; those that were asked for least recently go. Thread-safe.
class RoomHeads {
 public:
  explicit RoomHeads(std::size_t most) : heads_(most) {}

  std::optional<RoomHead> Find(const std::string& room_id);
  /// Unless a later one is here.
  void Keep(const std::string& room_id, RoomHead head);
  /// It was found to be another by now.
  void Forget(const std::string& room_id);

 private:
  std::mutex mutex_;
  rpc::RecentNames<RoomHead> heads_;
};

}  // namespace postern::store
