// How events that follow each other take the forward extremities of a room together: each cites the one before it and
// the oldest of what none has cited yet. So each stands on all that was cited before, and in a room whose events came
// one after another that is a state which the room has had (docs/decisions/0009).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "matrix/event.h"
#include "matrix/room_rules.h"
#include "postern/store/v1/store.pb.h"
#include "services/gateway/event_template.h"

namespace postern::gateway {

/// Pure: what is to be cited next, of what there was.
class ExtremityChain {
 public:
  /// So many events at most; and what these can cite of others than each other.
  static constexpr std::size_t kMostEvents = 8;
  static constexpr std::size_t kMostCited = kMostEvents * (matrix::kMaxPrevEvents - 1) + 1;

  struct Tip {
    CitedEvent event;
    std::int64_t depth = 0;
  };

  /// The extremities in the order in which they are to be cited. The last of the events is the one after which `few`
  /// are left at most.
  ExtremityChain(const std::vector<Tip>& tips, std::size_t few);

  /// What the next event cites; empty where there is to be none.
  std::vector<Tip> Next() const;
  /// It has been made: this one.
  void Append(Tip event);

  std::size_t events() const { return events_; }
  /// Few are left, in the room too: it was not given as many as it can cite.
  bool complete() const { return left_.size() <= few_ && was_given_all_; }

 private:
  std::ptrdiff_t CitedByOne() const;

  /// The event made last, then what none has cited.
  std::deque<Tip> left_;
  const bool was_given_all_;
  const std::size_t few_;
  std::size_t events_ = 0;
};

/// The forward extremities of a template that tells their depths; with their PDUs where it has them.
std::vector<ExtremityChain::Tip> TipsOf(const store::v1::TemplateContext& context);

/// Has `place` cite these, below the deepest of them.
void PlaceBehind(const std::vector<ExtremityChain::Tip>& cited, const matrix::RoomRules& rules, EventPlace& place);

}  // namespace postern::gateway
