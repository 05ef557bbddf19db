// What this server writes into rooms: events of its own users, asked of the validator, hashed, signed and persisted
// like any other.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "matrix/identifiers.h"
#include "rpc/call_context.h"
#include "services/gateway/event_signer.h"
#include "services/gateway/event_template.h"
#include "services/gateway/key_ring.h"
#include "services/gateway/store_client.h"
#include "services/gateway/validator_client.h"

namespace postern::gateway {

struct OutboundInvite;

/// An event that is in its room, or about to be.
struct MintedEvent {
  std::string event_id;
  std::string type;
  std::string state_key;  // "" too if it is no state event
  std::string pdu;
  /// How many forward extremities the room has with it; 0: it is not there yet.
  std::uint32_t forward_extremities = 0;
};

/// Events that follow each other, once they are in their room.
struct MintedChain {
  std::size_t events = 0;
  /// Few are left of what there was before; whatever has come meanwhile.
  bool complete = false;
  /// How many forward extremities the room has with them.
  std::uint32_t forward_extremities = 0;
};

struct NewRoom {
  std::string version;
  matrix::UserId creator;
  std::string join_rule = "invite";
  /// Minted last, in this order; but the content of m.room.create is added to the create event's.
  std::vector<EventIntent> state;
};

struct SeedPlan {
  int users_per_room = 0;
  std::string user_prefix;
  matrix::ServerName remote;
  std::string membership;  // invite, join or knock
  /// Of each a user is joined.
  std::vector<matrix::ServerName> others{};
};

struct CreatedRoom {
  std::string room_id;
  std::vector<MintedEvent> events;
};

/// Thread-safe.
class RoomAuthor {
 public:
  RoomAuthor(const EventSigner& signer, StoreClient& store, ValidatorClient& validator, Clock clock);

  /// Makes a room: create, the creator's join, power levels, join rules, history visibility, and what `room` adds.
  /// Refuses: kUnsupportedVersion, kInvalidArgument, kNotAuthorised with the rule.
  absl::StatusOr<CreatedRoom> Create(const rpc::CallContext& call, const NewRoom& room);

  /// Adds one event as a user of this server; `intent.sender` empty: the room's creator. Refuses: kUnknownRoom,
  /// kInvalidArgument (no user of this server), kNotAuthorised with the rule, kRoomBusy.
  absl::StatusOr<MintedEvent> AddAsOurs(const rpc::CallContext& call, const std::string& room_id, EventIntent intent);

  /// Adds the member event `intent`, if the user's membership is one of `now` (none: whatever it is). Refuses:
  /// kNotAMember where it is another; else as AddAsOurs.
  absl::StatusOr<MintedEvent> SetMembership(const rpc::CallContext& call, const std::string& room_id,
                                            EventIntent intent, const std::vector<std::string>& now);

  /// Gives `user` another level in the room's power levels, or the default. `sender` empty: as the room's creator.
  /// Refuses: kNotFound where the room has no power levels; else as AddAsOurs.
  absl::StatusOr<MintedEvent> SetPowerLevel(const rpc::CallContext& call, const std::string& room_id,
                                            const matrix::UserId& user, std::optional<std::int64_t> level,
                                            const std::string& sender);

  /// Adds the invite `intent` once `sign` has had the invited user's server sign it: what it gives is stored, however
  /// the room has changed meanwhile, if it is still allowed. Refuses besides: what `sign` refuses; then nothing is
  /// stored.
  using Countersign = std::function<absl::StatusOr<std::string>(const OutboundInvite& invite)>;
  absl::StatusOr<MintedEvent> Invite(const rpc::CallContext& call, const std::string& room_id, EventIntent intent,
                                     const Countersign& sign);

  /// Takes the invite of `user` back, as the user who invited if it is one of this server; `sender` not empty: as that
  /// one. Refuses: kNotAMember where there is no such invite; else as AddAsOurs.
  absl::StatusOr<MintedEvent> Withdraw(const rpc::CallContext& call, const std::string& room_id,
                                       const matrix::UserId& user, const std::string& sender,
                                       const std::string& reason);

  /// Adds one event of any kind. Refuses: kUnknownRoom, kNotAuthorised with the rule, kStateUnresolved, kRoomBusy.
  absl::StatusOr<MintedEvent> Add(const rpc::CallContext& call, const std::string& room_id, const EventIntent& intent);

  /// Adds events of this kind, which is not of state, one after another: each cites the one before it and the oldest of
  /// the room's other forward extremities, until `few` are left or there are ExtremityChain::kMostEvents. One event, as
  /// Add, where all fit into it or their states diverge. Refuses: as Add, where none could be added.
  absl::StatusOr<MintedChain> AddChain(const rpc::CallContext& call, const std::string& room_id,
                                       const EventIntent& intent, std::size_t few);

  /// Fills a room that Create has just made with users of `plan.remote`. Their joins and knocks are stored as given,
  /// without that server's signature. Returns the users. Refuses: kSeedingOff.
  absl::StatusOr<std::vector<std::string>> Seed(const rpc::CallContext& call, const CreatedRoom& room,
                                                std::string_view version, const SeedPlan& plan);

  /// OK if the store lets rooms be seeded, else kSeedingOff.
  absl::Status SeedingAllowed(const rpc::CallContext& call);

 private:
  /// An event of ours before it is stored.
  struct Unstored {
    SignedEvent event;
    const matrix::RoomRules* rules;
    store::v1::PersistEventRequest write;
  };
  absl::StatusOr<Unstored> Mint(const rpc::CallContext& call, const std::string& room_id, const EventIntent& intent);
  /// What `intent` becomes at `place`, if the current state, as it was `read`, allows it.
  absl::StatusOr<Unstored> MintAt(const rpc::CallContext& call, const EventIntent& intent, const EventPlace& place,
                                  const store::v1::TemplateContext& context, const matrix::RoomRules& rules,
                                  const store::v1::GetTemplateContextRequest& read);
  /// `intent.sender`, or the creator of the room.
  absl::StatusOr<std::string> SenderOf(const rpc::CallContext& call, const std::string& room_id,
                                       const EventIntent& intent);
  /// The verdict on an event of ours that does not extend all extremities, by the six steps, with all branches where it
  /// takes them, as on anybody else's: `write` gets it, with the context it was judged on. Refuses: kNotAuthorised,
  /// kStateUnresolved.
  absl::Status JudgeBesideBranches(const rpc::CallContext& call, const EventIntent& intent, absl::Time now,
                                   store::v1::PersistEventRequest& write);
  /// The rule that allows it. Refuses: kNotAuthorised with the rule that does not.
  absl::StatusOr<validator::v1::AuthorizeResponse> Ask(const rpc::CallContext& call,
                                                       const validator::v1::AuthorizeRequest& question);

  const EventSigner& signer_;
  StoreClient& store_;
  ValidatorClient& validator_;
  const Clock clock_;
};

}  // namespace postern::gateway
