// GET /_matrix/federation/v1/make_leave/{roomId}/{userId}: the template of a leave (pitfalls L01-L04).
#pragma once

#include "matrix/identifiers.h"
#include "services/gateway/invites_under_way.h"
#include "services/gateway/key_ring.h"
#include "services/gateway/route.h"
#include "services/gateway/store_client.h"
#include "services/gateway/validator_client.h"

namespace postern::gateway {

class MakeLeaveRoute : public PeerRoute {
 public:
  MakeLeaveRoute(matrix::ServerName server_name, StoreClient& store, ValidatorClient& validator, KeyRing& key_ring,
                 InvitesUnderWay& invites, Clock clock);

  absl::StatusOr<http::Response> Handle(AuthenticRequest request) override;

 private:
  /// Of a user who has no membership that could be left, once an invite that is under way has ended.
  absl::StatusOr<store::v1::TemplateContext> ContextFor(const rpc::CallContext& call, const std::string& room_id,
                                                        const matrix::UserId& user);
  absl::StatusOr<matrix::JsonObject> Template(const AuthenticRequest& request, const matrix::UserId& user,
                                              const store::v1::TemplateContext& context,
                                              const matrix::RoomRules& rules);

  const matrix::ServerName server_name_;
  StoreClient& store_;
  ValidatorClient& validator_;
  KeyRing& key_ring_;
  InvitesUnderWay& invites_;
  const Clock clock_;
};

}  // namespace postern::gateway
