#include "services/store/room_heads.h"

#include <utility>

namespace postern::store {

std::optional<RoomHead> RoomHeads::Find(const std::string& room_id) {
  const std::lock_guard lock(mutex_);
  const RoomHead* const head = heads_.Find(room_id);
  return head == nullptr ? std::nullopt : std::optional(*head);
}

void RoomHeads::Keep(const std::string& room_id, RoomHead head) {
  const std::lock_guard lock(mutex_);
  const RoomHead* const kept = heads_.Find(room_id);
  if (kept != nullptr && std::pair(kept->stored, kept->lineages) >= std::pair(head.stored, head.lineages)) return;
  heads_.Put(room_id, std::move(head));
}

void RoomHeads::Forget(const std::string& room_id) {
  const std::lock_guard lock(mutex_);
  heads_.Forget(room_id);
}

}  // namespace postern::store
