// The events that are missing between one that came and what is known here: asked of the server that gave it, and of no
// other (design, "Federation out"; pitfalls S03, A02).
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "matrix/event.h"
#include "services/gateway/event_intake.h"
#include "services/gateway/peer_events.h"
#include "services/gateway/state_before_gap.h"

namespace postern::gateway {

struct MissingEventsLimits {
  /// In one answer.
  std::size_t most_events = 20;
  /// For asking and for the keys of the events' servers together.
  absl::Duration longest = absl::Seconds(2);
  /// Workers that may be at it at once.
  std::size_t at_once = 4;
  /// Events that those fetched may hang on, beside each other.
  std::size_t most_cited = 100;
  /// How often the server is asked, each time for what lies before that which it gave.
  int rounds = 1;
  /// Of all that it gave.
  std::size_t most_bytes = 2 * 1024 * 1024;
};

/// For what comes by PUT /send: gaps of up to 200 events are filled by judging each event on the way.
inline MissingEventsLimits LongGaps(std::size_t at_once) {
  return {
      .longest = absl::Seconds(6), .at_once = at_once, .most_cited = 400, .rounds = 10, .most_bytes = 6 * 1024 * 1024};
}

/// Thread-safe. Counts postern_gateway_gap_fetches_total by what came of it.
class MissingEvents {
 public:
  /// `states` has the state before a gap that stays; nullptr: then what follows it is not taken.
  MissingEvents(PeerEvents& peers, IntakeServices services, MissingEventsLimits limits = {},
                StateBeforeGap* states = nullptr);

  /// Asks the server that gave `event` for what lies before it, until all that is needed is there and hangs on events
  /// that are known, the rounds are used up, or it gives nothing new. Where all is there it goes the way of any event,
  /// the oldest first; what is invalid on its own is left out. Where a gap stays, the states before the oldest events
  /// that were had, or before `event` itself, are asked for. Asks and waits for keys until `until` at most. Returns
  /// whether any was tried, so that the context of `event` is to be read anew; false if they cannot be had. Refuses:
  /// kOverloaded, and what ails this server within.
  absl::StatusOr<bool> Fetch(const rpc::CallContext& call, const IncomingEvent& event,
                             const store::v1::EventContext& context, const matrix::RoomRules& rules,
                             absl::Time until = absl::InfiniteFuture());

 private:
  struct Gap;

  /// Refuses: kPeerUnavailable where nothing was had, and what ails this server within.
  absl::Status Gather(Gap& gap, const store::v1::EventContext& context);
  absl::StatusOr<std::vector<std::string>> EarliestOf(const Gap& gap, const store::v1::EventContext& context);
  absl::StatusOr<matrix::JsonArray> Ask(const Gap& gap, const std::vector<std::string>& latest,
                                        const std::vector<std::string>& earliest);
  /// Which of the events that are named now are known here.
  absl::Status LookUp(Gap& gap);
  /// The states before `edges`. Refuses: kPeerUnavailable where one was not had; what ails this server within.
  absl::Status FetchStates(const Gap& gap, const std::vector<std::string>& edges);
  absl::Status TakeAll(Gap& gap, const std::vector<const matrix::Event*>& events, bool bridged);
  absl::Status Take(Gap& gap, const matrix::Event& event);
  void Note(const Gap& gap, std::string_view result, std::string_view detail);

  PeerEvents& peers_;
  const IntakeServices services_;
  const MissingEventsLimits limits_;
  StateBeforeGap* const states_;
  EventIntake intake_;
  Places places_;
};

}  // namespace postern::gateway
