// The six steps ("Checks performed on receipt of a PDU"), one after the other, as a pure function.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "matrix/auth_rules.h"
#include "matrix/branches.h"
#include "matrix/event.h"
#include "matrix/event_graph.h"
#include "matrix/signature.h"
#include "matrix/verdict.h"

namespace postern::matrix {

/// What judging needs of the room; see JudgingContext in proto/postern/matrix/v1/judging.proto. Events are owned
/// elsewhere.
struct JudgingContext {
  std::string room_id;
  std::vector<Cited> prev_events;
  std::vector<Cited> auth_events;
  RoomState state_before;
  bool state_before_unresolved = false;
  RoomState state_now;
  bool extends_all_extremities = false;
  /// The two states differ by more than changes that commute.
  bool states_diverge = false;
  /// What the two hang on where no shortcut tells them.
  std::optional<Branches> branches;
};

/// Judges `pdu` (JSON text). A verdict is an answer, whatever it says. The copy judged has no `unsigned`: neither id
/// nor signatures cover it, and what a peer puts there is not to be kept.
///
/// Refuses: kStateUnresolved where the event has passed steps 1-4 but the state before it, or the current state with
/// it, hangs on a resolution whose branches are not in the context, or are more than is resolved here; kInvalidArgument
/// where the context is not that of this event: another room, other references, or an event named that is not given.
absl::StatusOr<Verdict> RunSixSteps(std::string_view pdu, const RoomRules& rules, const JudgingContext& context,
                                    const KeyDirectory& keys, absl::Time now);

}  // namespace postern::matrix
