// GET /_matrix/federation/v1/make_leave/{roomId}/{userId}: the template of a leave (pitfalls L01-L04).
#pragma once

#include "services/gateway/member_template.h"
#include "services/gateway/remembered_templates.h"
#include "services/gateway/route.h"

namespace postern::gateway {

class MakeLeaveRoute : public PeerRoute {
 public:
  MakeLeaveRoute(matrix::ServerName server_name, StoreClient& store, ValidatorClient& validator, KeyRing& key_ring,
                 RememberedAccess& access, InvitesUnderWay& invites, RememberedTemplates& remembered, Clock clock);

  absl::StatusOr<http::Response> Handle(AuthenticRequest request) override;

 private:
  MemberTemplates templates_;
  RememberedTemplates& remembered_;
};

}  // namespace postern::gateway
