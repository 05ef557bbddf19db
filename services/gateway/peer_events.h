// What this server asks others about events (server-server API, "Backfilling and retrieving missing events").
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "matrix/json.h"
#include "matrix/server_name.h"
#include "services/gateway/event_signer.h"
#include "services/gateway/federation_client.h"

namespace postern::gateway {

struct MissingEventsQuery {
  std::string room_id;
  /// The events before these are wanted …
  std::vector<std::string> latest;
  /// … and what lies behind these is not.
  std::vector<std::string> earliest;
  int limit = 20;
};

class PeerEvents {
 public:
  virtual ~PeerEvents() = default;
  /// What `server` answers by get_missing_events, not looked at yet: as many as it likes, in its order. Waits until
  /// `deadline` at most. Refuses: kPeerUnavailable, for an answer that is none too.
  virtual absl::StatusOr<matrix::JsonArray> MissingEvents(const matrix::ServerName& server,
                                                          const MissingEventsQuery& query, absl::Time deadline) = 0;
};

/// Over federation. An answer of more than 2 MiB is none: 20 events have 1.25. Thread-safe.
class FederatedEvents : public PeerEvents {
 public:
  FederatedEvents(const EventSigner& signer, FederationClient& client) : signer_(signer), client_(client) {}

  absl::StatusOr<matrix::JsonArray> MissingEvents(const matrix::ServerName& server, const MissingEventsQuery& query,
                                                  absl::Time deadline) override;

 private:
  const EventSigner& signer_;
  FederationClient& client_;
};

}  // namespace postern::gateway
