#include "services/gateway/remembered_access.h"

#include <string>
#include <string_view>

#include "matrix/refusal.h"
#include "services/gateway/room_access.h"

namespace postern::gateway {
namespace {

/// In versions 1 and 2 an event carries its id, so it is the event of that id in that room only. No id has a NUL.
std::string NameOf(const matrix::v1::JudgingContext& room, const matrix::ServerName& server) {
  std::string name = room.room_id();
  for (const std::string_view type : {"m.room.create", "m.room.server_acl"}) {
    name += '\0';
    if (const auto* event = CurrentStateEvent(room, type, "")) name += event->event_id();
  }
  name += '\0';
  return name += server.text();
}

}  // namespace

absl::Status RememberedAccess::Check(const matrix::v1::JudgingContext& room, const matrix::ServerName& server) {
  const std::string name = NameOf(room, server);
  {
    const std::lock_guard lock(mutex_);
    if (const absl::Status* known = answers_.Find(name)) return *known;
  }
  const absl::Status answer = CheckRoomAccess(room, server);
  if (answer.ok() || matrix::ReasonOf(answer) == matrix::Reason::kFederationForbidden) {
    const std::lock_guard lock(mutex_);
    answers_.Put(name, answer);
  }
  return answer;
}

std::size_t RememberedAccess::size() const {
  const std::lock_guard lock(mutex_);
  return answers_.size();
}

}  // namespace postern::gateway
