// Whether another server may see an event (client-server API, "Room history visibility"; pitfall S04).
#pragma once

#include "postern/store/v1/store.pb.h"

namespace postern::gateway {

enum class Visibility {
  kWhole,
  /// What its room version protects from redaction: the graph, the hashes and the signatures, without the content.
  kRedacted,
  kNothing,
};

/// How much of an event its room shows to a server that has a user joined in it now (`resident`), or has none.
///
/// The visibility that holds is that of the state before the event. `world_readable`: anybody sees it. `joined`: those
/// servers that had a user joined. `invited`: those that had one joined or invited. `shared`, none at all and anything
/// else: those that had one joined, and every resident server, for its users may read back. A server that has left so
/// sees what was sent while it was there.
///
/// What is hidden from a resident server's users is given to it redacted: it needs the event to follow the room. To any
/// other server it is nothing.
Visibility VisibilityOf(const store::v1::SeenByPeer& seen, bool resident);

}  // namespace postern::gateway
