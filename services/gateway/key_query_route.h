// GET and POST /_matrix/key/v2/query: other servers' keys, with this server's signature as a notary (server-server API,
// "Querying Keys Through Another Server"; pitfalls K04, K05).
#pragma once

#include <optional>
#include <vector>

#include "services/gateway/event_signer.h"
#include "services/gateway/key_ring.h"
#include "services/gateway/key_route.h"
#include "services/gateway/route.h"

namespace postern::gateway {

/// The most servers that one query may name.
inline constexpr std::size_t kMostServersQueried = 50;

/// What is known and good for long enough is answered from memory; the rest is asked for, a few servers at a time,
/// within the key ring's bounds. A server whose keys cannot be had is left out of the answer; keys whose time is over
/// are better than none.
class KeyQueryRoute : public PublicRoute {
 public:
  KeyQueryRoute(const EventSigner& signer, KeyRing& key_ring, KeyRoute& own_keys, Clock clock);

  void Serve(std::shared_ptr<Exchange> exchange, std::optional<matrix::Json> content) override;

 private:
  const EventSigner& signer_;
  KeyRing& key_ring_;
  KeyRoute& own_keys_;
  const Clock clock_;
};

}  // namespace postern::gateway
