// Who runs the server under test: makes rooms, invites, bans, through the gateway's own Admin service.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "postern/gateway/v1/admin.grpc.pb.h"
#include "tests/flow/running_stack.h"

namespace postern::flow {

/// A room as it was made.
struct NewRoom {
  std::string room_id;
  std::map<std::string, std::string> event_ids;  // of its state events, by type
};

/// A room full of members of another server.
struct SeededRoom {
  std::string room_id;
  std::vector<std::string> users;
};

/// Every call throws if it is refused. Thread-safe.
class RoomOperator {
 public:
  explicit RoomOperator(const RunningStack& stack);

  /// A room of @boss of this server that anybody may join; `create_content` is added to that of the create event.
  NewRoom CreateRoom(std::string_view version, std::string_view create_content = "{}") const;
  /// Returns the event's id.
  std::string Invite(const std::string& room_id, const std::string& user_id) const;
  void Ban(const std::string& room_id, const std::string& user_id) const;
  /// Under the empty state key.
  void SetState(const std::string& room_id, std::string_view type, std::string_view content) const;
  /// `others`: further servers, of each of which a user is joined.
  SeededRoom Seed(std::string_view version, const std::string& remote, std::string_view membership, int users,
                  const std::vector<std::string>& others = {}) const;

 private:
  std::string boss_;
  std::unique_ptr<gateway::v1::Admin::Stub> admin_;
};

}  // namespace postern::flow
