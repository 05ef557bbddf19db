// What was read of a room for the template of a leave, kept for the leave that is made of it: so that need not be read
// again (docs/decisions/0032-a-template-is-remembered.md).
#pragma once

#include <cstddef>
#include <mutex>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "postern/store/v1/store.pb.h"
#include "rpc/recent_names.h"

namespace postern::gateway {

struct TemplateLimits {
  std::size_t most = 8192;
  /// In bytes as they are sent.
  std::size_t most_bytes = 24U << 20;
  std::size_t most_bytes_of_one = 128U << 10;
  /// Servers complete a template at once.
  absl::Duration longest = absl::Minutes(1);
};

/// The newest of each user in each room; beyond the limits the oldest goes. Thread-safe.
class RememberedTemplates {
 public:
  explicit RememberedTemplates(const TemplateLimits& limits = {})
      : limits_(limits), given_(limits.most, limits.most_bytes) {}

  /// `given` was read for a template of the user's leave, at matrix::KeysForLeave.
  void Keep(const std::string& user_id, store::v1::TemplateContext given, absl::Time now);
  /// The context that the store would have given for `request` when it gave what was kept for this user and room; once.
  /// nullopt where that does not follow: the event cites something else than the room's forward extremities and entries
  /// of its state, or carries its id, so that another event may be stored under it.
  std::optional<store::v1::EventContext> Take(const store::v1::GetEventContextRequest& request, absl::Time now);

  std::size_t size() const;

 private:
  struct Given {
    store::v1::TemplateContext context;
    absl::Time at;
  };

  const TemplateLimits limits_;
  mutable std::mutex mutex_;
  rpc::RecentNames<Given> given_;
};

}  // namespace postern::gateway
