#include "services/store/seen_origins.h"

#include <set>

namespace postern::store {
namespace {

/// The column moves once an hour: a store that looks twice as often moves it in time.
constexpr absl::Duration kLately = absl::Minutes(30);

}  // namespace

std::vector<std::string> SeenOrigins::NotSeenLately(const std::vector<std::string>& origins, absl::Time now) const {
  std::set<std::string> due;
  const std::lock_guard lock(mutex_);
  for (const std::string& origin : origins) {
    const auto noted = noted_.find(origin);
    if (noted == noted_.end() || now - noted->second >= kLately) due.insert(origin);
  }
  return {due.begin(), due.end()};
}

void SeenOrigins::Note(const std::vector<std::string>& origins, absl::Time now) {
  const std::lock_guard lock(mutex_);
  if (noted_.size() + origins.size() > most_) noted_.clear();
  for (const std::string& origin : origins) noted_[origin] = now;
}

}  // namespace postern::store
