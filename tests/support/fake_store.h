// The store in memory: what the gateway's tests use in place of PostgreSQL. It passes the same contract suite as the
// real one (tests/contract/store_contract.h), served by the same StoreService.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "services/store/event_store.h"
#include "services/store/fetched_state_store.h"
#include "services/store/store_request.h"
#include "tests/support/told_branches.h"

namespace postern::support {

class FakeStore final : public store::EventStore, public store::FetchedStateStore {
 public:
  /// `server_name`: this server, left out of every row's destinations. `clock`: by which rates are forgotten.
  explicit FakeStore(std::string server_name, std::function<absl::Time()> clock = absl::Now)
      : server_name_(std::move(server_name)), clock_(std::move(clock)) {}

  absl::StatusOr<store::v1::EventContext> GetEventContext(const rpc::CallContext&,
                                                          const store::v1::GetEventContextRequest&) override;
  absl::StatusOr<store::v1::TemplateContext> GetTemplateContext(const rpc::CallContext&,
                                                                const store::v1::GetTemplateContextRequest&) override;
  absl::StatusOr<store::v1::PersistEventResponse> PersistEvent(const rpc::CallContext&,
                                                               const store::v1::PersistEventRequest&) override;
  absl::StatusOr<store::v1::LeaseExtremitiesResponse> LeaseExtremities(
      const rpc::CallContext&, const store::v1::LeaseExtremitiesRequest&) override;
  absl::Status CreateRoom(const rpc::CallContext&, const store::v1::CreateRoomRequest&) override;
  absl::Status SeedEvents(const rpc::CallContext&, const store::v1::SeedEventsRequest&) override;
  absl::StatusOr<store::v1::RoomDescription> GetRoom(const rpc::CallContext&,
                                                     const store::v1::GetRoomRequest&) override;
  absl::StatusOr<store::v1::ListRoomsResponse> ListRooms(const rpc::CallContext&,
                                                         const store::v1::ListRoomsRequest&) override;
  absl::StatusOr<store::v1::Member> GetMember(const rpc::CallContext&, const store::v1::GetMemberRequest&) override;
  absl::StatusOr<store::v1::ListMembersResponse> ListMembers(const rpc::CallContext&,
                                                             const store::v1::ListMembersRequest&) override;
  absl::StatusOr<store::v1::EventRecord> GetEvent(const rpc::CallContext&, const store::v1::GetEventRequest&) override;
  absl::StatusOr<store::v1::ListOutboxResponse> ListOutbox(const rpc::CallContext&,
                                                           const store::v1::ListOutboxRequest&) override;
  absl::StatusOr<store::v1::ListDecisionsResponse> ListDecisions(const rpc::CallContext&,
                                                                 const store::v1::ListDecisionsRequest&) override;
  absl::StatusOr<store::v1::DecisionContext> GetDecisionContext(const rpc::CallContext&,
                                                                const store::v1::GetDecisionContextRequest&) override;
  absl::StatusOr<store::v1::Neighbourhood> GetNeighbourhood(const rpc::CallContext&,
                                                            const store::v1::GetNeighbourhoodRequest&) override;
  absl::StatusOr<store::v1::LeaseDeliveriesResponse> LeaseDeliveries(
      const rpc::CallContext& call, const store::v1::LeaseDeliveriesRequest& request) override;
  absl::StatusOr<store::v1::ReportDeliveriesResponse> ReportDeliveries(
      const rpc::CallContext& call, const store::v1::ReportDeliveriesRequest& request) override;
  absl::Status EndBackOff(const rpc::CallContext& call, const store::v1::EndBackOffRequest& request) override;
  absl::StatusOr<store::v1::ListDestinationsResponse> ListDestinations(
      const rpc::CallContext& call, const store::v1::ListDestinationsRequest& request) override;
  absl::StatusOr<store::v1::SettleDestinationResponse> SettleDestination(
      const rpc::CallContext& call, const store::v1::SettleDestinationRequest& request) override;
  absl::StatusOr<store::v1::ShareRatesResponse> ShareRates(const rpc::CallContext&,
                                                           const store::v1::ShareRatesRequest&) override;
  absl::StatusOr<store::v1::GetMissingEventsResponse> GetMissingEvents(
      const rpc::CallContext& call, const store::v1::GetMissingEventsRequest& request) override;
  absl::StatusOr<store::v1::EventForPeer> GetEventForPeer(const rpc::CallContext& call,
                                                          const store::v1::GetEventForPeerRequest& request) override;
  absl::StatusOr<store::v1::GetAuthChainResponse> GetAuthChain(const rpc::CallContext& call,
                                                               const store::v1::GetAuthChainRequest& request) override;
  absl::StatusOr<store::v1::GetStateIdsResponse> GetStateIds(const rpc::CallContext& call,
                                                             const store::v1::GetStateIdsRequest& request) override;
  absl::StatusOr<store::v1::GetStatePageResponse> GetStatePage(const rpc::CallContext& call,
                                                               const store::v1::GetStatePageRequest& request) override;
  absl::StatusOr<store::v1::GetRoomEventsResponse> GetRoomEvents(
      const rpc::CallContext& call, const store::v1::GetRoomEventsRequest& request) override;
  absl::StatusOr<store::v1::ListRoomServersResponse> ListRoomServers(
      const rpc::CallContext& call, const store::v1::ListRoomServersRequest& request) override;
  absl::StatusOr<store::v1::JoinConditions> GetJoinConditions(
      const rpc::CallContext& call, const store::v1::GetJoinConditionsRequest& request) override;
  absl::StatusOr<store::v1::GetServerKeysResponse> GetServerKeys(const rpc::CallContext&,
                                                                 const store::v1::GetServerKeysRequest&) override;
  absl::Status PutServerKeys(const rpc::CallContext&, const store::v1::PutServerKeysRequest&) override;
  absl::StatusOr<store::v1::ReceivedTransaction> GetReceivedTransaction(
      const rpc::CallContext& call, const store::v1::GetReceivedTransactionRequest& request) override;
  absl::StatusOr<store::v1::ReceivedTransaction> KeepReceivedTransaction(
      const rpc::CallContext& call, const store::v1::KeepReceivedTransactionRequest& request) override;
  absl::StatusOr<store::v1::GetStateResponse> GetState(const rpc::CallContext& call,
                                                       const store::v1::GetStateRequest& request) override;
  absl::StatusOr<store::v1::GetBackfillResponse> GetBackfill(const rpc::CallContext& call,
                                                             const store::v1::GetBackfillRequest& request) override;
  absl::StatusOr<store::v1::Profile> GetProfile(const rpc::CallContext& call,
                                                const store::v1::GetProfileRequest& request) override;
  absl::StatusOr<store::v1::AliasTarget> GetAlias(const rpc::CallContext& call,
                                                  const store::v1::GetAliasRequest& request) override;
  absl::Status SetAlias(const rpc::CallContext& call, const store::v1::SetAliasRequest& request) override;
  absl::Status RemoveAlias(const rpc::CallContext& call, const store::v1::RemoveAliasRequest& request) override;
  absl::StatusOr<store::v1::ListAliasesResponse> ListAliases(const rpc::CallContext& call,
                                                             const store::v1::ListAliasesRequest& request) override;
  absl::StatusOr<store::v1::FindUnknownEventsResponse> FindUnknownEvents(
      const rpc::CallContext& call, const store::v1::FindUnknownEventsRequest& request) override;
  absl::StatusOr<store::v1::KeepFetchedStateResponse> KeepFetchedState(
      const rpc::CallContext& call, const store::v1::KeepFetchedStateRequest& request) override;

