// The answer to an accepted join: the room's state before it, the auth chain, and the room's servers (server-server
// API, "Joining Rooms"; PUT /v2/send_join). Read and written page by page: however large the room is, memory holds a
// page and what tells the auth events that are written already from those that are not.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/container/flat_hash_set.h"
#include "absl/numeric/int128.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "http/http_message.h"
#include "postern/store/v1/store.pb.h"
#include "rpc/call_context.h"
#include "rpc/worker_pool.h"
#include "services/gateway/store_client.h"

namespace postern::gateway {

/// What is answered.
struct JoinedRoom {
  std::string room_id{};
  /// Of the join, which is stored and accepted.
  std::string event_id{};
  std::string user{};
  /// This server.
  std::string server_name{};
  /// Leave members out of the state, and out of the auth chain what is in the state.
  bool omit_members = false;
  /// As v1 has it: the second item of an array.
  bool in_array = false;
};

/// Used by one thread at a time.
class JoinAnswer {
 public:
  JoinAnswer(StoreClient& store, JoinedRoom room);

  /// The next part of the JSON, about 1 MiB at most; "" after the last. Refuses: kUnknownEvent, kStateUnresolved;
  /// kAnswerTooLarge beyond a million auth events.
  absl::StatusOr<std::string> Next(const rpc::CallContext& call);

 private:
  enum class Part { kEvent, kState, kAuthChain, kServers, kEnd };

  absl::Status WriteEvent(const rpc::CallContext& call, std::string& json);
  absl::Status WriteState(const rpc::CallContext& call, std::string& json);
  absl::Status WriteAuthChain(const rpc::CallContext& call, std::string& json);
  absl::Status WriteServers(const rpc::CallContext& call, std::string& json);
  void WriteItem(std::string_view item, std::string& json);
  /// Those of its auth events that have not been seen yet are to be written.
  absl::Status Follow(const store::v1::RoomEvent& event);
  void Await(std::string_view event_id);
  std::string PendingAt(std::size_t place) const;
  void LeaveOutWhatIsTold();
  static absl::uint128 HashOf(std::string_view event_id);

  StoreClient& store_;
  const JoinedRoom room_;
  Part part_ = Part::kEvent;
  bool first_item_ = true;
  std::optional<matrix::v1::StateKey> place_;
  std::string last_server_;
  /// Halves of the hashes of the ids: of a million events, 17 to 34 MB.
  absl::flat_hash_set<absl::uint128> seen_;
  /// Of those of the state, where they need not be told twice.
  absl::flat_hash_set<absl::uint128> told_;
  /// Ids that are still to be written, each after a byte that says how long it is; those before `next_pending_` are
  /// done.
  std::string pending_;
  std::size_t next_pending_ = 0;
};

/// The rest of a join's answer as it is sent. Pages are read by `readers`, which outlives it; `made_until`: what is not
/// read by then is not sent.
std::shared_ptr<http::BodySource> StreamJoinAnswer(std::shared_ptr<JoinAnswer> answer, rpc::WorkerPool& readers,
                                                   telemetry::TraceContext trace, absl::Time made_until);

}  // namespace postern::gateway
