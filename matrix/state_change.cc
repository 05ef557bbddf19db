#include "matrix/state_change.h"

#include <algorithm>
#include <tuple>

#include "matrix/auth_events.h"

namespace postern::matrix {
namespace {

bool IsOwnLeave(const Event& event) {
  return event.type() == "m.room.member" && event.is_state() && event.membership() == "leave" &&
         event.sender() == *event.state_key();
}

bool CitesOrAbsent(const Event& event, const Event* entry) {
  return !entry || std::ranges::find(event.auth_events(), entry->event_id()) != event.auth_events().end();
}

bool SameEvent(const Event* a, const Event* b) { return a == b || (a && b && a->event_id() == b->event_id()); }

bool IsOrderedAfter(const Event& event, const Event& rival) {
  if (event.rules().state_resolution == StateResolution::kV1) return event.depth() > rival.depth();
  return std::forward_as_tuple(event.origin_server_ts(), event.event_id()) >
         std::forward_as_tuple(rival.origin_server_ts(), rival.event_id());
}

bool AgreeOnWhatItReads(const Event& event, const RoomState& before, const RoomState& now) {
  for (const StateKey& key : ReadSetOf(event)) {
    if (!SameEvent(before.Find(key.type, key.state_key), now.Find(key.type, key.state_key))) return false;
  }
  return CitesOrAbsent(event, now.Find("m.room.member", event.sender())) &&
         CitesOrAbsent(event, now.Find("m.room.power_levels", ""));
}

}  // namespace

std::vector<StateKey> ReadSetOf(const Event& event) {
  std::vector<StateKey> keys = SelectAuthEvents(event);
  if (event.type() == "m.room.create") return keys;
  const StateKey create{"m.room.create", ""};
  const auto place = std::ranges::lower_bound(keys, create);
  if (place == keys.end() || *place != create) keys.insert(place, create);
  return keys;
}

std::optional<CurrentStateChange> CurrentStateChangeOf(const Event& event, const RoomState& before,
                                                       const RoomState& now, const Branching& branching) {
  const Event* rival = now.Find("m.room.member", event.sender());
  const bool undisputed = branching.extends_all_extremities || !branching.states_diverge;
  if (!event.is_state() && undisputed) return CurrentStateChange{.commutes = true};
  if (IsOwnLeave(event) && rival && undisputed && IsOrderedAfter(event, *rival) &&
      AgreeOnWhatItReads(event, before, now)) {
    return CurrentStateChange{.commutes = true};
  }
  if (!branching.extends_all_extremities) return std::nullopt;
  return CurrentStateChange{.commutes = false};
}

}  // namespace postern::matrix
