// The EventStore on PostgreSQL: each call one statement, so one round trip; the work is done by functions in the
// database (services/store/functions).
#pragma once

#include <atomic>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "services/store/connection_pool.h"
#include "services/store/context_rows.h"
#include "services/store/context_token.h"
#include "services/store/database_watch.h"
#include "services/store/event_store.h"
#include "services/store/fetched_state_store.h"
#include "services/store/persist_batch.h"
#include "services/store/plain_persists.h"
#include "services/store/recalled_context.h"
#include "services/store/remembered_rooms.h"
#include "services/store/seen_origins.h"
#include "services/store/store_request.h"
#include "telemetry/metrics.h"

namespace postern::store {

struct PostgresEventStoreOptions {
  /// This server, left out of every row's destinations.
  std::string server_name;
  int refusals_limit = 10'000;
  int remote_servers_limit = 100'000;
  /// No rooms: every context is read as a whole, and what an event does to its room is always decided in the database.
  MemoryLimits memory = {};
};

class PostgresEventStore final : public EventStore, public FetchedStateStore {
 public:
  /// All outlive the store.
  PostgresEventStore(ConnectionPool& pool, DatabaseWatch& watch, telemetry::Metrics& metrics,
                     PostgresEventStoreOptions options);

  absl::StatusOr<v1::EventContext> GetEventContext(const rpc::CallContext& call,
                                                   const v1::GetEventContextRequest& request) override;
  /// The same for several requests, in their order: in one round trip where all that is remembered of their rooms still
  /// holds, or nothing is; else in two. Each is refused for itself, as
  /// GetEventContext would refuse it; one that PostgreSQL stumbles over harms none of the others. Requests with
  /// branches are answered too, but each costs a round trip of its own.
  std::vector<absl::StatusOr<v1::EventContext>> GetEventContexts(
      const rpc::CallContext& call, std::span<const v1::GetEventContextRequest* const> requests) override;
  absl::StatusOr<v1::TemplateContext> GetTemplateContext(const rpc::CallContext& call,
                                                         const v1::GetTemplateContextRequest& request) override;
  absl::StatusOr<v1::LeaseExtremitiesResponse> LeaseExtremities(const rpc::CallContext& call,
                                                                const v1::LeaseExtremitiesRequest& request) override;
  absl::StatusOr<v1::PersistEventResponse> PersistEvent(const rpc::CallContext& call,
                                                        const v1::PersistEventRequest& request) override;
  void PersistEvents(const rpc::CallContext& call, std::span<const v1::PersistEventRequest* const> requests,
                     LockedRooms locked, const PersistAnswer& answer) override;
  absl::Status CreateRoom(const rpc::CallContext& call, const v1::CreateRoomRequest& request) override;
  absl::Status SeedEvents(const rpc::CallContext& call, const v1::SeedEventsRequest& request) override;
  absl::StatusOr<v1::RoomDescription> GetRoom(const rpc::CallContext& call, const v1::GetRoomRequest& request) override;
  absl::StatusOr<v1::ListRoomsResponse> ListRooms(const rpc::CallContext& call,
                                                  const v1::ListRoomsRequest& request) override;
  absl::StatusOr<v1::Member> GetMember(const rpc::CallContext& call, const v1::GetMemberRequest& request) override;
  absl::StatusOr<v1::ListMembersResponse> ListMembers(const rpc::CallContext& call,
                                                      const v1::ListMembersRequest& request) override;
  absl::StatusOr<v1::EventRecord> GetEvent(const rpc::CallContext& call, const v1::GetEventRequest& request) override;
  absl::StatusOr<v1::ListOutboxResponse> ListOutbox(const rpc::CallContext& call,
                                                    const v1::ListOutboxRequest& request) override;
  absl::StatusOr<v1::ListDecisionsResponse> ListDecisions(const rpc::CallContext& call,
                                                          const v1::ListDecisionsRequest& request) override;
  absl::StatusOr<v1::DecisionContext> GetDecisionContext(const rpc::CallContext& call,
                                                         const v1::GetDecisionContextRequest& request) override;
  absl::StatusOr<v1::Neighbourhood> GetNeighbourhood(const rpc::CallContext& call,
                                                     const v1::GetNeighbourhoodRequest& request) override;
  absl::StatusOr<v1::LeaseDeliveriesResponse> LeaseDeliveries(const rpc::CallContext& call,
                                                              const v1::LeaseDeliveriesRequest& request) override;
  absl::StatusOr<v1::ReportDeliveriesResponse> ReportDeliveries(const rpc::CallContext& call,
                                                                const v1::ReportDeliveriesRequest& request) override;
  absl::Status EndBackOff(const rpc::CallContext& call, const v1::EndBackOffRequest& request) override;
  absl::StatusOr<v1::ListDestinationsResponse> ListDestinations(const rpc::CallContext& call,
                                                                const v1::ListDestinationsRequest& request) override;
  absl::StatusOr<v1::SettleDestinationResponse> SettleDestination(const rpc::CallContext& call,
                                                                  const v1::SettleDestinationRequest& request) override;
  absl::StatusOr<v1::ShareRatesResponse> ShareRates(const rpc::CallContext& call,
                                                    const v1::ShareRatesRequest& request) override;
  absl::StatusOr<v1::GetMissingEventsResponse> GetMissingEvents(const rpc::CallContext& call,
                                                                const v1::GetMissingEventsRequest& request) override;
  absl::StatusOr<v1::EventForPeer> GetEventForPeer(const rpc::CallContext& call,
                                                   const v1::GetEventForPeerRequest& request) override;
  absl::StatusOr<v1::GetAuthChainResponse> GetAuthChain(const rpc::CallContext& call,
                                                        const v1::GetAuthChainRequest& request) override;
  absl::StatusOr<v1::GetStateIdsResponse> GetStateIds(const rpc::CallContext& call,
                                                      const v1::GetStateIdsRequest& request) override;
  absl::StatusOr<v1::GetStatePageResponse> GetStatePage(const rpc::CallContext& call,
                                                        const v1::GetStatePageRequest& request) override;
  absl::StatusOr<v1::GetRoomEventsResponse> GetRoomEvents(const rpc::CallContext& call,
                                                          const v1::GetRoomEventsRequest& request) override;
  absl::StatusOr<v1::ListRoomServersResponse> ListRoomServers(const rpc::CallContext& call,
                                                              const v1::ListRoomServersRequest& request) override;
  absl::StatusOr<v1::JoinConditions> GetJoinConditions(const rpc::CallContext& call,
                                                       const v1::GetJoinConditionsRequest& request) override;
  absl::StatusOr<v1::GetServerKeysResponse> GetServerKeys(const rpc::CallContext& call,
                                                          const v1::GetServerKeysRequest& request) override;
  absl::Status PutServerKeys(const rpc::CallContext& call, const v1::PutServerKeysRequest& request) override;
  absl::StatusOr<v1::ReceivedTransaction> GetReceivedTransaction(
      const rpc::CallContext& call, const v1::GetReceivedTransactionRequest& request) override;
  absl::StatusOr<v1::ReceivedTransaction> KeepReceivedTransaction(
      const rpc::CallContext& call, const v1::KeepReceivedTransactionRequest& request) override;
  absl::StatusOr<v1::GetStateResponse> GetState(const rpc::CallContext& call,
                                                const v1::GetStateRequest& request) override;
  absl::StatusOr<v1::GetBackfillResponse> GetBackfill(const rpc::CallContext& call,
                                                      const v1::GetBackfillRequest& request) override;
  absl::StatusOr<v1::Profile> GetProfile(const rpc::CallContext& call, const v1::GetProfileRequest& request) override;
  absl::StatusOr<v1::AliasTarget> GetAlias(const rpc::CallContext& call, const v1::GetAliasRequest& request) override;
  absl::Status SetAlias(const rpc::CallContext& call, const v1::SetAliasRequest& request) override;
  absl::Status RemoveAlias(const rpc::CallContext& call, const v1::RemoveAliasRequest& request) override;
  absl::StatusOr<v1::ListAliasesResponse> ListAliases(const rpc::CallContext& call,
                                                      const v1::ListAliasesRequest& request) override;
  absl::StatusOr<v1::FindUnknownEventsResponse> FindUnknownEvents(const rpc::CallContext& call,
                                                                  const v1::FindUnknownEventsRequest& request) override;
  absl::StatusOr<v1::KeepFetchedStateResponse> KeepFetchedState(const rpc::CallContext& call,
                                                                const v1::KeepFetchedStateRequest& request) override;

