// Invites that another server may show already while they are being stored here: a user who answers at once is not to
// be told that there is no invite (pitfall L14).
#pragma once

#include <condition_variable>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "absl/time/time.h"

namespace postern::gateway {

/// Thread-safe. Knows those of this gateway.
class InvitesUnderWay {
 public:
  /// One invite, from before its server is asked until it is stored, or given up.
  class Invite {
   public:
    Invite(InvitesUnderWay& all, std::pair<std::string, std::string> whom);
    ~Invite();
    Invite(const Invite&) = delete;
    Invite& operator=(const Invite&) = delete;

   private:
    InvitesUnderWay& all_;
    const std::pair<std::string, std::string> whom_;
  };

  [[nodiscard]] Invite Begin(const std::string& room_id, const std::string& user_id) {
    return Invite(*this, {room_id, user_id});
  }

  bool IsUnderWay(const std::string& room_id, const std::string& user_id);
  /// Blocks while an invite of the user to the room is under way, at most until `deadline`.
  void AwaitEnd(const std::string& room_id, const std::string& user_id, absl::Time deadline);

 private:
  std::mutex mutex_;
  std::condition_variable ended_;
  std::multiset<std::pair<std::string, std::string>> under_way_;  // (room, user)
};

}  // namespace postern::gateway
