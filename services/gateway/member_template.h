// Templates of a user's own leave, join or knock: what the user's server completes, signs and submits (pitfalls
// L01-L04).
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "matrix/auth_events.h"
#include "matrix/identifiers.h"
#include "matrix/json.h"
#include "matrix/room_rules.h"
#include "services/gateway/clock.h"
#include "services/gateway/invites_under_way.h"
#include "services/gateway/key_ring.h"
#include "services/gateway/peer_auth.h"
#include "services/gateway/remembered_access.h"
#include "services/gateway/store_client.h"
#include "services/gateway/validator_client.h"

namespace postern::gateway {

/// Who asks for a template, of whom and where.
struct TemplateQuestion {
  const AuthenticRequest& request;
  std::string room_id;
  matrix::UserId user;
};

/// Thread-safe.
class MemberTemplates {
 public:
  /// All outlive this.
  MemberTemplates(matrix::ServerName server_name, StoreClient& store, ValidatorClient& validator, KeyRing& key_ring,
                  RememberedAccess& access, InvitesUnderWay& invites, Clock clock);

  /// The room and the user that the path of `request` names, before any of the room's data is looked at. Refuses:
  /// kNoTemplate for a user of another server, kUnknownRoom.
  absl::StatusOr<TemplateQuestion> Read(const AuthenticRequest& request) const;

  /// The room as it is now, at `keys`. A user whose membership is not one of `enough` waits until an invite that is
  /// under way has ended; where there are none nobody does. Refuses: kUnknownRoom, also where no user of this server is
  /// in the room.
  absl::StatusOr<store::v1::TemplateContext> ContextFor(const TemplateQuestion& question,
                                                        const std::vector<matrix::StateKey>& keys,
                                                        const std::vector<std::string_view>& enough);

  /// The rules of a room that lets the asking server in. Refuses: kUnsupportedVersion, kFederationForbidden.
  absl::StatusOr<const matrix::RoomRules*> RulesFor(const TemplateQuestion& question,
                                                    const store::v1::TemplateContext& context);

  /// The event, once the rules let it be. Refuses: kNotAuthorised.
  absl::StatusOr<matrix::JsonObject> Template(const TemplateQuestion& question, matrix::JsonObject content,
                                              const store::v1::TemplateContext& context,
                                              const matrix::RoomRules& rules);

 private:
  const matrix::ServerName server_name_;
  StoreClient& store_;
  ValidatorClient& validator_;
  KeyRing& key_ring_;
  RememberedAccess& access_;
  InvitesUnderWay& invites_;
  const Clock clock_;
};

/// `{room_version, event}`.
http::Response TemplateAnswer(matrix::JsonObject event, const matrix::RoomRules& rules);

/// The room's version is one of those that the query offers by `ver`, or of `unless_given` where it offers none
/// (server-server API, "Joining Rooms"). Refuses: kIncompatibleVersion, with the version; kBadQuery where none is
/// offered and none is meant then.
absl::Status CheckOfferedVersions(const TemplateQuestion& question, std::string_view unless_given,
                                  const matrix::RoomRules& rules);

}  // namespace postern::gateway
