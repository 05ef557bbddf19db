// PUT /_matrix/federation/v1|v2/send_join/{roomId}/{eventId} (server-server API, "Joining Rooms").
#pragma once

#include "rpc/worker_pool.h"
#include "services/gateway/large_answers.h"
#include "services/gateway/membership_intake.h"
#include "services/gateway/restricted_joins.h"
#include "services/gateway/route.h"

namespace postern::gateway {

enum class JoinApi { kV1, kV2 };

class SendJoinRoute : public PeerRoute {
 public:
  /// Answers that do not fit into a piece take a place of `large_answers`, and are read by `readers` while they are
  /// sent.
  SendJoinRoute(JoinApi api, IntakeServices services, MissingEvents* missing_events, LargeAnswers& large_answers,
                rpc::WorkerPool& readers);

  /// Refuses besides what MembershipIntake does: what RestrictedJoins::Vouch does; kNotAuthorised for a join that
  /// soft-fails, of which nobody is told; kOverloaded while there are too many large answers: the join stands, and the
  /// same again is answered.
  absl::StatusOr<http::Response> Handle(AuthenticRequest request) override;

 private:
  absl::Status VouchIfOurs(const rpc::CallContext& call, OwnMembership& join, const store::v1::EventContext& context,
                           const matrix::RoomRules& rules);
  absl::StatusOr<http::Response> Answer(const AuthenticRequest& request, const OwnMembership& join);

  const JoinApi api_;
  StoreClient& store_;
  const EventSigner& signer_;
  telemetry::Metrics& metrics_;
  LargeAnswers& large_answers_;
  rpc::WorkerPool& readers_;
  RestrictedJoins restricted_;
  MembershipIntake intake_;
};

}  // namespace postern::gateway
