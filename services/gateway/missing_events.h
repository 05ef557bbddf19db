// The events that are missing between a submitted one and what is known here: asked of the server that submitted it,
// and of no other (design, "Federation out"; pitfalls S03, A02).
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "matrix/event.h"
#include "services/gateway/event_intake.h"
#include "services/gateway/peer_events.h"

namespace postern::gateway {

struct MissingEventsLimits {
  std::size_t most_events = 20;
  /// For asking and for the keys of the events' servers together.
  absl::Duration longest = absl::Seconds(2);
  /// Workers that may be at it at once.
  std::size_t at_once = 4;
  /// Events that those fetched may hang on, beside each other.
  std::size_t most_cited = 100;
};

/// Thread-safe. Counts postern_gateway_gap_fetches_total by what came of it.
class MissingEvents {
 public:
  MissingEvents(PeerEvents& peers, IntakeServices services, MissingEventsLimits limits = {});

  /// Asks the server that gave `event` for what lies before it. Where all that is needed is in the answer, and hangs on
  /// events that are known, these go the way of any event, the oldest first; what is invalid on its own is left out.
  /// Returns whether any was tried, so that the context of `event` is to be read anew; false if they cannot be had.
  /// Refuses: kOverloaded, and what ails this server within.
  absl::StatusOr<bool> Fetch(const rpc::CallContext& call, const IncomingEvent& event,
                             const store::v1::EventContext& context, const matrix::RoomRules& rules);

 private:
  struct Gap;

  absl::StatusOr<std::vector<matrix::Event>> Ask(Gap& gap, const store::v1::EventContext& context);
  /// Those that `gap.event` needs, each after those that it follows from; empty where they do not connect.
  absl::StatusOr<std::vector<const matrix::Event*>> Connected(Gap& gap, const std::vector<matrix::Event>& fetched);
  absl::Status TakeAll(Gap& gap, const std::vector<const matrix::Event*>& events);
  absl::Status Take(Gap& gap, const matrix::Event& event);
  void Note(const Gap& gap, std::string_view result, std::string_view detail);

  PeerEvents& peers_;
  const IntakeServices services_;
  const MissingEventsLimits limits_;
  EventIntake intake_;
  Places places_;
};

}  // namespace postern::gateway
