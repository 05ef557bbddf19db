// Events that were fetched to fill a gap, as a graph between the event that follows them and what is known here.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "matrix/event.h"
#include "matrix/json.h"
#include "matrix/room_rules.h"
#include "services/gateway/event_intake.h"

namespace postern::gateway {

/// What lies before an event, as far as it has been fetched. Walks are iterative (pitfall S03).
class FetchedGraph {
 public:
  /// `tip`, the event that follows, and `rules` outlive the graph.
  FetchedGraph(const IncomingEvent& tip, const matrix::RoomRules& rules);

  /// Adds what reads as an event of the room and is not here yet; never the tip.
  void Add(matrix::JsonArray answer);

  /// What is named and neither fetched nor looked up yet; it counts as looked up from here on.
  std::vector<std::string> TakeNamed();
  void SetKnown(const std::string& event_id) { known_.insert(event_id); }

  /// What is reached from the tip.
  struct Reach {
    /// Events, the tip perhaps among them, of whose prev events some are nowhere to be had; in the order of the walk.
    std::vector<std::string> edges;
    /// Fetched events.
    std::size_t events = 0;
    /// One of them has no prev events at all: it hangs on nothing.
    bool dead_end = false;
  };
  Reach Look() const;

  /// What is reached, each event after those of its prev events that were fetched. Empty: there is a cycle, which
  /// versions 1 and 2 let a server write.
  std::vector<const matrix::Event*> InOrder() const;

  /// Of all that were fetched.
  std::size_t size() const { return by_id_.size(); }
  /// In canonical JSON.
  std::size_t bytes() const { return bytes_; }
  /// Named, but not fetched.
  std::size_t cited() const { return named_.size(); }

 private:
  std::set<std::string> Reached(Reach& reach) const;
  void Name(const std::vector<std::string>& ids);

  const IncomingEvent& tip_;
  const matrix::RoomRules& rules_;
  std::map<std::string, matrix::Event> by_id_;
  std::set<std::string> named_;
  std::set<std::string> looked_up_;
  std::set<std::string> known_;
  std::size_t bytes_ = 0;
};

}  // namespace postern::gateway
