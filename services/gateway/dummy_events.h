// Dummy events: what this server writes into a room that has grown many forward extremities, so that they become one
// and the next events need not be judged against ever more branches.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "matrix/server_name.h"
#include "rpc/call_context.h"
#include "rpc/recent_names.h"
#include "rpc/worker_pool.h"
#include "services/gateway/alarm.h"
#include "services/gateway/clock.h"
#include "services/gateway/room_author.h"
#include "services/gateway/store_client.h"
#include "telemetry/metrics.h"

namespace postern::gateway {

/// A room is left alone up to this many.
inline constexpr std::uint32_t kMostForwardExtremities = 10;

/// Gathers in the background, one room at a time, under a lease of the room's, so that one gateway of several does. The
/// event is sent by the joined user of this server who has the most power, of those whom the rules let; where there is
/// none the extremities stay, and templates cite the 20 oldest. Counts postern_gateway_dummy_events_total by what came
/// of it.
class DummyEvents {
 public:
  /// Such an event: no content, and clients show nothing.
  static constexpr const char* kType = "org.matrix.dummy_event";

  DummyEvents(const matrix::ServerName& server, RoomAuthor& author, StoreClient& store, Alarm& alarm, Clock clock,
              telemetry::Metrics& metrics);

  /// A commit has left the room with so many forward extremities. Thread-safe, never blocks. Where they are too many
  /// they are gathered a moment later: a burst of leaves is gathered as a whole.
  void Notice(const std::string& room_id, std::uint32_t forward_extremities);

  /// Waits for the rooms that are being gathered. `alarm` has been stopped before.
  void Drain() { worker_.Drain(); }

 private:
  struct Room {
    std::string id;
    /// Users of this server whom the state names, the most powerful first.
    std::vector<std::string> candidates;
  };

  void Schedule(const std::string& room_id, absl::Duration pause);
  void Gather(const std::string& room_id);
  absl::Status GatherUnderLease(const Room& room);
  absl::Status MintUntilFew(const Room& room, const store::v1::LeaseExtremitiesResponse& lease);
  absl::StatusOr<std::vector<std::string>> Candidates(const std::string& room_id);
  absl::StatusOr<store::v1::LeaseExtremitiesResponse> Lease(const Room& room, const std::string& holder,
                                                            absl::Duration time);
  rpc::CallContext Call() const;

  const std::string server_;
  RoomAuthor& author_;
  StoreClient& store_;
  Alarm& alarm_;
  const Clock clock_;
  telemetry::Metrics& metrics_;
  std::mutex mutex_;
  std::set<std::string> waiting_;
  /// Rooms in which nobody here could send one, and when to try again.
  rpc::RecentNames<absl::Time> hopeless_;
  rpc::WorkerPool worker_;
};

}  // namespace postern::gateway
