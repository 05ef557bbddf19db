// State events that one context after another holds, such as a room's power levels: each is read once.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/statusor.h"
#include "matrix/event.h"
#include "rpc/recent_names.h"

namespace postern::validator {

struct RecurringLimits {
  std::size_t most = 2048;
  /// Of text. In memory an event takes some five times as much.
  std::size_t most_bytes = 4U << 20;
};

/// What matrix::Event::Parse says, remembered with the whole text and the rules that it was said of: nobody can tell
/// whether it was parsed anew, so a validator stays without state. Of members' events nothing is kept, for few are read
/// twice; beyond the limits what was used longest ago goes. Thread-safe.
class RecurringEvents {
 public:
  explicit RecurringEvents(const RecurringLimits& limits = {}) : events_(limits.most, limits.most_bytes) {}

  /// `name` is the id that it is given under; it need not be its own. Refuses as Event::Parse does.
  absl::StatusOr<std::shared_ptr<const matrix::Event>> Read(const std::string& name, const std::string& pdu,
                                                            const matrix::RoomRules& rules);

  std::size_t size() const;

 private:
  struct Known {
    std::string pdu;
    std::shared_ptr<const matrix::Event> event;
  };

  std::shared_ptr<const matrix::Event> Find(const std::string& name, const std::string& pdu,
                                            const matrix::RoomRules& rules);

  mutable std::mutex mutex_;
  rpc::RecentNames<Known> events_;
};

}  // namespace postern::validator
