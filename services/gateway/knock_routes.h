// GET /_matrix/federation/v1/make_knock/{roomId}/{userId} and PUT …/send_knock/{roomId}/{eventId} (server-server API,
// "Knocking upon a room"). A knock is withdrawn by a leave.
#pragma once

#include "services/gateway/member_template.h"
#include "services/gateway/membership_intake.h"
#include "services/gateway/route.h"

namespace postern::gateway {

class MakeKnockRoute : public PeerRoute {
 public:
  MakeKnockRoute(const matrix::ServerName& server_name, StoreClient& store, ValidatorClient& validator,
                 KeyRing& key_ring, RememberedAccess& access, InvitesUnderWay& invites, Clock clock);

  absl::StatusOr<http::Response> Handle(AuthenticRequest request) override;

 private:
  MemberTemplates templates_;
};

class SendKnockRoute : public PeerRoute {
 public:
  SendKnockRoute(IntakeServices services, MissingEvents* missing_events);

  /// A knock that soft-fails is kNotAuthorised: nobody is told of it.
  absl::StatusOr<http::Response> Handle(AuthenticRequest request) override;

 private:
  StoreClient& store_;
  MembershipIntake intake_;
};

}  // namespace postern::gateway
