// The graph that auth events make, as both resolution algorithms walk it, with an account of the work.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "matrix/auth_rules.h"
#include "matrix/state_resolution.h"

namespace postern::matrix {

/// Sets of events are ordered by id, so that nothing hangs on where events lie in memory.
struct ByEventId {
  bool operator()(const Event* a, const Event* b) const { return a->event_id() < b->event_id(); }
};
using EventSet = std::set<const Event*, ByEventId>;

/// The first trouble stays: after it every look-up finds nothing and every check says no, so that walks end.
class ResolutionGraph {
 public:
  ResolutionGraph(const ResolutionEvents& events, std::size_t budget) : events_(events), budget_(budget) {}

  const absl::Status& trouble() const { return trouble_; }
  /// Trouble that was found outside.
  void Give(absl::Status trouble) { trouble_.Update(std::move(trouble)); }
  bool IsRejected(const Event& event) const { return events_.IsRejected(event.event_id()); }

  /// nullptr, and trouble, if it is not there or the budget is spent.
  const Event* Find(const std::string& event_id);
  std::vector<const Event*> AuthEventsOf(const Event& event);
  /// All events reached from `from` by auth events; `from` themselves only where one is reached from another.
  EventSet AuthChainOf(const EventSet& from);
  /// The create event: of a version 12 room by its room id, before by the event's auth events. nullptr if there is
  /// none.
  const Event* CreateOf(const Event& event);
  /// What its sender's power level is by its own auth events.
  std::int64_t SenderLevel(const Event& event);
  /// From here on only these keys of the states are known: the checks see all of them, and trouble where they need
  /// another.
  void SeeOnly(std::set<StateKey> keys) { seen_keys_ = std::move(keys); }
  /// Whether the value of `key` in the states is known, if there is one; else trouble.
  bool Sees(const StateKey& key);
  /// Whether the rules allow `event` in `state`.
  bool Allows(const Event& event, const RoomState& state);

 private:
  bool Spend();

  const ResolutionEvents& events_;
  std::size_t budget_;
  /// nullopt: every key.
  std::optional<std::set<StateKey>> seen_keys_;
  absl::Status trouble_;
};

}  // namespace postern::matrix
