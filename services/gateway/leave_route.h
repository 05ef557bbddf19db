// PUT /_matrix/federation/v1|v2/send_leave/{roomId}/{eventId}: the way of a leave, from row 6 of the table on.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "postern/store/v1/store.pb.h"
#include "services/gateway/event_signer.h"
#include "services/gateway/key_ring.h"
#include "services/gateway/leave_structure.h"
#include "services/gateway/room_turns.h"
#include "services/gateway/route.h"
#include "services/gateway/store_client.h"
#include "services/gateway/validator_client.h"

namespace postern::gateway {

enum class LeaveApi { kV1, kV2 };

/// What both versions of the route share.
struct LeaveServices {
  StoreClient& store;
  ValidatorClient& validator;
  const EventSigner& signer;
  KeyRing& key_ring;
  telemetry::Metrics& metrics;
  RoomTurns& turns;
  /// How many workers may wait for another server's keys at once.
  std::size_t max_key_waits = 4;
  /// Told after each commit how many forward extremities the room has.
  std::function<void(const std::string& room_id, std::uint32_t forward_extremities)> committed = [](auto&, auto) {};
};

class LeaveRoute : public PeerRoute {
 public:
  LeaveRoute(LeaveApi api, LeaveServices services);

  absl::StatusOr<http::Response> Handle(AuthenticRequest request) override;

 private:
  absl::StatusOr<matrix::v1::Outcome> Submit(AuthenticRequest& request);
  /// Takes what is to be judged out of `context`, and leaves its token.
  absl::StatusOr<matrix::v1::Verdict> Judge(const AuthenticRequest& request, const Leave& leave,
                                            store::v1::EventContext& context);
  absl::StatusOr<KnownKeysPtr> KeysFor(const AuthenticRequest& request, const Leave& leave);
  absl::StatusOr<std::string> CopyToStore(const matrix::v1::Verdict& verdict, const matrix::RoomRules& rules);

  const LeaveApi api_;
  const LeaveServices services_;
  std::atomic<std::size_t> key_waits_ = 0;
};

}  // namespace postern::gateway
