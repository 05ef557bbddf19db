// The one place that uses this server's signing key, for typed purposes only (pitfall K08): there is no call that signs
// bytes it is given.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "matrix/json.h"
#include "matrix/room_rules.h"
#include "matrix/server_name.h"
#include "matrix/signature.h"
#include "postern/matrix/v1/judging.pb.h"
#include "services/gateway/key_document.h"
#include "services/gateway/signing_keys.h"

namespace postern::gateway {

class ReceivedInvite;
class VouchedJoin;

/// An event with this server's signature on it. Only EventSigner makes one.
class SignedEvent {
 public:
  const std::string& event_id() const { return event_id_; }
  /// Canonical JSON.
  const std::string& pdu() const { return pdu_; }

 private:
  friend class EventSigner;
  SignedEvent(std::string event_id, std::string pdu) : event_id_(std::move(event_id)), pdu_(std::move(pdu)) {}
  std::string event_id_;
  std::string pdu_;
};

/// Thread-safe.
class EventSigner {
 public:
  EventSigner(matrix::ServerName server_name, SigningKeys keys);

  const matrix::ServerName& server_name() const { return server_name_; }

  /// The `Authorization` header of a request of this server to `destination`. `uri` is the request target as it is
  /// sent; `content` nullptr for a request without a body.
  std::string SignRequestTo(const matrix::ServerName& destination, std::string_view method, std::string_view uri,
                            const matrix::Json* content) const;

  /// Hashes and signs an event whose sender is a user of this server. Refuses: kInvalidArgument for any other.
  absl::StatusOr<SignedEvent> SignOwnEvent(matrix::JsonObject event, const matrix::RoomRules& rules) const;

  /// Adds this server's signature to a user's own leave, join or knock that the six steps accepted (or soft-failed),
  /// keeping all that are there and never touching `hashes`. `copy` must be the bytes that the verdict judged. Refuses:
  /// kInternal for other bytes, for another outcome, and for anything else.
  absl::StatusOr<SignedEvent> Countersign(std::string_view copy, const matrix::v1::Verdict& verdict,
                                          const matrix::RoomRules& rules) const;

  /// The signatures of `join` with this server's among them: the room's rules want it of the server whose user is named
  /// in `join_authorised_via_users_server`, before they let the user in. Refuses: kInternal where that is no user of
  /// this server.
  absl::StatusOr<matrix::Json> SignVouched(const VouchedJoin& join, const matrix::RoomRules& rules) const;

  /// Adds this server's signature to another server's invite of a user of this one, which has been checked. Refuses:
  /// kInternal for what is no such invite.
  absl::StatusOr<SignedEvent> SignReceivedInvite(const ReceivedInvite& invite) const;

  /// How many bytes of canonical JSON `event`, now `canonical_bytes` long, will have once Countersign has signed it.
  std::size_t CountersignedBytes(const matrix::JsonObject& event, std::size_t canonical_bytes) const;

  /// The public keys, also those that have been given up, as another server would believe them: for events that claim
  /// to be signed by this one.
  matrix::ServerKeys PublicKeys(absl::Time valid_until) const;

  /// What GET /_matrix/key/v2/server answers: every key with every key's signature.
  std::string KeyDocument(absl::Time valid_until) const;

  /// Another server's document with this server's signature as a notary beside its own. Canonical JSON.
  std::string Notarise(const gateway::KeyDocument& document) const;

  /// From now on signs with `keys` (pitfall K02).
  void Rotate(SigningKeys keys);
  /// How often that was done.
  std::uint64_t rotations() const { return rotations_; }
  /// The id of the key that signs.
  std::string key_id() const { return Keys()->key_id(); }

 private:
  std::shared_ptr<const SigningKeys> Keys() const;

  const matrix::ServerName server_name_;
  mutable std::mutex mutex_;
  std::shared_ptr<const SigningKeys> keys_;
  std::atomic<std::uint64_t> rotations_ = 0;
};

}  // namespace postern::gateway
