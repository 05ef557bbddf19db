// GET /_matrix/federation/v1/make_join/{roomId}/{userId}: the template of a join (server-server API, "Joining Rooms").
#pragma once

#include "services/gateway/member_template.h"
#include "services/gateway/restricted_joins.h"
#include "services/gateway/route.h"

namespace postern::gateway {

class MakeJoinRoute : public PeerRoute {
 public:
  MakeJoinRoute(const matrix::ServerName& server_name, StoreClient& store, ValidatorClient& validator,
                KeyRing& key_ring, RememberedAccess& access, InvitesUnderWay& invites, Clock clock);

  absl::StatusOr<http::Response> Handle(AuthenticRequest request) override;

 private:
  absl::StatusOr<matrix::JsonObject> Template(const TemplateQuestion& question,
                                              const store::v1::TemplateContext& context,
                                              const matrix::RoomRules& rules);
  /// One that names a user of this server who may vouch for it.
  absl::StatusOr<matrix::JsonObject> VouchedTemplate(const TemplateQuestion& question,
                                                     const store::v1::TemplateContext& context,
                                                     const matrix::RoomRules& rules);

  MemberTemplates templates_;
  RestrictedJoins restricted_;
};

}  // namespace postern::gateway
