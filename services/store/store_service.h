// The Store's rpcs: moves each call off gRPC's thread onto a bounded pool, counts, logs, and asks the EventStore.
// Events that are to be persisted are gathered: what comes while a commit is under way goes together in the next.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "postern/store/v1/store.grpc.pb.h"
#include "rpc/batch_pool.h"
#include "rpc/pending_call.h"
#include "rpc/worker_pool.h"
#include "services/store/event_store.h"
#include "services/store/store_calls.h"
#include "telemetry/metrics.h"

namespace postern::store {

struct StoreServiceOptions {
  bool allow_seeding = false;
  rpc::BatchLimits persists{};
  rpc::BatchLimits contexts{};
};

class StoreService final : public v1::Store::CallbackService {
 public:
  /// All outlive the service. A call that finds the queue of `workers` full is refused: kOverloaded. One whose deadline
  /// has passed, or that was cancelled, by the time its turn comes is not begun.
  StoreService(EventStore& store, rpc::WorkerPool& workers, telemetry::Metrics& metrics,
               const StoreServiceOptions& options);

  /// Calls that are answered together with others, whether they came alone or in one message.
  using PendingPersist = rpc::TypedCall<v1::PersistEventRequest, v1::PersistEventResponse>;
  using PendingContext = rpc::TypedCall<v1::GetEventContextRequest, v1::EventContext>;
  void Take(std::vector<PendingPersist> pending);
  void Take(std::vector<PendingContext> pending);

  /// Calls that wait or are worked on, but for batches that a transaction has taken.
  std::size_t under_way() const { return workers_.under_way() + persists_.queued() + contexts_.queued(); }

  using Call = grpc::CallbackServerContext;
  using Reactor = grpc::ServerUnaryReactor;
  Reactor* GetEventContext(Call*, const v1::GetEventContextRequest*, v1::EventContext*) override;
  Reactor* GetTemplateContext(Call*, const v1::GetTemplateContextRequest*, v1::TemplateContext*) override;
  Reactor* LeaseExtremities(Call*, const v1::LeaseExtremitiesRequest*, v1::LeaseExtremitiesResponse*) override;
  Reactor* PersistEvent(Call*, const v1::PersistEventRequest*, v1::PersistEventResponse*) override;
  Reactor* CreateRoom(Call*, const v1::CreateRoomRequest*, v1::CreateRoomResponse*) override;
  Reactor* SeedEvents(Call*, const v1::SeedEventsRequest*, v1::SeedEventsResponse*) override;
  Reactor* GetServerKeys(Call*, const v1::GetServerKeysRequest*, v1::GetServerKeysResponse*) override;
  Reactor* PutServerKeys(Call*, const v1::PutServerKeysRequest*, v1::PutServerKeysResponse*) override;
  Reactor* GetRoom(Call*, const v1::GetRoomRequest*, v1::RoomDescription*) override;
  Reactor* ListRooms(Call*, const v1::ListRoomsRequest*, v1::ListRoomsResponse*) override;
  Reactor* GetMember(Call*, const v1::GetMemberRequest*, v1::Member*) override;
  Reactor* ListMembers(Call*, const v1::ListMembersRequest*, v1::ListMembersResponse*) override;
  Reactor* GetEvent(Call*, const v1::GetEventRequest*, v1::EventRecord*) override;
  Reactor* ListOutbox(Call*, const v1::ListOutboxRequest*, v1::ListOutboxResponse*) override;
  Reactor* LeaseDeliveries(Call*, const v1::LeaseDeliveriesRequest*, v1::LeaseDeliveriesResponse*) override;
  Reactor* ReportDeliveries(Call*, const v1::ReportDeliveriesRequest*, v1::ReportDeliveriesResponse*) override;
  Reactor* EndBackOff(Call*, const v1::EndBackOffRequest*, v1::EndBackOffResponse*) override;
  Reactor* ListDestinations(Call*, const v1::ListDestinationsRequest*, v1::ListDestinationsResponse*) override;
  Reactor* SettleDestination(Call*, const v1::SettleDestinationRequest*, v1::SettleDestinationResponse*) override;
  Reactor* ShareRates(Call*, const v1::ShareRatesRequest*, v1::ShareRatesResponse*) override;
  Reactor* GetEventForPeer(Call*, const v1::GetEventForPeerRequest*, v1::EventForPeer*) override;
  Reactor* GetMissingEvents(Call*, const v1::GetMissingEventsRequest*, v1::GetMissingEventsResponse*) override;
  Reactor* GetAuthChain(Call*, const v1::GetAuthChainRequest*, v1::GetAuthChainResponse*) override;
  Reactor* GetStateIds(Call*, const v1::GetStateIdsRequest*, v1::GetStateIdsResponse*) override;
  Reactor* GetStatePage(Call*, const v1::GetStatePageRequest*, v1::GetStatePageResponse*) override;
  Reactor* GetRoomEvents(Call*, const v1::GetRoomEventsRequest*, v1::GetRoomEventsResponse*) override;
  Reactor* ListRoomServers(Call*, const v1::ListRoomServersRequest*, v1::ListRoomServersResponse*) override;
  Reactor* GetJoinConditions(Call*, const v1::GetJoinConditionsRequest*, v1::JoinConditions*) override;
  Reactor* ListDecisions(Call*, const v1::ListDecisionsRequest*, v1::ListDecisionsResponse*) override;
  Reactor* GetDecisionContext(Call*, const v1::GetDecisionContextRequest*, v1::DecisionContext*) override;
  Reactor* GetNeighbourhood(Call*, const v1::GetNeighbourhoodRequest*, v1::Neighbourhood*) override;
  Reactor* GetReceivedTransaction(Call*, const v1::GetReceivedTransactionRequest*, v1::ReceivedTransaction*) override;
  Reactor* KeepReceivedTransaction(Call*, const v1::KeepReceivedTransactionRequest*, v1::ReceivedTransaction*) override;
  Reactor* GetState(Call*, const v1::GetStateRequest*, v1::GetStateResponse*) override;
  Reactor* GetBackfill(Call*, const v1::GetBackfillRequest*, v1::GetBackfillResponse*) override;
  Reactor* GetProfile(Call*, const v1::GetProfileRequest*, v1::Profile*) override;
  Reactor* GetAlias(Call*, const v1::GetAliasRequest*, v1::AliasTarget*) override;
  Reactor* SetAlias(Call*, const v1::SetAliasRequest*, v1::SetAliasResponse*) override;
  Reactor* RemoveAlias(Call*, const v1::RemoveAliasRequest*, v1::RemoveAliasResponse*) override;
  Reactor* ListAliases(Call*, const v1::ListAliasesRequest*, v1::ListAliasesResponse*) override;

