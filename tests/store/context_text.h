// Contexts that are to be the same, whatever the order in which a store tells what is in them.
#pragma once

#include <string>

#include "postern/store/v1/store.pb.h"

namespace postern::support {

/// Its lists, but for what an event cites, are in an order of their own: that in which a store tells them is a plan's,
/// and plans change with what is known of tables.
std::string TextOf(store::v1::EventContext context);

}  // namespace postern::support
