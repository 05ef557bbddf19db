// What this store last saw of rooms: their rows, entries of their current states, events of theirs. So that most of
// what an event does to its room is known before PostgreSQL is asked, and most of a context need not be read. Never
// relied on without its being checked there that the room is still the same; docs/decisions/0028 and 0031 say what it
// saves.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "postern/store/v1/store.pb.h"
#include "rpc/recent_names.h"

namespace postern::store {

/// Groups below are of lineage 0, the trunk: see functions/state_groups.sql.
inline constexpr std::int64_t kFirstBranch = std::int64_t{1} << 32;

/// As long as these two columns of its row in `rooms` are the same, so are all others, and its state.
struct RoomMoment {
  std::int64_t stored = 0;  // stream_ordering
  std::int64_t lineages = 0;

  bool operator==(const RoomMoment&) const = default;
  auto operator<=>(const RoomMoment&) const = default;
};

/// A row of `rooms`: see migrations/0001_tables.sql.
struct RoomHead {
  RoomMoment moment = {};
  std::int64_t accepted = 0;  // accepted_ordering
  std::int64_t fixed = 0;     // fixed_ordering
  std::int64_t group = 0;     // state_group
  std::vector<std::string> extremities = {};

  /// Whether `extremity_states` has what is current here: of several extremities, but no more than an event may cite.
  bool HasNotedState() const;
  /// Whether an event that cites these extends all of them.
  bool IsExtendedBy(const std::vector<std::string>& prev_events) const;
};

/// What the current state has for a key.
struct RememberedEntry {
  std::string type = {}, state_key = {};
  /// "": nothing.
  std::string event_id = {};
  /// The position of the trunk since which it has.
  std::int64_t since = 0;
};

/// An event that is stored and no outlier. None of this ever changes.
struct RememberedEvent {
  std::string event_id = {};
  std::string pdu = {};
  bool soft_failed = false;
  /// nullopt: the state after it is not known.
  std::optional<std::int64_t> group_after = {};
  std::int64_t fixed = 0;
};

/// What became known of a room, all of the same moment.
struct RoomNews {
  RoomHead head;
  std::vector<RememberedEntry> entries = {};
  std::vector<RememberedEvent> events = {};
};

/// What is remembered of what a request for a context asks for. It holds if the room's head is still this one; else
/// what has changed since tells how.
struct Recollection {
  RoomHead head;
  std::string room_version;
  bool extends_all_extremities = false;
  /// The state group before the event, of the trunk, and its fixed_ordering (nullopt: several).
  std::int64_t before = 0;
  std::optional<std::int64_t> fixed = {};
  /// Each since `before` at the latest.
  std::vector<RememberedEntry> entries = {};
  std::vector<RememberedEvent> events = {};
  /// Not remembered: keys, and events that are cited or that an entry names.
  std::vector<matrix::v1::StateKey> unknown_keys = {};
  std::vector<std::string> unknown_events = {};
};

struct MemoryLimits {
  std::size_t rooms = 10'000;
  /// About so much memory in all. Rooms that were asked for least recently go.
  std::size_t bytes = std::size_t{32} << 20;
  /// Entries, and events, of one room. The same holds for these.
  std::size_t of_a_room = 256;
};

/// Thread-safe.
class RememberedRooms {
 public:
  explicit RememberedRooms(const MemoryLimits& limits);
  ~RememberedRooms();

  /// nullopt where it is not remembered, or outdated.
  std::optional<RoomHead> Head(const std::string& room_id);
  /// nullopt where the room, or the state before the event, is not remembered, or an entry has changed since that: then
  /// all has to be asked for.
  std::optional<Recollection> Recall(const v1::GetEventContextRequest& request,
                                     const std::vector<matrix::v1::StateKey>& keys);
  /// As it was read since that `generation`. What is remembered of a later moment stays.
  void Learn(const std::string& room_id, const std::string& room_version, RoomNews news, std::uint64_t generation);
  /// The entries of `news` are all that has changed since `before`: as it was read, or as this store has written it.
  /// What is remembered of another moment than that stays as it is.
  void Advance(const std::string& room_id, const RoomMoment& before, RoomNews news);
  /// This store has moved the room on and does not know where to: its head is to be read again.
  void Outdate(const std::string& room_id);
  /// It may not be the same database any more: another server has taken over. A new generation begins.
  void ForgetAll();
  /// What was recalled in an earlier one tells nothing.
  std::uint64_t generation() const;
  std::size_t bytes() const;

 private:
  struct Room;
  void AddLocked(Room& room, RoomNews news);

  const MemoryLimits limits_;
  mutable std::mutex mutex_;
  rpc::RecentNames<std::unique_ptr<Room>> rooms_;
  std::size_t bytes_ = 0;
  std::uint64_t generation_ = 0;
};

}  // namespace postern::store
