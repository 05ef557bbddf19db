#include "services/store/room_heads.h"

namespace postern::store {

std::optional<RoomHead> RoomHeads::Find(const std::string& room_id) {
  const std::lock_guard lock(mutex_);
  const auto found = by_room_.find(room_id);
  if (found == by_room_.end()) return std::nullopt;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->second;
}

void RoomHeads::Keep(const std::string& room_id, RoomHead head) {
  const std::lock_guard lock(mutex_);
  if (const auto found = by_room_.find(room_id); found != by_room_.end()) {
    RoomHead& kept = found->second->second;
    if (std::pair(kept.stored, kept.lineages) < std::pair(head.stored, head.lineages)) kept = std::move(head);
    return;
  }
  entries_.emplace_front(room_id, std::move(head));
  by_room_.emplace(entries_.front().first, entries_.begin());
  if (entries_.size() <= most_) return;
  by_room_.erase(entries_.back().first);
  entries_.pop_back();
}

void RoomHeads::Forget(const std::string& room_id) {
  const std::lock_guard lock(mutex_);
  const auto found = by_room_.find(room_id);
  if (found == by_room_.end()) return;
  const auto entry = found->second;
  by_room_.erase(found);
  entries_.erase(entry);
}

}  // namespace postern::store
