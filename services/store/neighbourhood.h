// The part of a room's graph around some of its events, gathered in rounds of two reads each. Where the events come
// from is the caller's: PostgreSQL, or the fake of the tests.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "postern/store/v1/store.pb.h"

namespace postern::store {

/// How many of the events that the room stored next are looked through for those that cite an event.
inline constexpr int kFollowersWindow = 2000;

/// Events that cite others of the room as prev events.
struct Followers {
  std::vector<std::string> event_ids;
  /// Not all that were stored since could be looked at.
  bool truncated = false;
};

struct GraphReads {
  /// Those of the events that are known, as they are to be given, but for `hops`.
  std::function<absl::StatusOr<std::vector<v1::NeighbourEvent>>(const std::vector<std::string>&)> events;
  std::function<absl::StatusOr<Followers>(const std::vector<std::string>&)> followers;
};

/// Refuses: kInvalidArgument; kNotFound if none of the events asked for is known.
absl::StatusOr<v1::Neighbourhood> GatherNeighbourhood(const v1::GetNeighbourhoodRequest& request,
                                                      const GraphReads& reads);

/// What is given of an event, from its PDU (empty: it was not kept).
v1::NeighbourEvent DescribeNeighbour(const std::string& event_id, const std::string& pdu, matrix::v1::Outcome outcome,
                                     matrix::v1::Reason reason);

}  // namespace postern::store
