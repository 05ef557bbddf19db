#include "services/store/remembered_rooms.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "matrix/event.h"

namespace postern::store {
namespace {

constexpr std::size_t kSetsOfARoom = 16;
/// What a thing takes besides its text.
constexpr std::size_t kOverhead = 256;
/// A larger event is not kept: few of them would push out everything else.
constexpr std::size_t kLargestEvent = 16'384;

std::string KeyName(std::string_view type, std::string_view state_key) {
  std::string name(type);
  name.push_back('\0');
  name += state_key;
  return name;
}

std::size_t SizeOf(const RememberedEntry& entry) {
  return kOverhead + 2 * (entry.type.size() + entry.state_key.size()) + entry.event_id.size();
}
std::size_t SizeOf(const RememberedEvent& event) { return kOverhead + 2 * event.event_id.size() + event.pdu.size(); }

/// Each once, in the order of their bytes.
template <typename Ids>
std::vector<std::string> AsSet(const Ids& ids) {
  std::vector<std::string> set(ids.begin(), ids.end());
  std::ranges::sort(set);
  set.erase(std::ranges::unique(set).begin(), set.end());
  return set;
}

std::string NameOf(const std::vector<std::string>& set) {
  std::string name;
  for (const std::string& id : set) name += id + '\0';
  return name;
}

/// The state before an event: a group, and its fixed_ordering where it has one.
struct Before {
  std::int64_t group = 0;
  std::optional<std::int64_t> fixed;
};

}  // namespace

bool RoomHead::HasNotedState() const { return extremities.size() > 1 && extremities.size() <= matrix::kMaxPrevEvents; }

bool RoomHead::IsExtendedBy(const std::vector<std::string>& prev_events) const {
  return AsSet(prev_events) == AsSet(extremities);
}

struct RememberedRooms::Room {
  RoomHead head;
  bool outdated = false;
  std::string version;
  rpc::RecentNames<RememberedEntry> entries{std::numeric_limits<std::size_t>::max()};
  rpc::RecentNames<RememberedEvent> events{std::numeric_limits<std::size_t>::max()};
  /// The current states where several forward extremities stood.
  rpc::RecentNames<Before> sets{kSetsOfARoom};
  std::size_t bytes = kOverhead;

  void NoteHead() {
    if (head.HasNotedState()) sets.Put(NameOf(AsSet(head.extremities)), {head.group, head.fixed});
  }

  template <typename Value>
  void Put(rpc::RecentNames<Value>& values, const std::string& name, Value value, std::size_t most) {
    if (const std::optional<Value> old = values.Take(name)) bytes -= SizeOf(*old);
    bytes += SizeOf(value);
    values.Put(name, std::move(value));
    if (values.size() <= most) return;
    if (const std::optional<Value> oldest = values.TakeOldest()) bytes -= SizeOf(*oldest);
  }

  void ForgetEntries() {
    while (true) {
      const std::optional<RememberedEntry> entry = entries.TakeOldest();
      if (!entry) return;
      bytes -= SizeOf(*entry);
    }
  }

  /// As fn.event_contexts finds it; nullopt where it has to be looked up, or is no group of the trunk.
  std::optional<Before> StateAfter(const std::vector<std::string>& prev) {
    std::set<std::int64_t> groups, fixed;
    for (const std::string& id : prev) {
      const RememberedEvent* const event = events.Find(id);
      if (event == nullptr || !event->group_after) return std::nullopt;
      groups.insert(*event->group_after);
      fixed.insert(event->fixed);
    }
    if (groups.empty()) return std::nullopt;
    if (groups.size() == 1) {
      if (*groups.begin() >= kFirstBranch) return std::nullopt;
      return Before{*groups.begin(), fixed.size() == 1 ? std::optional(*fixed.begin()) : std::nullopt};
    }
    const Before* const noted = sets.Find(NameOf(prev));
    return noted == nullptr ? std::nullopt : std::optional(*noted);
  }

  void RecallEvent(const std::string& event_id, Recollection& recollection) {
    const auto has = [&event_id](const RememberedEvent& event) { return event.event_id == event_id; };
    if (std::ranges::any_of(recollection.events, has)) return;
    if (const RememberedEvent* const event = events.Find(event_id)) {
      recollection.events.push_back(*event);
    } else if (std::ranges::find(recollection.unknown_events, event_id) == recollection.unknown_events.end()) {
      recollection.unknown_events.push_back(event_id);
    }
  }

