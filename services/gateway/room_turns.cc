#include "services/gateway/room_turns.h"

#include <utility>

namespace postern::gateway {

RoomTurns::Turn::~Turn() { End(); }

RoomTurns::Turn::Turn(Turn&& other) noexcept
    : turns_(std::exchange(other.turns_, nullptr)), room_id_(std::move(other.room_id_)) {}

RoomTurns::Turn& RoomTurns::Turn::operator=(Turn&& other) noexcept {
  if (this == &other) return *this;
  End();
  turns_ = std::exchange(other.turns_, nullptr);
  room_id_ = std::move(other.room_id_);
  return *this;
}

void RoomTurns::Turn::End() {
  if (RoomTurns* turns = std::exchange(turns_, nullptr)) turns->Leave(room_id_);
}

RoomTurns::Turn RoomTurns::Take(const std::string& room_id, absl::Time until) {
  std::unique_lock lock(mutex_);
  Room& room = rooms_[room_id];
  if (room.taken) {
    if (waiting_ >= most_waiting_) return {};
    ++waiting_;
    ++room.waiting;
    const bool mine = room.free.wait_until(lock, absl::ToChronoTime(until), [&room] { return !room.taken; });
    --waiting_;
    --room.waiting;
    if (!mine) return {};  // whoever has the turn keeps the room
  }
  room.taken = true;
  return {this, room_id};
}

void RoomTurns::Leave(const std::string& room_id) {
  const std::lock_guard lock(mutex_);
  const auto room = rooms_.find(room_id);
  room->second.taken = false;
  if (room->second.waiting == 0) {
    rooms_.erase(room);
  } else {
    room->second.free.notify_one();
  }
}

}  // namespace postern::gateway
