// Whose turn it is in a room, where one event has to wait for the judgement of another.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <map>
#include <mutex>
#include <string>

#include "absl/time/time.h"

namespace postern::gateway {

/// Events that do not commute can go into a room only one by one: each makes the verdicts on all others void. Judged
/// side by side they would be judged again and again, and the unlucky would never be stored; in turns each is judged
/// once. Turns hold in this gateway only: between several, the store's CONFLICT decides, as without them. Thread-safe.
class RoomTurns {
 public:
  /// Goes on to the next when it ends.
  class Turn {
   public:
    Turn() = default;
    Turn(RoomTurns* turns, std::string room_id, bool others_line_up)
        : turns_(turns), room_id_(std::move(room_id)), others_line_up_(others_line_up) {}
    ~Turn();
    Turn(Turn&& other) noexcept;
    Turn& operator=(Turn&& other) noexcept;

    bool had() const { return turns_ != nullptr; }

   private:
    void End();

    RoomTurns* turns_ = nullptr;
    std::string room_id_;
    bool others_line_up_ = false;
  };

  /// Of the threads that serve requests, so many may wait here.
  explicit RoomTurns(std::size_t most_waiting) : most_waiting_(most_waiting) {}

  /// Waits for a turn in the room until `until`. One that was not had, because too many wait or the time was up, is no
  /// obstacle: its event competes. `others_line_up`: meanwhile events that need no turn are to take one.
  Turn Take(const std::string& room_id, absl::Time until, bool others_line_up = false);
  /// Whether somebody has a turn in the room, or waits for one, for which others line up. One that has lined up makes
  /// nobody else do so: a busy room goes on side by side once those are through.
  bool AreToLineUp(const std::string& room_id);
  /// In all rooms.
  std::size_t waiting();

 private:
  struct Room {
    bool taken = false;
    /// To one of those who wait.
    bool offered = false;
    std::size_t waiting = 0;
    /// Of those who have the turn or wait, so many for whom others line up.
    std::size_t lined_up_for = 0;
    std::condition_variable handed_on;
  };

  void Leave(const std::string& room_id, bool others_line_up);

  const std::size_t most_waiting_;
  std::mutex mutex_;
  std::map<std::string, Room> rooms_;  // those in which somebody has a turn or waits
  std::size_t waiting_ = 0;
};

}  // namespace postern::gateway