  /// As if the destinations that fail had done so for that much longer.
  void LetFailFor(absl::Duration time);

 private:
  using Key = matrix::StateKey;
  using State = matrix::StateMap;

  /// `fixed` of a state that has nothing in common with any other; less by a number for one that may have descendants.
  static constexpr std::size_t kNothingInCommon = std::size_t{1} << 62;
  /// One of Room::states, and the place of the newest event that led to it and does not commute.
  struct StatePlace {
    std::size_t state = 0;
    std::size_t fixed = 0;
    auto operator<=>(const StatePlace&) const = default;
  };
  struct StoredEvent {
    std::string pdu;
    store::EventColumns columns;
    matrix::v1::Outcome outcome = matrix::v1::OUTCOME_ACCEPTED;
    matrix::v1::Reason reason = matrix::v1::REASON_NONE;
    std::optional<matrix::v1::Verdict> verdict;
    std::string origin;
    std::int64_t stored_at_ms = 0;
    std::size_t ordering = 0;
    /// Known, but with no place in the graph.
    bool outlier = false;
    /// One of Room::states; nullopt where it is not known.
    std::optional<std::size_t> state_before;
    /// The same.
    std::optional<StatePlace> state_after;
  };
  struct Room {
    std::string version;
    bool ids_are_carried = false;
    std::map<std::string, StoredEvent> events;
    std::map<std::string, StoredEvent> refusals;
    /// States that other servers told to lie before events; places in `states`.
    std::map<std::string, std::size_t> given;
    /// Every state that the room has had, whole.
    std::vector<State> states;
    std::map<std::set<std::string>, StatePlace> states_of_extremities;
    StatePlace now;
    /// How many events have been stored.
    std::size_t ordering = 0;
    std::vector<std::string> extremities;
    /// What each accepted event changed, in their order; and whether it commutes.
    std::vector<std::pair<std::set<Key>, bool>> accepted;
    std::map<std::string, store::v1::Member> members;
    /// Who gathers the extremities, and until when.
    std::string holder;
    absl::Time held_until;
  };

