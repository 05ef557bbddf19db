// Tables that are hash-partitioned by room: an option of the operator's (docs/postgresql.md says when it pays).
#pragma once

#include "absl/status/status.h"
#include "services/store/database_connection.h"

namespace postern::store {

/// Partitions the tables of a database that has held no room yet, and in one that is partitioned what a migration has
/// added; anything else stays as it is, and the log says so where that is not `partitions`. 0: nothing is done. The
/// functions are installed. Refuses: kStoreDown, kRoomBusy, kInternal.
absl::Status PartitionByRoom(DatabaseConnection& connection, int partitions);

}  // namespace postern::store
