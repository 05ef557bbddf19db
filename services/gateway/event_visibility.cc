#include "services/gateway/event_visibility.h"

#include <string>

namespace postern::gateway {
namespace {

bool IsShown(const store::v1::SeenByPeer& seen, bool resident) {
  const std::string& visibility = seen.history_visibility();
  if (visibility == "world_readable") return true;
  if (visibility == "joined") return seen.asker_joined();
  if (visibility == "invited") return seen.asker_joined() || seen.asker_invited();
  return seen.asker_joined() || resident;
}

}  // namespace

Visibility VisibilityOf(const store::v1::SeenByPeer& seen, bool resident) {
  if (IsShown(seen, resident)) return Visibility::kWhole;
  return resident ? Visibility::kRedacted : Visibility::kNothing;
}

}  // namespace postern::gateway
