// Rooms that grow as they are told, fork, and hold what no honest server would let in: what state resolution must take.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "matrix/event.h"
#include "matrix/state_resolution.h"
#include "tests/support/choices.h"
#include "tests/support/room_builder.h"

namespace postern::support {

/// The graph of one room. Events are named but not signed: resolution looks at no signature.
class GrownRoom {
 public:
  /// Starts a room of that version, and lets it grow for as long as there are choices, to `most_events` at most.
  GrownRoom(std::string_view version, Choices& choices, std::size_t most_events);

  const matrix::RoomRules& rules() const { return room_.rules(); }
  const matrix::ResolutionEvents& known() const { return known_; }
  /// The room as it was when it started.
  const TestRoom& start() const { return room_; }
  /// The events that came after those.
  const std::deque<matrix::Event>& grown() const { return grown_; }
  /// Two to four of the states that the room had.
  std::vector<matrix::StateMap> SomeStates(Choices& choices) const;
  /// What `event` is judged against, and what a state looks like to the rules.
  matrix::RoomState StateOf(const matrix::StateMap& ids) const;
  /// The state that was given for `grown()[index]`.
  const matrix::StateMap& StateBefore(std::size_t index) const { return before_[index]; }

 private:
  static TestRoom Start(std::string_view version, Choices& choices);
  void Grow(Choices& choices);
  const matrix::StateMap& SomePlace(Choices& choices) const;
  Draft SomeDraft(Choices& choices) const;
  Draft MemberDraft(Choices& choices) const;
  matrix::JsonObject SomeLevels(Choices& choices) const;
  void CiteOddly(Choices& choices, matrix::JsonObject& event) const;
  void Keep(matrix::Event event, const matrix::StateMap& before);

  TestRoom room_;
  std::deque<matrix::Event> grown_;
  std::vector<matrix::StateMap> before_;
  std::deque<matrix::StateMap> places_;
  matrix::ResolutionEvents known_;
  /// Keeps what the rules refuse.
  bool unguarded_;
};

}  // namespace postern::support
