// The way in of every event that another server has made, once its own structure has been checked: context, keys, six
// steps, signature, persist (pitfall A02). What is special to a leave, or to an event that was fetched, comes with it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "matrix/event.h"
#include "matrix/json.h"
#include "matrix/room_rules.h"
#include "matrix/server_name.h"
#include "postern/store/v1/store.pb.h"
#include "rpc/call_context.h"
#include "services/gateway/event_signer.h"
#include "services/gateway/key_ring.h"
#include "services/gateway/places.h"
#include "services/gateway/remembered_access.h"
#include "services/gateway/remembered_templates.h"
#include "services/gateway/room_turns.h"
#include "services/gateway/store_client.h"
#include "services/gateway/validator_client.h"
#include "telemetry/metrics.h"

namespace postern::gateway {

struct IntakeServices {
  StoreClient& store;
  ValidatorClient& validator;
  const EventSigner& signer;
  KeyRing& key_ring;
  telemetry::Metrics& metrics;
  RoomTurns& turns;
  RememberedAccess& access;
  /// How many workers may wait for another server's keys at once.
  std::size_t max_key_waits = 4;
  /// Told after each commit how many forward extremities the room has.
  std::function<void(const std::string& room_id, std::uint32_t forward_extremities)> committed = [](auto&, auto) {};
  /// nullptr: every context is read.
  RememberedTemplates* templates = nullptr;
};

/// An event on its way in. What it refers to outlives the way.
struct IncomingEvent {
  /// Without `unsigned`.
  const matrix::JsonObject& json;
  /// The canonical JSON of `json`.
  const std::string& pdu;
  std::string room_id;
  std::string event_id;
  std::string sender;
  std::vector<std::string> prev_events;
  std::vector<std::string> auth_events;
  /// What of the room's state judging it, and `check`, need.
  std::vector<matrix::StateKey> state_keys;
  /// The key of state that it sets.
  std::optional<matrix::StateKey> own_key;

  /// The server that gave it to this one.
  matrix::ServerName origin;
  /// What is known of that server's keys; nullptr: they are asked for like those of any other.
  KnownKeysPtr origin_keys;
  std::string client_address;
  absl::Time received_at;
  /// Until when keys may be waited for.
  absl::Time keys_until;
  /// This server adds its signature.
  bool countersign = false;
  /// It seldom commutes with what else is stored in its room: after a conflict it waits for its turn there.
  bool by_turns = false;
  /// The origin tells the other servers of it.
  bool told_by_origin = false;

  /// What stands before the six steps, checked anew on every context. An outcome: it is stored already.
  std::function<absl::StatusOr<std::optional<matrix::v1::Outcome>>(const store::v1::EventContext&,
                                                                   const matrix::RoomRules&)>
      check;
  /// Called once if prev events are not known. Whether the context is to be read anew.
  std::function<absl::StatusOr<bool>(const store::v1::EventContext&, const matrix::RoomRules&)> fetch_missing =
      [](auto&, auto&) { return false; };
};

/// An event that is taken for what it says, whatever it is: without when it came and whose keys are known, to be
/// checked by nothing that is special to it. `event` and `pdu`, its canonical JSON, outlive its way.
IncomingEvent IncomingOf(const matrix::Event& event, const std::string& pdu, matrix::ServerName origin);

/// Row 10 of "Answers of send_leave": what is stored under the event's id, if that is this very event and it was
/// accepted or soft-failed. Refuses: kEventIdTaken, kInternal.
absl::StatusOr<const store::v1::ExistingEvent*> StoredAlready(const matrix::JsonObject& event,
                                                              const store::v1::EventContext& context,
                                                              const matrix::RoomRules& rules);

/// signatures[server] of an event; nullptr if there are none.
const matrix::JsonObject* SignaturesOf(const matrix::JsonObject& event, const std::string& server);
/// The ids of the ed25519 keys with which `server` has signed the event, as it says.
std::vector<std::string> KeyIdsOf(const matrix::JsonObject& event, const std::string& server);

/// The copy carries a signature of `server` that the stored event carries too, and none that differs.
bool SameSignatures(const matrix::JsonObject& copy, const matrix::JsonObject& stored, const std::string& server);

/// Thread-safe.
class EventIntake {
 public:
  explicit EventIntake(IntakeServices services);

  /// What the store says is committed: accepted or soft-failed. `verdict` is told what to note of it, as it comes to be
  /// known. Refuses: what `check` and `fetch_missing` refuse; the Reason of a verdict that is invalid or rejected;
  /// kUnsupportedVersion, kUnknownRoom; kSigningKeyUnavailable, kStateUnresolved, kRoomBusy, kOverloaded, kStoreDown,
  /// kValidatorDown, kDeadlineExceeded, kInternal.
  absl::StatusOr<matrix::v1::Outcome> Take(const rpc::CallContext& call, const IncomingEvent& event,
                                           std::string& verdict);

  /// Asks for the keys of all servers that have signed an event, and waits for none of them: so one that is away does
  /// not use up the time of the others.
  void AskForKeys(const matrix::JsonObject& event, const matrix::RoomRules& rules, const std::string& client_address);
  /// Adds the keys of all servers that must have signed the event, and waits for them. Refuses:
  /// kSigningKeyUnavailable, kOverloaded.
  absl::Status AddKeys(const IncomingEvent& event, const matrix::RoomRules& rules,
                       validator::v1::ValidateRequest& judge);

 private:
  class Passage;
  absl::StatusOr<KnownKeysPtr> KeysOf(const IncomingEvent& event, const std::string& server);

  const IntakeServices services_;
  Places key_waits_;
};

}  // namespace postern::gateway