 private:
  /// Runs `work` on a worker and finishes the call with its status.
  Reactor* Run(Call* call, std::string_view method, std::function<absl::Status(const rpc::CallContext&)> work);
  template <typename Request, typename Response>
  Reactor* Read(Call* call, std::string_view method, const Request* request, Response* response,
                absl::StatusOr<Response> (EventStore::*ask)(const rpc::CallContext&, const Request&));

  /// Those whose turn has not come too late: the others are finished. `requests` are theirs; `together` has as much
  /// time as the one of them that has most, for whoever has less gives up by himself.
  template <typename Request, typename Response>
  std::vector<rpc::TypedCall<Request, Response>> Begin(std::string_view method,
                                                       const std::vector<rpc::TypedCall<Request, Response>>& pending,
                                                       rpc::CallContext& together,
                                                       std::vector<const Request*>& requests);
  void AnswerContexts(const std::vector<PendingContext>& pending);
  void Persist(const std::vector<PendingPersist>& pending);
  /// By a worker, for they may take long: those of one room that is locked, which are persisted once it is not; and the
  /// fresh context that answers a conflict.
  void PersistLater(std::vector<PendingPersist> pending, absl::Time began);
  void AnswerConflict(const PendingPersist& pending, absl::Time began);
  void AnswerPersist(const PendingPersist& pending, absl::Time began, absl::StatusOr<v1::PersistEventResponse> answer);
  template <typename Request, typename Response>
  void Finish(const rpc::TypedCall<Request, Response>& pending, std::string_view method, const absl::Status& status);
  template <typename Request, typename Response>
  void RefuseAll(const std::vector<rpc::TypedCall<Request, Response>>& refused, std::string_view method);

  EventStore& store_;
  rpc::WorkerPool& workers_;
  telemetry::Metrics& metrics_;
  const bool allow_seeding_;
  StoreCalls calls_;
  rpc::BatchPool<PendingPersist> persists_;
  rpc::BatchPool<PendingContext> contexts_;
};

}  // namespace postern::store
