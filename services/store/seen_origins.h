// Servers that this store has lately noted as seen: so that most events need no look at remote_servers.
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "rpc/recent_names.h"

namespace postern::store {

/// Of so many servers at most. Thread-safe.
class SeenOrigins {
 public:
  explicit SeenOrigins(std::size_t most) : noted_(most) {}

  /// Those of them that were not noted within the last half hour; each once.
  std::vector<std::string> NotSeenLately(const std::vector<std::string>& origins, absl::Time now);
  /// They are noted now.
  void Note(const std::vector<std::string>& origins, absl::Time now);

 private:
  std::mutex mutex_;
  rpc::RecentNames<absl::Time> noted_;
};

}  // namespace postern::store