  struct Delivery {
    std::string room_id;
    std::string event_id;
    std::int64_t created_at_ms = 0;
  };
  /// A destination, and what waits for it; the columns of PostgreSQL's `destinations`.
  struct Waiting {
    std::map<std::int64_t, Delivery> pending;
    std::vector<Delivery> parked;
    std::optional<std::int64_t> next_try_ms;
    std::string holder;
    absl::Time held_until = absl::InfinitePast();
    std::uint32_t failures = 0;
    std::optional<std::int64_t> failing_since_ms;
    std::string last_error;
    std::optional<std::int64_t> delivered_at_ms;
    std::string transaction_id;
    std::vector<std::int64_t> transaction;
    std::int64_t singly_until = 0;
    std::int64_t catch_up_until = 0;
  };

  /// What one gateway has of an origin.
  struct Rate {
    store::v1::ShareRatesRequest::Origin told;
    absl::Time until;
  };

  Room* Find(const std::string& room_id);
  std::optional<StatePlace> StateBefore(Room& room, const std::vector<std::string>& prev, bool extends) const;
  StatePlace Merged(Room& room, const std::set<StatePlace>& places) const;
  /// Adds branches to the context, and what they name to `named`. Returns the base.
  std::optional<std::size_t> AddBranches(const Room& room, const store::v1::GetEventContextRequest& request,
                                         const std::optional<StatePlace>& before, matrix::v1::JudgingContext& judging,
                                         std::set<std::string>& named) const;
  std::optional<MeetingStates> StatesThatMeet(const Room& room, const std::vector<std::string>& prev,
                                              const std::optional<StatePlace>& before) const;
  static std::set<std::string> Superseded(const Room& room, const std::vector<std::string>& prev);
  /// Stored, with a place in the graph.
  static bool InGraph(const Room& room, const std::string& event_id);
  /// The state that was told to lie before an event, while some of its prev events are not known.
  static std::optional<std::size_t> GivenBefore(const Room& room, const std::string& event_id,
                                                const std::vector<std::string>& prev);
  /// Says which of the prev events are known: `given`, all of them, for the state behind them was told.
  template <typename Ids>
  void ReferToPrev(const Room& room, const Ids& ids, bool given,
                   google::protobuf::RepeatedPtrField<matrix::v1::Reference>& references,
                   std::set<std::string>& cited) const {
    for (const std::string& id : ids) {
      matrix::v1::Reference& reference = *references.Add();
      reference.set_event_id(id);
      reference.set_rejected(!InGraph(room, id) && room.refusals.contains(id));
      reference.set_known(InGraph(room, id) || reference.rejected() || given);
      cited.insert(id);
    }
  }
  template <typename Ids>
  void ReferToAuth(const Room& room, const Ids& ids,
                   google::protobuf::RepeatedPtrField<matrix::v1::Reference>& references,
                   std::set<std::string>& cited) const {
    for (const std::string& id : ids) {
      matrix::v1::Reference& reference = *references.Add();
      reference.set_event_id(id);
      reference.set_rejected(!InGraph(room, id) && room.refusals.contains(id));
      reference.set_known(room.events.contains(id) || reference.rejected());
      cited.insert(id);
    }
  }
  /// The context of a decision that took branches: `then` is the room, and is put back to what it was then.
  void FillBranchesOf(Room then, const matrix::v1::RecordedInputs& inputs, const store::EventColumns& columns,
                      const std::vector<matrix::v1::StateKey>& keys, std::set<std::string> cited,
                      std::optional<std::size_t> given, matrix::v1::JudgingContext& judging) const;
  /// The two states, indices of Room::states, and the events named by them and by `cited`.
  void FillStates(const Room& room, const std::vector<matrix::v1::StateKey>& keys, const std::set<std::string>& cited,
                  std::optional<std::size_t> before, std::size_t now, matrix::v1::JudgingContext& judging) const;
  void FillJudging(const Room& room, const std::vector<matrix::v1::StateKey>& keys, const std::set<std::string>& cited,
                   const std::optional<StatePlace>& before, matrix::v1::JudgingContext& judging) const;
  absl::StatusOr<store::v1::EventContext> Context(const store::v1::GetEventContextRequest& request);
  bool Conflicts(const Room& room, const store::PersistRequest& checked, const matrix::v1::Verdict& verdict) const;
  void Store(Room& room, const store::v1::PersistEventRequest& request, const store::PersistRequest& checked);
  /// What the states after these have in common as their last change that does not commute.
  static std::optional<std::size_t> InCommon(const Room& room, const std::vector<std::string>& ids);
  /// The state before an event whose verdict stands.
  std::optional<std::size_t> KnownBefore(Room& room, const store::PersistRequest& checked) const;
  /// The candidates that are joined, and up to 20 other joined users of this server.
  std::vector<std::string> JoinedUsers(const Room& room,
                                       const google::protobuf::RepeatedPtrField<std::string>& candidates) const;
  /// Members by whom a room without a name is called, if it has none.
  std::vector<std::string> Heroes(const Room& room, const State& state, const std::string& sender) const;
  std::set<std::string> DestinationsOf(const Room& room, const store::v1::PersistEventRequest& request) const;
  void Extend(Room& room, const std::string& event_id, const std::vector<std::string>& prev);
  void Project(const std::string& room_id, Room& room, const Key& key, const std::string& event_id);
  void Append(const std::string& room_id, Room& room, const std::vector<store::GivenEvent>& events);
  void AddToOutbox(const std::string& room_id, const std::string& event_id, const std::set<std::string>& destinations);
  /// nullptr where there is no such event, or it was not accepted.
  static const StoredEvent* Accepted(const Room& room, const std::string& event_id);
  store::v1::RoomForPeer ForPeer(const std::string& room_id, const Room& room, const std::string& asker) const;
  store::v1::SeenByPeer SeenBy(const Room& room, const StoredEvent& event, const std::string& asker) const;
  /// nullopt: more than `most`.
  static std::optional<std::set<std::string>> AuthChain(const Room& room, std::vector<std::string> ids,
                                                        std::size_t most);
  void AddDeliveries(const std::string& room_id, const std::string& event_id,
                     const std::set<std::string>& destinations);
  /// Returns whether there were any.
  bool LeaveToDescendants(Waiting& waiting);
  void FormTransaction(Waiting& waiting);
  std::optional<store::v1::OutboundTransaction> NextTransaction(const std::string& name, Waiting& waiting);
  /// Returns how many PDUs were parked.
  /// 0: has taken something before; 1: nothing is known of it yet; 2: fails.
  static int TurnOf(const Waiting& waiting);
  std::uint32_t TakeDown(Waiting& waiting, const store::v1::DeliveryReport& report);

  const std::string server_name_;
  const std::function<absl::Time()> clock_;
  std::mutex mutex_;
  std::map<std::string, Room> rooms_;
  std::vector<store::v1::ListOutboxResponse::Row> outbox_;
  std::map<std::string, Waiting> destinations_;
  std::int64_t deliveries_ = 0;
  std::int64_t transactions_ = 0;
  std::map<std::string, store::v1::StoredServerKeys> keys_;
  std::map<std::string, std::map<std::string, Rate>> rates_;  // by holder, by origin
  struct Answered {
    std::string origin;
    std::string transaction_id;
    std::string answer;
    absl::Time at;
  };
  std::vector<Answered> answered_;              // the oldest first
  std::map<std::string, std::string> aliases_;  // the rooms of aliases
};

}  // namespace postern::support
