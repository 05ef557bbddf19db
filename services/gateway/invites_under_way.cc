#include "services/gateway/invites_under_way.h"

namespace postern::gateway {

InvitesUnderWay::Invite::Invite(InvitesUnderWay& all, std::pair<std::string, std::string> whom)
    : all_(all), whom_(std::move(whom)) {
  const std::lock_guard lock(all_.mutex_);
  all_.under_way_.insert(whom_);
}

InvitesUnderWay::Invite::~Invite() {
  {
    const std::lock_guard lock(all_.mutex_);
    all_.under_way_.erase(all_.under_way_.find(whom_));
  }
  all_.ended_.notify_all();
}

bool InvitesUnderWay::IsUnderWay(const std::string& room_id, const std::string& user_id) {
  const std::lock_guard lock(mutex_);
  return under_way_.contains({room_id, user_id});
}

void InvitesUnderWay::AwaitEnd(const std::string& room_id, const std::string& user_id, absl::Time deadline) {
  const std::pair whom(room_id, user_id);
  std::unique_lock lock(mutex_);
  ended_.wait_until(lock, absl::ToChronoTime(deadline), [&] { return !under_way_.contains(whom); });
}

}  // namespace postern::gateway
