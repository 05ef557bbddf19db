// Invites that are taken back by who sent them: a leave that comes by /send for a room that nobody of this server is in
// (pitfall L17).
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "matrix/event.h"
#include "matrix/json.h"
#include "matrix/server_name.h"
#include "rpc/call_context.h"
#include "services/gateway/clock.h"
#include "services/gateway/invite_store_client.h"
#include "services/gateway/key_ring.h"

namespace postern::gateway {

/// Thread-safe.
class WithdrawnInvites {
 public:
  WithdrawnInvites(matrix::ServerName server_name, InviteStoreClient& invites, KeyRing& key_ring, Clock clock);

  /// Whether `pdu` is worth looking at: a leave of a user of this server by somebody else.
  bool MayBeOne(const matrix::JsonObject& pdu) const;

  /// The id of the leave, if it withdraws an invite that is kept: its sender is who invited, that one's server has
  /// signed it, and the invite is among its auth events. Keys are waited for until `keys_until`. Refuses: kUnknownRoom
  /// where there is no such invite; kBadFormat, kBadSignature, kSigningKeyUnavailable; what the store refuses.
  absl::StatusOr<std::string> Take(const rpc::CallContext& call, const matrix::JsonObject& pdu,
                                   const std::string& client_address, absl::Time keys_until);

 private:
  absl::Status CheckSignature(const matrix::Event& event, const std::string& client_address, absl::Time keys_until);

  const matrix::ServerName server_name_;
  InviteStoreClient& invites_;
  KeyRing& key_ring_;
  const Clock clock_;
};

}  // namespace postern::gateway
