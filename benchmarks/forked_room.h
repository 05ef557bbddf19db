// A room that was carried on by two sides which did not hear of each other, of any size: what state resolution takes
// apart.
#pragma once

#include <cstddef>
#include <deque>
#include <string_view>
#include <vector>

#include "matrix/event.h"
#include "matrix/state_resolution.h"
#include "tests/support/room_builder.h"

namespace postern::benchmarks {

/// On one side every user leaves; on the other each has a new name meanwhile, and every tenth is banned instead.
class ForkedRoom {
 public:
  /// `conflicted_events` is even: two for each user.
  ForkedRoom(std::string_view version, std::size_t conflicted_events);

  const matrix::RoomRules& rules() const { return room_.rules(); }
  /// The room, the events of both sides.
  const matrix::ResolutionEvents& known() const { return known_; }
  /// What each side takes the state to be.
  const std::vector<matrix::StateMap>& states() const { return states_; }

 private:
  void Add(std::size_t side, support::Draft draft);

  support::TestRoom room_;
  std::deque<matrix::Event> added_;
  std::vector<const matrix::Event*> tips_;
  matrix::ResolutionEvents known_;
  std::vector<matrix::StateMap> states_;
};

}  // namespace postern::benchmarks
