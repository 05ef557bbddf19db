// An event before it is hashed and signed: what it cites and where it stands in its room. For templates that peers
// complete, and for what this server mints itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "matrix/auth_events.h"
#include "matrix/event.h"
#include "matrix/json.h"
#include "matrix/room_rules.h"
#include "postern/store/v1/store.pb.h"
#include "postern/validator/v1/validator.pb.h"

namespace postern::gateway {

/// What an event is to say.
struct EventIntent {
  std::string type;
  /// Left out: no state event.
  std::optional<std::string> state_key;
  std::string sender;
  matrix::JsonObject content;
};

/// nullptr: it is no state event.
const std::string* StateKeyOf(const EventIntent& intent);

/// An event that another one cites.
struct CitedEvent {
  std::string event_id;
  std::string pdu;
};

/// Where in its room an event is to stand.
struct EventPlace {
  std::string room_id;  // empty for the create event of version 12
  std::vector<CitedEvent> prev_events;
  std::vector<CitedEvent> auth_events;
  std::int64_t depth = 1;
  absl::Time at;
};

/// The event, without `hashes`, `signatures` and, in versions 1-2, `event_id`. Those versions cite with reference
/// hashes. Refuses: kInternal where a cited event cannot be read.
absl::StatusOr<matrix::JsonObject> BuildEvent(const EventIntent& intent, const EventPlace& place,
                                              const matrix::RoomRules& rules);

/// The place after `context`'s forward extremities, citing of its current state what the rules select for `intent`
/// ("Auth events selection"). Refuses: kInternal where the context lacks an event that it names.
absl::StatusOr<EventPlace> PlaceAfter(const store::v1::TemplateContext& context, const EventIntent& intent,
                                      const matrix::RoomRules& rules, absl::Time now);

/// The events of `room`'s current state that `intent` cites ("Auth events selection"). Refuses: kInternal where the
/// room names one that it does not give.
absl::StatusOr<std::vector<CitedEvent>> AuthEventsFor(const matrix::v1::JudgingContext& room, const EventIntent& intent,
                                                      const matrix::RoomRules& rules);

/// Below an event of this depth.
std::int64_t DepthAfter(std::int64_t depth, const matrix::RoomRules& rules);

/// What the validator is asked before `event` is given out or signed. Versions 1-2: `event` gets an id of `server_name`
/// for the question if it has none.
validator::v1::AuthorizeRequest AskFor(matrix::JsonObject event, const EventPlace& place,
                                       const matrix::v1::JudgingContext& room, const matrix::RoomRules& rules,
                                       std::string_view server_name);

}  // namespace postern::gateway
