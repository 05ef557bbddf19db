#include "services/store/store_service.h"

#include <map>
#include <string>
#include <utility>

#include <grpcpp/grpcpp.h>

#include "matrix/refusal.h"
#include "rpc/call_context.h"
#include "rpc/call_spans.h"
#include "rpc/outcome.h"
#include "rpc/status_codec.h"
#include "telemetry/log.h"

namespace postern::store {
namespace {

using matrix::Reason;
using matrix::Refuse;

constexpr std::string_view kPersistEvent = "PersistEvent";
constexpr std::string_view kGetEventContext = "GetEventContext";

}  // namespace

StoreService::StoreService(EventStore& store, rpc::WorkerPool& workers, telemetry::Metrics& metrics,
                           const StoreServiceOptions& options)
    : store_(store),
      workers_(workers),
      metrics_(metrics),
      allow_seeding_(options.allow_seeding),
      calls_(workers, metrics,
             [this] {
               metrics_.SetGauge("postern_store_queue_length",
                                 static_cast<double>(workers_.queued() + persists_.queued() + contexts_.queued()));
             }),
      persists_(options.persists, [this](const std::vector<PendingPersist>& pending) { Persist(pending); }),
      contexts_(options.contexts, [this](const std::vector<PendingContext>& pending) { AnswerContexts(pending); }) {}

StoreService::Reactor* StoreService::Run(Call* call, std::string_view method,
                                         std::function<absl::Status(const rpc::CallContext&)> work) {
  return calls_.Run(call, method, std::move(work));
}

template <typename Request, typename Response>
void StoreService::Finish(const rpc::TypedCall<Request, Response>& pending, std::string_view method,
                          const absl::Status& status) {
  calls_.Count(method, status, absl::Now() - pending.received);
  rpc::SayServed(pending.call->context(), method, pending.received, status);
  pending.call->Finish(status);
}

template <typename Request, typename Response>
void StoreService::RefuseAll(const std::vector<rpc::TypedCall<Request, Response>>& refused, std::string_view method) {
  for (const auto& one : refused) Finish(one, method, QueueIsFull());
}

template <typename Request, typename Response>
StoreService::Reactor* StoreService::Read(Call* call, std::string_view method, const Request* request,
                                          Response* response,
                                          absl::StatusOr<Response> (EventStore::*ask)(const rpc::CallContext&,
                                                                                      const Request&)) {
  return calls_.Ask(call, method, request, response, store_, ask);
}

StoreService::Reactor* StoreService::GetEventContext(Call* call, const v1::GetEventContextRequest* request,
                                                     v1::EventContext* response) {
  // Branches may take long, and are rare: they hold nobody up.
  if (request->with_branches()) return Read(call, kGetEventContext, request, response, &EventStore::GetEventContext);
  Reactor* reactor = call->DefaultReactor();
  Take(std::vector{PendingContext{rpc::MakeUnaryCall(*call, *reactor), request, response, absl::Now()}});
  return reactor;
}

void StoreService::Take(std::vector<PendingContext> pending) {
  RefuseAll(contexts_.PostAll(std::move(pending), [](const PendingContext& one) { return one.request->room_id(); }),
            kGetEventContext);
}

template <typename Request, typename Response>
std::vector<rpc::TypedCall<Request, Response>> StoreService::Begin(
    std::string_view method, const std::vector<rpc::TypedCall<Request, Response>>& pending, rpc::CallContext& together,
    std::vector<const Request*>& requests) {
  std::vector<rpc::TypedCall<Request, Response>> begun;
  together.deadline = absl::InfinitePast();
  for (const rpc::TypedCall<Request, Response>& one : pending) {
    const rpc::CallContext& context = one.call->context();
    if (absl::Status status = WhyNotBegun(one.call->given_up(), context); !status.ok()) {
      Finish(one, method, status);
      continue;
    }
    if (context.deadline > together.deadline) together = context;
    begun.push_back(one);
    requests.push_back(one.request);
  }
  return begun;
}

void StoreService::AnswerContexts(const std::vector<PendingContext>& pending) {
  rpc::CallContext together;
  std::vector<const v1::GetEventContextRequest*> requests;
  const std::vector<PendingContext> begun = Begin(kGetEventContext, pending, together, requests);
  if (begun.empty()) return;
  std::vector<absl::StatusOr<v1::EventContext>> answers = store_.GetEventContexts(together, requests);
  for (std::size_t i = 0; i < begun.size(); ++i) {
    const absl::Status status = answers[i].status();
    if (answers[i].ok()) *begun[i].response = *std::move(answers[i]);
    Finish(begun[i], kGetEventContext, status);
  }
}

StoreService::Reactor* StoreService::GetTemplateContext(Call* call, const v1::GetTemplateContextRequest* request,
                                                        v1::TemplateContext* response) {
  return Read(call, "GetTemplateContext", request, response, &EventStore::GetTemplateContext);
}

StoreService::Reactor* StoreService::PersistEvent(Call* call, const v1::PersistEventRequest* request,
                                                  v1::PersistEventResponse* response) {
  Reactor* reactor = call->DefaultReactor();
  Take(std::vector{PendingPersist{rpc::MakeUnaryCall(*call, *reactor), request, response, absl::Now()}});
  return reactor;
}

void StoreService::Take(std::vector<PendingPersist> pending) {
  RefuseAll(persists_.PostAll(std::move(pending),
                              [](const PendingPersist& one) -> const std::string& {
                                return one.request->context_request().room_id();
                              }),
            kPersistEvent);
}

void StoreService::Persist(const std::vector<PendingPersist>& pending) {
  const absl::Time began = absl::Now();
  rpc::CallContext together;
  std::vector<const v1::PersistEventRequest*> requests;
  const std::vector<PendingPersist> begun = Begin(kPersistEvent, pending, together, requests);
  if (begun.empty()) return;
  std::map<std::string, std::vector<PendingPersist>> locked;
  store_.PersistEvents(together, requests, LockedRooms::kLeave,
                       [&](std::size_t place, absl::StatusOr<v1::PersistEventResponse> answer) {
                         if (matrix::ReasonOf(answer.status()) == Reason::kRoomBusy) {
                           if (begun[place].call->SendBack()) return;  // its company does not wait for it
                           locked[requests[place]->context_request().room_id()].push_back(begun[place]);
                         } else {
                           AnswerPersist(begun[place], began, std::move(answer));
                         }
                       });
  for (auto& [room, waiting] : locked) PersistLater(std::move(waiting), began);
}

void StoreService::PersistLater(std::vector<PendingPersist> pending, absl::Time began) {
  const bool taken = workers_.Post([this, pending, began] {
    rpc::CallContext together;
    std::vector<const v1::PersistEventRequest*> requests;
    const std::vector<PendingPersist> begun = Begin(kPersistEvent, pending, together, requests);
    store_.PersistEvents(together, requests, LockedRooms::kWaitFor,
                         [&](std::size_t place, absl::StatusOr<v1::PersistEventResponse> answer) {
                           AnswerPersist(begun[place], began, std::move(answer));
                         });
  });
  if (taken) return;
  for (const PendingPersist& one : pending) AnswerPersist(one, began, QueueIsFull());
}

void StoreService::AnswerConflict(const PendingPersist& pending, absl::Time began) {
  // Its branches are read anew, which may take long.
  if (pending.request->context_request().with_branches() && pending.call->SendBack()) return;
  const bool taken = workers_.Post([this, pending, began] {
    absl::StatusOr<v1::EventContext> fresh =
        store_.GetEventContext(pending.call->context(), pending.request->context_request());
    if (!fresh.ok()) return AnswerPersist(pending, began, fresh.status());
    v1::PersistEventResponse response;
    *response.mutable_fresh_context() = *std::move(fresh);
    AnswerPersist(pending, began, std::move(response));
  });
  if (!taken) AnswerPersist(pending, began, QueueIsFull());
}

void StoreService::AnswerPersist(const PendingPersist& pending, absl::Time began,
                                 absl::StatusOr<v1::PersistEventResponse> answer) {
  if (answer.ok() && answer->result_case() == v1::PersistEventResponse::RESULT_NOT_SET) {
    AnswerConflict(pending, began);
    return;
  }
  const v1::PersistEventRequest& request = *pending.request;
  std::string_view result;
  matrix::v1::Outcome outcome = request.verdict().outcome();
  std::int32_t reason = request.verdict().reason();
  if (!answer.ok()) {
    result = "failed";
    reason = static_cast<std::int32_t>(matrix::ReasonOf(answer.status()));
  } else if (answer->has_fresh_context()) {
    result = "conflict";
  } else {
    result = answer->stored().replay() ? "replay" : "stored";
    outcome = answer->stored().outcome();
    reason = answer->stored().reason();
  }
  metrics_.Count("postern_store_persists_total", {{"result", result}, {"verdict", rpc::OutcomeName(outcome)}});
  telemetry::Log(answer.ok() ? telemetry::Level::kInfo : telemetry::Level::kWarning, "persist",
                 {{"trace_id", pending.call->context().trace.trace_id},
                  {"room_id", request.context_request().room_id()},
                  {"event_id", request.context_request().event_id()},
                  {"origin", request.origin()},
                  {"result", result},
                  {"verdict", rpc::OutcomeName(outcome)},
                  {"reason", matrix::RefusalOf(matrix::ReasonFromNumber(reason)).name},
                  {"duration_ms", absl::Now() - began}});
  const absl::Status status = answer.status();
  if (answer.ok()) *pending.response = *std::move(answer);
  Finish(pending, kPersistEvent, status);
}

StoreService::Reactor* StoreService::LeaseExtremities(Call* call, const v1::LeaseExtremitiesRequest* request,
                                                      v1::LeaseExtremitiesResponse* response) {
  return Read(call, "LeaseExtremities", request, response, &EventStore::LeaseExtremities);
}

StoreService::Reactor* StoreService::CreateRoom(Call* call, const v1::CreateRoomRequest* request,
                                                v1::CreateRoomResponse*) {
  return Run(call, "CreateRoom",
             [=, this](const rpc::CallContext& context) { return store_.CreateRoom(context, *request); });
}

StoreService::Reactor* StoreService::SeedEvents(Call* call, const v1::SeedEventsRequest* request,
                                                v1::SeedEventsResponse*) {
  return Run(call, "SeedEvents", [=, this](const rpc::CallContext& context) {
    if (!allow_seeding_) return Refuse(Reason::kSeedingOff, "the store was started without --allow-seeding");
    return store_.SeedEvents(context, *request);
  });
}

StoreService::Reactor* StoreService::GetServerKeys(Call* call, const v1::GetServerKeysRequest* request,
                                                   v1::GetServerKeysResponse* response) {
  return Read(call, "GetServerKeys", request, response, &EventStore::GetServerKeys);
}

StoreService::Reactor* StoreService::PutServerKeys(Call* call, const v1::PutServerKeysRequest* request,
                                                   v1::PutServerKeysResponse*) {
  return Run(call, "PutServerKeys",
             [=, this](const rpc::CallContext& context) { return store_.PutServerKeys(context, *request); });
}

StoreService::Reactor* StoreService::LeaseDeliveries(Call* call, const v1::LeaseDeliveriesRequest* request,
                                                     v1::LeaseDeliveriesResponse* response) {
  return Read(call, "LeaseDeliveries", request, response, &EventStore::LeaseDeliveries);
}

StoreService::Reactor* StoreService::ReportDeliveries(Call* call, const v1::ReportDeliveriesRequest* request,
                                                      v1::ReportDeliveriesResponse* response) {
  return Read(call, "ReportDeliveries", request, response, &EventStore::ReportDeliveries);
}

StoreService::Reactor* StoreService::EndBackOff(Call* call, const v1::EndBackOffRequest* request,
                                                v1::EndBackOffResponse*) {
  return Run(call, "EndBackOff",
             [=, this](const rpc::CallContext& context) { return store_.EndBackOff(context, *request); });
}

StoreService::Reactor* StoreService::ListDestinations(Call* call, const v1::ListDestinationsRequest* request,
                                                      v1::ListDestinationsResponse* response) {
  return Read(call, "ListDestinations", request, response, &EventStore::ListDestinations);
}

StoreService::Reactor* StoreService::SettleDestination(Call* call, const v1::SettleDestinationRequest* request,
                                                       v1::SettleDestinationResponse* response) {
  return Read(call, "SettleDestination", request, response, &EventStore::SettleDestination);
}

StoreService::Reactor* StoreService::ShareRates(Call* call, const v1::ShareRatesRequest* request,
                                                v1::ShareRatesResponse* response) {
  return Read(call, "ShareRates", request, response, &EventStore::ShareRates);
}

StoreService::Reactor* StoreService::GetRoom(Call* call, const v1::GetRoomRequest* request,
                                             v1::RoomDescription* response) {
  return Read(call, "GetRoom", request, response, &EventStore::GetRoom);
}

StoreService::Reactor* StoreService::ListRooms(Call* call, const v1::ListRoomsRequest* request,
                                               v1::ListRoomsResponse* response) {
  return Read(call, "ListRooms", request, response, &EventStore::ListRooms);
}

StoreService::Reactor* StoreService::GetMember(Call* call, const v1::GetMemberRequest* request, v1::Member* response) {
  return Read(call, "GetMember", request, response, &EventStore::GetMember);
}

StoreService::Reactor* StoreService::ListMembers(Call* call, const v1::ListMembersRequest* request,
                                                 v1::ListMembersResponse* response) {
  return Read(call, "ListMembers", request, response, &EventStore::ListMembers);
}

StoreService::Reactor* StoreService::GetEvent(Call* call, const v1::GetEventRequest* request,
                                              v1::EventRecord* response) {
  return Read(call, "GetEvent", request, response, &EventStore::GetEvent);
}

StoreService::Reactor* StoreService::ListOutbox(Call* call, const v1::ListOutboxRequest* request,
                                                v1::ListOutboxResponse* response) {
  return Read(call, "ListOutbox", request, response, &EventStore::ListOutbox);
}

StoreService::Reactor* StoreService::GetEventForPeer(Call* call, const v1::GetEventForPeerRequest* request,
                                                     v1::EventForPeer* response) {
  return Read(call, "GetEventForPeer", request, response, &EventStore::GetEventForPeer);
}

StoreService::Reactor* StoreService::GetMissingEvents(Call* call, const v1::GetMissingEventsRequest* request,
                                                      v1::GetMissingEventsResponse* response) {
  return Read(call, "GetMissingEvents", request, response, &EventStore::GetMissingEvents);
}

StoreService::Reactor* StoreService::GetAuthChain(Call* call, const v1::GetAuthChainRequest* request,
                                                  v1::GetAuthChainResponse* response) {
  return Read(call, "GetAuthChain", request, response, &EventStore::GetAuthChain);
}

StoreService::Reactor* StoreService::GetStateIds(Call* call, const v1::GetStateIdsRequest* request,
                                                 v1::GetStateIdsResponse* response) {
  return Read(call, "GetStateIds", request, response, &EventStore::GetStateIds);
}

StoreService::Reactor* StoreService::GetStatePage(Call* call, const v1::GetStatePageRequest* request,
                                                  v1::GetStatePageResponse* response) {
  return Read(call, "GetStatePage", request, response, &EventStore::GetStatePage);
}

StoreService::Reactor* StoreService::GetRoomEvents(Call* call, const v1::GetRoomEventsRequest* request,
                                                   v1::GetRoomEventsResponse* response) {
  return Read(call, "GetRoomEvents", request, response, &EventStore::GetRoomEvents);
}

StoreService::Reactor* StoreService::ListRoomServers(Call* call, const v1::ListRoomServersRequest* request,
                                                     v1::ListRoomServersResponse* response) {
  return Read(call, "ListRoomServers", request, response, &EventStore::ListRoomServers);
}

StoreService::Reactor* StoreService::GetJoinConditions(Call* call, const v1::GetJoinConditionsRequest* request,
                                                       v1::JoinConditions* response) {
  return Read(call, "GetJoinConditions", request, response, &EventStore::GetJoinConditions);
}

StoreService::Reactor* StoreService::ListDecisions(Call* call, const v1::ListDecisionsRequest* request,
                                                   v1::ListDecisionsResponse* response) {
  return Read(call, "ListDecisions", request, response, &EventStore::ListDecisions);
}

StoreService::Reactor* StoreService::GetDecisionContext(Call* call, const v1::GetDecisionContextRequest* request,
                                                        v1::DecisionContext* response) {
  return Read(call, "GetDecisionContext", request, response, &EventStore::GetDecisionContext);
}

StoreService::Reactor* StoreService::GetNeighbourhood(Call* call, const v1::GetNeighbourhoodRequest* request,
                                                      v1::Neighbourhood* response) {
  return Read(call, "GetNeighbourhood", request, response, &EventStore::GetNeighbourhood);
}

StoreService::Reactor* StoreService::GetReceivedTransaction(Call* call,
                                                            const v1::GetReceivedTransactionRequest* request,
                                                            v1::ReceivedTransaction* response) {
  return Read(call, "GetReceivedTransaction", request, response, &EventStore::GetReceivedTransaction);
}

StoreService::Reactor* StoreService::KeepReceivedTransaction(Call* call,
                                                             const v1::KeepReceivedTransactionRequest* request,
                                                             v1::ReceivedTransaction* response) {
  return Read(call, "KeepReceivedTransaction", request, response, &EventStore::KeepReceivedTransaction);
}

StoreService::Reactor* StoreService::GetState(Call* call, const v1::GetStateRequest* request,
                                              v1::GetStateResponse* response) {
  return Read(call, "GetState", request, response, &EventStore::GetState);
}

StoreService::Reactor* StoreService::GetBackfill(Call* call, const v1::GetBackfillRequest* request,
                                                 v1::GetBackfillResponse* response) {
  return Read(call, "GetBackfill", request, response, &EventStore::GetBackfill);
}

StoreService::Reactor* StoreService::GetProfile(Call* call, const v1::GetProfileRequest* request,
                                                v1::Profile* response) {
  return Read(call, "GetProfile", request, response, &EventStore::GetProfile);
}

StoreService::Reactor* StoreService::GetAlias(Call* call, const v1::GetAliasRequest* request,
                                              v1::AliasTarget* response) {
  return Read(call, "GetAlias", request, response, &EventStore::GetAlias);
}

StoreService::Reactor* StoreService::SetAlias(Call* call, const v1::SetAliasRequest* request, v1::SetAliasResponse*) {
  return Run(call, "SetAlias",
             [this, request](const rpc::CallContext& context) { return store_.SetAlias(context, *request); });
}

StoreService::Reactor* StoreService::RemoveAlias(Call* call, const v1::RemoveAliasRequest* request,
                                                 v1::RemoveAliasResponse*) {
  return Run(call, "RemoveAlias",
             [this, request](const rpc::CallContext& context) { return store_.RemoveAlias(context, *request); });
}

StoreService::Reactor* StoreService::ListAliases(Call* call, const v1::ListAliasesRequest* request,
                                                 v1::ListAliasesResponse* response) {
  return Read(call, "ListAliases", request, response, &EventStore::ListAliases);
}

}  // namespace postern::store
