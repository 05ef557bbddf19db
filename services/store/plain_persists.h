// Accepted events whose effect on their rooms follows from the rooms' heads: what fn.persist_events decides for them in
// the database is decided here, and fn.persist_plain (functions/plain_persists.sql) writes it if the heads still hold.
// Most leaves are such; docs/decisions/0028-plain-persists.md says what it saves.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "services/store/persisted_events.h"
#include "services/store/remembered_rooms.h"

namespace postern::store {

class PlainPersists {
 public:
  /// Takes the event, and makes `head` what its room then is; false, and nothing is changed, where the database has to
  /// decide: another outcome than accepted, a state before it that is no group of the trunk yet, a change of the
  /// current state that is not of members alone, something that was accepted since its context was read and does not
  /// commute. Events of a room follow each other, rooms by their ids.
  bool Add(const CheckedPersist& persist, const MemberChanges& members, RoomHead& head);

  bool empty() const { return events_.size() == 0; }
  /// By event.
  const std::vector<std::string>& origins() const { return events_.origins(); }
  /// How many forward extremities the room has after the event of that place.
  std::size_t extremities(std::size_t place) const { return extremities_[place]; }
  /// Once it is written: to be told to what remembers the rooms.
  void AdvanceIn(RememberedRooms& rooms);
  /// From h_rooms on, in the function's order.
  void AppendTo(Parameters& parameters) const;

 private:
  using Lists = std::vector<std::vector<std::optional<std::string>>>;
  using Numbers = std::vector<std::optional<std::int64_t>>;
  struct Effect;
  static std::optional<Effect> EffectOn(const RoomHead& head, const CheckedPersist& persist);
  void AddHead(const CheckedPersist& persist, const RoomHead& before, const RoomHead& after);
  void AddEvent(const CheckedPersist& persist, const MemberChanges& members, const Effect& effect);
  void AddState(const CheckedPersist& persist, const RoomHead& before, const Effect& effect);

  std::vector<std::string> head_rooms_;
  std::vector<RoomMoment> before_;
  std::vector<RoomNews> news_;

  PersistedEvents events_;
  Numbers orderings_, befores_, nows_, afters_, fixed_;
  std::vector<std::size_t> extremities_;

  struct Keys {
    Numbers places;
    std::vector<std::string> types, keys;
    Numbers positions;
  };
  Keys changed_, relied_on_;
  Numbers changed_lineages_;
  std::vector<std::string> changed_ids_;
  Numbers branch_places_, branch_lineages_, branch_positions_;
  Numbers set_places_, set_groups_, set_fixed_;
  Lists sets_;
};

}  // namespace postern::store
