// Step 4, the graph: what an event cites exists, and nothing that it cites cites it.
#pragma once

#include <string>
#include <vector>

#include "matrix/event.h"
#include "matrix/refusal.h"

namespace postern::matrix {

/// A prev or auth event of the judged one: nullptr if nobody here has it.
struct Cited {
  std::string event_id;
  const Event* event = nullptr;  // prev events may be known without being given
  bool known = false;
  bool rejected = false;
};

/// What the check found: kNone, kUnknownEvents or kBadAuthEvents, and on what.
struct GraphResult {
  Reason reason = Reason::kNone;
  std::string text;
};

/// Every cited event is known, there is a previous event unless `event` is m.room.create, and there is no cycle:
/// `event` is neither among what it cites nor cited, however indirectly, by an event that is `given`. (Versions 1-2 let
/// a sender choose its event id, and so write one.) `prev_events` and `auth_events` are those of `event`; the walk is
/// iterative.
GraphResult CheckGraph(const Event& event, const std::vector<Cited>& prev_events, const std::vector<Cited>& auth_events,
                       const std::vector<const Event*>& given);

}  // namespace postern::matrix
