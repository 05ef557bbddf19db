// Steps 4-6: the authorization rules of each room version.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "matrix/event.h"
#include "matrix/refusal.h"

namespace postern::matrix {

/// A room's state, or a part of it. The events are owned elsewhere and outlive it.
class RoomState {
 public:
  /// nullptr if there is none.
  const Event* Find(std::string_view type, std::string_view state_key) const;
  /// Adds a state event, replacing what its key had.
  void Set(const Event& event);
  /// The create event, or nullptr.
  const Event* create() const { return Find("m.room.create", ""); }

 private:
  absl::flat_hash_map<StateKey, const Event*> entries_;
};

/// What a rule said: allowed, or the rule that refused, numbered and in words.
struct RuleResult {
  Reason reason = Reason::kNone;  // kNotAuthorised or kBadAuthEvents
  std::string rule;               // "auth rule 5.5.1", as the room version's own page numbers it
  std::string text;
  bool allowed() const { return reason == Reason::kNone; }
};

/// An event that the judged one cites.
struct CitedEvent {
  const Event* event;
  bool rejected;
};

/// The rules on the event's own auth_events: no duplicates, none unexpected, none rejected, create present (version 12: the
/// room's create event is `create`), all of the same room. `create` may be nullptr.
RuleResult CheckCitedEvents(const Event& event, const std::vector<CitedEvent>& auth_events, const Event* create);

/// The remaining rules against `state`. Signatures of servers are taken as given; those of third-party invites are checked.
RuleResult CheckAuthRules(const Event& event, const RoomState& state);

}  // namespace postern::matrix
