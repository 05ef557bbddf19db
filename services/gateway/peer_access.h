// What stands before every read of another server: the room lets the server in, and the server may see what it asks
// about (pitfalls S04, R03, L15).
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "matrix/room_rules.h"
#include "matrix/server_name.h"
#include "postern/store/v1/store.pb.h"
#include "rpc/call_context.h"
#include "services/gateway/large_answers.h"
#include "services/gateway/peer_auth.h"
#include "services/gateway/store_client.h"

namespace postern::gateway {

/// The rules of a room that lets `asker` in; whether a user of this server is in it does not matter. Refuses:
/// kUnsupportedVersion, kFederationForbidden.
absl::StatusOr<const matrix::RoomRules*> RulesFor(const store::v1::RoomForPeer& room, const matrix::ServerName& asker);

/// A user of `asker` is joined now, or the room shows the event to it as it is. Refuses: kNotResident.
absl::Status CheckMaySee(const store::v1::RoomForPeer& room, const store::v1::SeenByPeer& seen);

/// Both of an event of a room, by a read that costs little: before one that costs much is begun for a stranger. Refuses
/// besides: kUnknownRoom; kUnknownEvent, but to those only whom the room lets in.
absl::Status CheckMayReadAbout(const std::string& room_id, const std::string& event_id, const matrix::ServerName& asker,
                               StoreClient& store, const rpc::CallContext& call);

/// What stands before a large answer about an event of a room: the same, and then a place for it, which is held until
/// it has been sent. Refuses besides: kOverloaded.
absl::StatusOr<std::shared_ptr<void>> AdmitLargeAnswer(const AuthenticRequest& request, const std::string& room_id,
                                                       const std::string& event_id, StoreClient& store,
                                                       KeyRing& key_ring, LargeAnswers& large_answers);

/// The event as the room shows it to `asker`: the PDU, the redacted copy of it, or "". kInternal if it cannot be read.
absl::StatusOr<std::string> ShownTo(const store::v1::RoomForPeer& room, const store::v1::SeenByPeer& seen,
                                    const std::string& pdu, const matrix::RoomRules& rules);

/// Of the events that the store has found, what is shown of each.
template <typename Found>
absl::StatusOr<std::vector<std::string>> ShownOf(const Found& found, const matrix::RoomRules& rules) {
  std::vector<std::string> shown;
  for (const auto& event : found.events()) {
    auto pdu = ShownTo(found.room(), event.seen(), event.pdu(), rules);
    if (!pdu.ok()) return pdu.status();
    if (!pdu->empty()) shown.push_back(*std::move(pdu));
  }
  return shown;
}

}  // namespace postern::gateway
