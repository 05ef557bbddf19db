#include "services/gateway/room_turns.h"

#include <utility>

namespace postern::gateway {

RoomTurns::Turn::~Turn() { End(); }

RoomTurns::Turn::Turn(Turn&& other) noexcept
    : turns_(std::exchange(other.turns_, nullptr)),
      room_id_(std::move(other.room_id_)),
      others_line_up_(other.others_line_up_) {}

RoomTurns::Turn& RoomTurns::Turn::operator=(Turn&& other) noexcept {
  if (this == &other) return *this;
  End();
  turns_ = std::exchange(other.turns_, nullptr);
  room_id_ = std::move(other.room_id_);
  others_line_up_ = other.others_line_up_;
  return *this;
}

void RoomTurns::Turn::End() {
  if (RoomTurns* turns = std::exchange(turns_, nullptr)) turns->Leave(room_id_, others_line_up_);
}

RoomTurns::Turn RoomTurns::Take(const std::string& room_id, absl::Time until, bool others_line_up) {
  const std::size_t counted = others_line_up ? 1 : 0;
  std::unique_lock lock(mutex_);
  Room& room = rooms_[room_id];
  if (room.taken && waiting_ >= most_waiting_) return {};
  room.lined_up_for += counted;
  if (room.taken) {
    ++waiting_;
    ++room.waiting;
    const bool mine = room.handed_on.wait_until(lock, absl::ToChronoTime(until), [&room] { return room.offered; });
    --waiting_;
    --room.waiting;
    if (!mine) {  // whoever has the turn keeps the room
      room.lined_up_for -= counted;
      return {};
    }
    room.offered = false;
  }
  room.taken = true;
  return {this, room_id, others_line_up};
}

bool RoomTurns::AreToLineUp(const std::string& room_id) {
  const std::lock_guard lock(mutex_);
  const auto room = rooms_.find(room_id);
  return room != rooms_.end() && room->second.lined_up_for > 0;
}

std::size_t RoomTurns::waiting() {
  const std::lock_guard lock(mutex_);
  return waiting_;
}

void RoomTurns::Leave(const std::string& room_id, bool others_line_up) {
  const std::lock_guard lock(mutex_);
  const auto room = rooms_.find(room_id);
  room->second.lined_up_for -= others_line_up ? 1 : 0;
  if (room->second.waiting == 0) {
    rooms_.erase(room);
  } else {
    room->second.offered = true;  // still taken: who comes now waits behind those who do
    room->second.handed_on.notify_one();
  }
}

}  // namespace postern::gateway