  /// False: it is not the same in both states.
  bool RecallKey(const matrix::v1::StateKey& key, Recollection& recollection) {
    const RememberedEntry* const entry = entries.Find(KeyName(key.type(), key.state_key()));
    if (entry == nullptr) {
      recollection.unknown_keys.push_back(key);
      return true;
    }
    if (entry->since > recollection.before) return false;
    recollection.entries.push_back(*entry);
    if (!entry->event_id.empty()) RecallEvent(entry->event_id, recollection);
    return true;
  }
};

RememberedRooms::RememberedRooms(const MemoryLimits& limits)
    : limits_(limits), rooms_(std::numeric_limits<std::size_t>::max()) {}
RememberedRooms::~RememberedRooms() = default;

std::optional<RoomHead> RememberedRooms::Head(const std::string& room_id) {
  const std::lock_guard lock(mutex_);
  const auto* const room = rooms_.Find(room_id);
  return room == nullptr || (*room)->outdated ? std::nullopt : std::optional((*room)->head);
}

std::optional<Recollection> RememberedRooms::Recall(const v1::GetEventContextRequest& request,
                                                    const std::vector<matrix::v1::StateKey>& keys) {
  const std::lock_guard lock(mutex_);
  const auto* const found = rooms_.Find(request.room_id());
  if (found == nullptr) return std::nullopt;
  Room& room = **found;
  const std::vector<std::string> prev = AsSet(request.prev_events());
  const bool extends = room.head.IsExtendedBy(prev);
  const std::optional<Before> before = extends ? Before{room.head.group, room.head.fixed} : room.StateAfter(prev);
  if (!before) return std::nullopt;

  Recollection recollection{.head = room.head,
                            .room_version = room.version,
                            .extends_all_extremities = extends,
                            .before = before->group,
                            .fixed = before->fixed};
  for (const matrix::v1::StateKey& key : keys) {
    if (!room.RecallKey(key, recollection)) return std::nullopt;
  }
  for (const std::string& id : request.prev_events()) room.RecallEvent(id, recollection);
  for (const std::string& id : request.auth_events()) room.RecallEvent(id, recollection);
  return recollection;
}

void RememberedRooms::AddLocked(Room& room, RoomNews news) {
  bytes_ -= room.bytes;
  room.head = std::move(news.head);
  room.outdated = false;
  room.NoteHead();
  for (RememberedEntry& entry : news.entries) {
    const std::string name = KeyName(entry.type, entry.state_key);
    room.Put(room.entries, name, std::move(entry), limits_.of_a_room);
  }
  for (RememberedEvent& event : news.events) {
    if (event.pdu.size() > kLargestEvent) continue;
    const std::string id = event.event_id;
    room.Put(room.events, id, std::move(event), limits_.of_a_room);
  }
  bytes_ += room.bytes;
  while (rooms_.size() > limits_.rooms || (bytes_ > limits_.bytes && rooms_.size() > 0)) {
    const auto oldest = rooms_.TakeOldest();
    if (!oldest) break;
    bytes_ -= (*oldest)->bytes;
  }
}

void RememberedRooms::Learn(const std::string& room_id, const std::string& room_version, RoomNews news,
                            std::uint64_t generation) {
  const std::lock_guard lock(mutex_);
  if (limits_.rooms == 0 || generation != generation_) return;
  auto* found = rooms_.Find(room_id);
  if (found == nullptr) {
    rooms_.Put(room_id, std::make_unique<Room>());
    found = rooms_.Find(room_id);
    bytes_ += (*found)->bytes;
  } else if ((*found)->head.moment > news.head.moment) {
    return;
  } else if ((*found)->head.moment < news.head.moment) {
    bytes_ -= (*found)->bytes;
    (*found)->ForgetEntries();  // whether they still hold is not known
    bytes_ += (*found)->bytes;
  }
  (*found)->version = room_version;
  AddLocked(**found, std::move(news));
}

void RememberedRooms::Advance(const std::string& room_id, const RoomMoment& before, RoomNews news) {
  const std::lock_guard lock(mutex_);
  auto* const found = rooms_.Find(room_id);
  if (found != nullptr && (*found)->head.moment == before) AddLocked(**found, std::move(news));
}

void RememberedRooms::Outdate(const std::string& room_id) {
  const std::lock_guard lock(mutex_);
  if (auto* const found = rooms_.Find(room_id)) (*found)->outdated = true;
}

void RememberedRooms::ForgetAll() {
  const std::lock_guard lock(mutex_);
  while (rooms_.TakeOldest()) {
  }
  bytes_ = 0;
  ++generation_;
}

std::uint64_t RememberedRooms::generation() const {
  const std::lock_guard lock(mutex_);
  return generation_;
}

std::size_t RememberedRooms::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace postern::store
