#include "services/gateway/peer_access.h"

#include "matrix/canonical_json.h"
#include "matrix/identifiers.h"
#include "matrix/json.h"
#include "matrix/redaction.h"
#include "matrix/refusal.h"
#include "services/gateway/event_visibility.h"
#include "services/gateway/room_access.h"

namespace postern::gateway {

using matrix::Reason;
using matrix::Refuse;

absl::StatusOr<const matrix::RoomRules*> RulesFor(const store::v1::RoomForPeer& room, const matrix::ServerName& asker) {
  const auto rules = RulesOfRoom(room.room());
  if (!rules.ok()) return rules.status();
  if (absl::Status status = CheckRoomAccess(room.room(), asker); !status.ok()) return status;
  return *rules;
}

absl::Status CheckMaySee(const store::v1::RoomForPeer& room, const store::v1::SeenByPeer& seen) {
  if (VisibilityOf(seen, room.asker_joined()) != Visibility::kNothing) return absl::OkStatus();
  return Refuse(Reason::kNotResident, "this server is not in the room, and was not when the event was sent");
}

absl::Status CheckMayReadAbout(const std::string& room_id, const std::string& event_id, const matrix::ServerName& asker,
                               StoreClient& store, const rpc::CallContext& call) {
  store::v1::GetEventForPeerRequest read;
  read.set_room_id(room_id);
  read.set_event_id(event_id);
  read.set_asker(asker.text());
  const auto event = store.GetEventForPeer(call, read);
  if (event.ok()) {
    const auto rules = RulesFor(event->room(), asker);
    return rules.ok() ? CheckMaySee(event->room(), event->seen()) : rules.status();
  }
  if (matrix::ReasonOf(event.status()) != Reason::kUnknownEvent) return event.status();
  store::v1::GetMissingEventsRequest room;  // of no event: the room alone
  room.set_room_id(room_id);
  room.set_asker(asker.text());
  room.set_limit(1);
  const auto answer = store.GetMissingEvents(call, room);
  if (!answer.ok()) return answer.status();
  const auto rules = RulesFor(answer->room(), asker);
  return rules.ok() ? event.status() : rules.status();
}

absl::StatusOr<std::shared_ptr<void>> AdmitLargeAnswer(const AuthenticRequest& request, const std::string& room_id,
                                                       const std::string& event_id, StoreClient& store,
                                                       KeyRing& key_ring, LargeAnswers& large_answers) {
  if (!matrix::IsRoomId(room_id)) return Refuse(Reason::kUnknownRoom, "the room is not known");
  const absl::Status may = CheckMayReadAbout(room_id, event_id, request.origin(), store, request.exchange().call());
  if (!may.ok()) return may;
  key_ring.Keep(request.origin());
  auto place = large_answers.Take(request.origin().text());
  if (place == nullptr) return Refuse(Reason::kOverloaded, "too many large answers at once");
  return place;
}

absl::StatusOr<std::string> ShownTo(const store::v1::RoomForPeer& room, const store::v1::SeenByPeer& seen,
                                    const std::string& pdu, const matrix::RoomRules& rules) {
  switch (VisibilityOf(seen, room.asker_joined())) {
    case Visibility::kWhole:
      return pdu;
    case Visibility::kNothing:
      return "";
    case Visibility::kRedacted:
      break;
  }
  const auto event = matrix::ParseJson(pdu);
  if (!event.ok() || event->AsObject() == nullptr) return Refuse(Reason::kInternal, "a stored event cannot be read");
  return matrix::CanonicalJson(matrix::Redact(*event->AsObject(), rules));
}

}  // namespace postern::gateway
