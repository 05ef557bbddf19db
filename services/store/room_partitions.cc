#include "services/store/room_partitions.h"

#include "services/store/statements.h"
#include "telemetry/log.h"

namespace postern::store {

absl::Status PartitionByRoom(DatabaseConnection& connection, int partitions) {
  if (partitions == 0) return absl::OkStatus();
  const auto found = connection.Call(kPartitionByRoom, Parameters().Integer(std::int64_t{partitions}));
  if (!found.ok()) return found.status();
  if (found->Integer(0, 0) != partitions) {
    telemetry::Log(telemetry::Level::kWarning, "the tables are not partitioned as room_partitions says",
                   {{"partitions", found->Integer(0, 0)}, {"room_partitions", partitions}});
  }
  return absl::OkStatus();
}

}  // namespace postern::store
