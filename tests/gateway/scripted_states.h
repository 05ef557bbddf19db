// Other servers asked about the state of a room, and the store that keeps what they told: each doing what the test
// says.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "matrix/refusal.h"
#include "services/gateway/fetched_state_client.h"
#include "services/gateway/peer_states.h"

namespace postern::gateway {

/// Away, unless a test says more.
class ScriptedPeerStates : public PeerStates {
 public:
  std::function<absl::StatusOr<ToldStateIds>(const std::string& event_id)> on_ids;
  std::function<absl::StatusOr<matrix::JsonArray>(const std::string& event_id)> on_state;
  std::function<absl::StatusOr<matrix::Json>(const std::string& event_id)> on_event;

  absl::StatusOr<ToldStateIds> StateIds(const matrix::ServerName&, std::string_view, std::string_view event_id,
                                        absl::Time) override {
    return on_ids ? on_ids(std::string(event_id)) : Away();
  }
  absl::StatusOr<matrix::JsonArray> State(const matrix::ServerName&, std::string_view, std::string_view event_id,
                                          absl::Time) override {
    return on_state ? on_state(std::string(event_id)) : Away();
  }
  absl::StatusOr<matrix::Json> Event(const matrix::ServerName&, std::string_view event_id, absl::Time) override {
    return on_event ? on_event(std::string(event_id)) : Away();
  }

 private:
  static absl::Status Away() { return matrix::Refuse(matrix::Reason::kPeerUnavailable, "scripted"); }
};

class ScriptedFetchedStates : public FetchedStateClient {
 public:
  std::function<absl::StatusOr<store::v1::FindUnknownEventsResponse>(const store::v1::FindUnknownEventsRequest&)>
      on_unknown;
  std::function<absl::StatusOr<store::v1::KeepFetchedStateResponse>(const store::v1::KeepFetchedStateRequest&)> on_keep;

  absl::StatusOr<store::v1::FindUnknownEventsResponse> FindUnknownEvents(
      const rpc::CallContext&, const store::v1::FindUnknownEventsRequest& request) override {
    return on_unknown ? on_unknown(request) : Down();
  }
  absl::StatusOr<store::v1::KeepFetchedStateResponse> KeepFetchedState(
      const rpc::CallContext&, const store::v1::KeepFetchedStateRequest& request) override {
    return on_keep ? on_keep(request) : Down();
  }

 private:
  static absl::Status Down() { return matrix::Refuse(matrix::Reason::kStoreDown, "scripted"); }
};

}  // namespace postern::gateway