 private:
  /// ListDecisions from where the rooms have been gone through.
  absl::StatusOr<v1::ListDecisionsResponse> ListRefusals(const rpc::CallContext& call,
                                                         const v1::ListDecisionsRequest& request);
  /// Runs a statement that may be run twice: once more, on a fresh connection, where the first one broke.
  absl::StatusOr<Rows> Read(const rpc::CallContext& call, const Statement& statement, const Parameters& parameters);
  /// Runs a statement that writes, until PostgreSQL has confirmed its commit without a warning. `parameters(in_doubt)`
  /// are those of an attempt; in_doubt: an earlier one may have been committed.
  template <typename MakeParameters>
  absl::StatusOr<Rows> Write(const rpc::CallContext& call, const Statement& statement, MakeParameters parameters,
                             bool in_doubt = false);
  absl::StatusOr<Rows> CallOn(const ConnectionPool::Lease& lease, const Statement& statement,
                              const Parameters& parameters);

  struct AskedContext;
  static Parameters ContextsParameters(std::span<const AskedContext> asked);
  void AnswerContexts(const rpc::CallContext& call, std::span<const AskedContext> asked);
  struct AskedRest;
  static Parameters RestsParameters(std::span<const AskedRest> asked);
  /// Reads only what is not remembered. Returns those that need more.
  std::vector<AskedContext> AnswerRests(const rpc::CallContext& call, std::vector<AskedRest> asked,
                                        std::uint64_t generation);
  void AnswerWhole(const rpc::CallContext& call, std::span<const AskedContext> asked);
  /// The answer that its rows make; what they tell of the room is remembered. They were read since that generation.
  absl::StatusOr<v1::EventContext> Remembered(ContextDecoder& decoder, std::uint64_t generation);
  /// What is worth it of what the database told.
  void Remember(ContextRows& context, std::uint64_t generation);
  absl::StatusOr<v1::EventContext> BranchedContext(const rpc::CallContext& call,
                                                   const v1::GetEventContextRequest& request,
                                                   const std::vector<matrix::v1::StateKey>& keys);
  absl::StatusOr<v1::DecisionContext> ContextOfDecision(const rpc::CallContext& call, const Statement& statement,
                                                        const Parameters& parameters, ContextDecoder decoder);
  /// The changes of members that come with a verdict; those that name other events are read from the database.
  absl::StatusOr<MemberChanges> MembersChangedBy(const rpc::CallContext& call, const CheckedPersist& persist);
  struct SoundPersist;
  /// As two transactions at most: what needs no decision of the database, then the rest.
  void PersistTogether(const rpc::CallContext& call, const std::vector<CheckedPersist>& company, LockedRooms locked,
                       const PersistAnswer& answer);
  /// The heads of rooms, as they are remembered; as they are, where somebody else has lately been found to write too.
  std::map<std::string, RoomHead> HeadsOf(const rpc::CallContext& call, const std::vector<SoundPersist>& company);
  /// Persists what is plain, and returns the rest. in_doubt: whether something may have been committed all the same.
  std::vector<SoundPersist> PersistPlain(const rpc::CallContext& call, std::vector<SoundPersist> company,
                                         const PersistAnswer& answer, bool& in_doubt);
  /// Whether it was written.
  bool WritePlain(const rpc::CallContext& call, const PlainPersists& plain, bool& in_doubt);
  void PersistByDatabase(const rpc::CallContext& call, const std::vector<SoundPersist>& company, LockedRooms locked,
                         const PersistAnswer& answer, bool in_doubt);
  void AnswerPersists(const std::vector<SoundPersist>& company, const Rows& rows, const PersistAnswer& answer);

  ConnectionPool& pool_;
  DatabaseWatch& watch_;
  telemetry::Metrics& metrics_;
  const PostgresEventStoreOptions options_;
  RememberedRooms rooms_;
  /// Until then (ms since 1970) heads are read before they are relied on: other stores write to the same rooms.
  std::atomic<std::int64_t> others_write_until_ = 0;
  SeenOrigins seen_;
};

}  // namespace postern::store
