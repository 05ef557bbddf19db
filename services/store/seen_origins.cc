#include "services/store/seen_origins.h"

#include <set>

namespace postern::store {
namespace {

/// The column moves once an hour: a store that looks twice as often moves it in time.
constexpr absl::Duration kLately = absl::Minutes(30);

}  // namespace

std::vector<std::string> SeenOrigins::NotSeenLately(const std::vector<std::string>& origins, absl::Time now) {
  std::set<std::string> due;
  const std::lock_guard lock(mutex_);
  for (const std::string& origin : origins) {
    const absl::Time* const noted = noted_.Find(origin);
    if (noted == nullptr || now - *noted >= kLately) due.insert(origin);
  }
  return {due.begin(), due.end()};
}

void SeenOrigins::Note(const std::vector<std::string>& origins, absl::Time now) {
  const std::lock_guard lock(mutex_);
  for (const std::string& origin : origins) noted_.Put(origin, now);
}

}  // namespace postern::store
