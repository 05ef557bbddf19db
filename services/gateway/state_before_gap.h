// The state before an event behind a gap that get_missing_events did not fill: asked of the server that gave the event,
// and believed in nothing that an event does not prove by itself (pitfalls S03, A02, T05; decision 0022).
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "matrix/room_rules.h"
#include "services/gateway/event_intake.h"
#include "services/gateway/fetched_state_client.h"
#include "services/gateway/peer_states.h"

namespace postern::gateway {

struct StateBeforeGapLimits {
  /// For all that is asked and the keys of the events' servers together.
  absl::Duration longest = absl::Seconds(6);
  /// Workers that may be at it at once.
  std::size_t at_once = 2;
  /// Ids of the state and of its auth chain.
  std::size_t most_ids = 20'000;
  /// Of these, events that are not known here.
  std::size_t most_unknown = 1000;
  /// So many are asked for one by one; for more, the whole state is.
  std::size_t most_single = 30;
  /// Of the events that were not known.
  std::size_t most_bytes = 8 * 1024 * 1024;
  /// Events known here that those cite.
  std::size_t most_cited = 1000;
};

/// Thread-safe.
class StateBeforeGap {
 public:
  StateBeforeGap(PeerStates& peers, FetchedStateClient& states, IntakeServices services,
                 StateBeforeGapLimits limits = {});

  /// Asks the origin of `tip` for the state before `event_id`, an event of the tip's room, and for what of it is not
  /// known here. Each such event passes the checks of steps 1 to 4, those that it cites first; one that the rules
  /// refuse stays out, with all that cite it. Then the store keeps them as outliers, and the state for judging the
  /// event. Where one is not to be had, or fails otherwise, nothing is kept.
  ///
  /// OK: kept. Refuses: kPeerUnavailable, which says why not; kOverloaded and what ails this server within.
  absl::Status Fetch(const rpc::CallContext& call, const IncomingEvent& tip, const std::string& event_id,
                     const matrix::RoomRules& rules, absl::Time until);

 private:
  class Passage;

  PeerStates& peers_;
  FetchedStateClient& states_;
  const IntakeServices services_;
  const StateBeforeGapLimits limits_;
  EventIntake intake_;
  Places places_;
};

}  // namespace postern::gateway
