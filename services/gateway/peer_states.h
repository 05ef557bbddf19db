// What this server asks others about the state of a room (server-server API, "Retrieving events").
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "matrix/json.h"
#include "matrix/server_name.h"
#include "services/gateway/event_signer.h"
#include "services/gateway/federation_client.h"

namespace postern::gateway {

/// As it was answered, not looked at yet but for ids being strings.
struct ToldStateIds {
  std::vector<std::string> state;
  std::vector<std::string> auth_chain;
};

/// Each waits until `deadline` at most, and refuses: kPeerUnavailable, for an answer that is none too.
class PeerStates {
 public:
  virtual ~PeerStates() = default;
  /// The state before an event.
  virtual absl::StatusOr<ToldStateIds> StateIds(const matrix::ServerName& server, std::string_view room_id,
                                                std::string_view event_id, absl::Time deadline) = 0;
  /// The same with the events of it and of its auth chain, in one list.
  virtual absl::StatusOr<matrix::JsonArray> State(const matrix::ServerName& server, std::string_view room_id,
                                                  std::string_view event_id, absl::Time deadline) = 0;
  virtual absl::StatusOr<matrix::Json> Event(const matrix::ServerName& server, std::string_view event_id,
                                             absl::Time deadline) = 0;
};

/// Over federation. Longer answers than 2 MiB of ids, 8 MiB of events or 128 KiB of one event are none. Thread-safe.
class FederatedStates : public PeerStates {
 public:
  FederatedStates(const EventSigner& signer, FederationClient& client) : signer_(signer), client_(client) {}

  absl::StatusOr<ToldStateIds> StateIds(const matrix::ServerName& server, std::string_view room_id,
                                        std::string_view event_id, absl::Time deadline) override;
  absl::StatusOr<matrix::JsonArray> State(const matrix::ServerName& server, std::string_view room_id,
                                          std::string_view event_id, absl::Time deadline) override;
  absl::StatusOr<matrix::Json> Event(const matrix::ServerName& server, std::string_view event_id,
                                     absl::Time deadline) override;

 private:
  absl::StatusOr<matrix::JsonObject> Get(const matrix::ServerName& server, std::string target, std::size_t most_bytes,
                                         absl::Time deadline);

  const EventSigner& signer_;
  FederationClient& client_;
};

}  // namespace postern::gateway
