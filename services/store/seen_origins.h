// Servers that this store has lately noted as seen: so that most events need no look at remote_servers.
#pragma once

#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/time/time.h"

namespace postern::store {

/// Of so many servers at most. Thread-safe.
class SeenOrigins {
 public:
  explicit SeenOrigins(std::size_t most) : most_(most) {}

  /// Those of them that were not noted within the last half hour; each once.
  std::vector<std::string> NotSeenLately(const std::vector<std::string>& origins, absl::Time now) const;
  /// They are noted now.
  void Note(const std::vector<std::string>& origins, absl::Time now);

 private:
  const std::size_t most_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, absl::Time> noted_;
};

}  // namespace postern::store
