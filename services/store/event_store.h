// Rooms and events as the store's rpc handlers see them: what PostgreSQL answers, and what the in-memory fake of the
// tests does.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "postern/store/v1/store.pb.h"
#include "rpc/call_context.h"

namespace postern::store {

/// Takes the outcome of the request at a place.
using PersistAnswer = std::function<void(std::size_t place, absl::StatusOr<v1::PersistEventResponse> response)>;

/// What becomes of events whose rooms somebody else has locked just now.
enum class LockedRooms { kLeave, kWaitFor };

/// Thread-safe. No call outlives `call.deadline`. Each method answers the rpc of its name, whose contract stands in
/// proto/postern/store/v1/store.proto; each may refuse with kStoreDown, kOverloaded or kDeadlineExceeded besides what
/// it names.
class EventStore {
 public:
  virtual ~EventStore() = default;

  /// Refuses: kUnknownRoom, kInvalidArgument.
  virtual absl::StatusOr<v1::EventContext> GetEventContext(const rpc::CallContext& call,
                                                           const v1::GetEventContextRequest& request) = 0;
  /// Many at once, each answered by itself, in their order.
  virtual std::vector<absl::StatusOr<v1::EventContext>> GetEventContexts(
      const rpc::CallContext& call, std::span<const v1::GetEventContextRequest* const> requests);
  /// Refuses: kUnknownRoom.
  virtual absl::StatusOr<v1::TemplateContext> GetTemplateContext(const rpc::CallContext& call,
                                                                 const v1::GetTemplateContextRequest& request) = 0;
  /// Refuses: kUnknownRoom, kInvalidArgument.
  virtual absl::StatusOr<v1::PersistEventResponse> PersistEvent(const rpc::CallContext& call,
                                                                const v1::PersistEventRequest& request) = 0;
  /// Many at once: `answer` is called once for each, with its place, as soon as its outcome is sure. What is wrong with
  /// one is answered to that one alone. Those of one room are stored in their order. A conflict may be answered by a
  /// response that holds nothing: reading the fresh context may take long, and is left to who has the time.
  /// Refuses besides: kRoomBusy, where the room is locked and not to be waited for.
  virtual void PersistEvents(const rpc::CallContext& call, std::span<const v1::PersistEventRequest* const> requests,
                             LockedRooms locked, const PersistAnswer& answer);
  /// Refuses: kUnknownRoom, kInvalidArgument.
  virtual absl::StatusOr<v1::LeaseExtremitiesResponse> LeaseExtremities(const rpc::CallContext& call,
                                                                        const v1::LeaseExtremitiesRequest& request) = 0;
  /// Refuses: kAlreadyExists, kInvalidArgument.
  virtual absl::Status CreateRoom(const rpc::CallContext& call, const v1::CreateRoomRequest& request) = 0;
  /// Refuses: kUnknownRoom, kInvalidArgument. Whether seeding is allowed at all is the service's question.
  virtual absl::Status SeedEvents(const rpc::CallContext& call, const v1::SeedEventsRequest& request) = 0;

  /// Reads for operators. Refuse: kNotFound.
  virtual absl::StatusOr<v1::RoomDescription> GetRoom(const rpc::CallContext& call,
                                                      const v1::GetRoomRequest& request) = 0;
  virtual absl::StatusOr<v1::ListRoomsResponse> ListRooms(const rpc::CallContext& call,
                                                          const v1::ListRoomsRequest& request) = 0;
  virtual absl::StatusOr<v1::Member> GetMember(const rpc::CallContext& call, const v1::GetMemberRequest& request) = 0;
  virtual absl::StatusOr<v1::ListMembersResponse> ListMembers(const rpc::CallContext& call,
                                                              const v1::ListMembersRequest& request) = 0;
  virtual absl::StatusOr<v1::EventRecord> GetEvent(const rpc::CallContext& call,
                                                   const v1::GetEventRequest& request) = 0;
  virtual absl::StatusOr<v1::ListOutboxResponse> ListOutbox(const rpc::CallContext& call,
                                                            const v1::ListOutboxRequest& request) = 0;

  /// Refuses: kInvalidArgument.
  virtual absl::StatusOr<v1::ListDecisionsResponse> ListDecisions(const rpc::CallContext& call,
                                                                  const v1::ListDecisionsRequest& request) = 0;
  /// Refuse: kNotFound, kInvalidArgument.
  virtual absl::StatusOr<v1::DecisionContext> GetDecisionContext(const rpc::CallContext& call,
                                                                 const v1::GetDecisionContextRequest& request) = 0;
  virtual absl::StatusOr<v1::Neighbourhood> GetNeighbourhood(const rpc::CallContext& call,
                                                             const v1::GetNeighbourhoodRequest& request) = 0;

  /// Telling other servers. Refuse: kInvalidArgument.
  virtual absl::StatusOr<v1::LeaseDeliveriesResponse> LeaseDeliveries(const rpc::CallContext& call,
                                                                      const v1::LeaseDeliveriesRequest& request) = 0;
  virtual absl::StatusOr<v1::ReportDeliveriesResponse> ReportDeliveries(const rpc::CallContext& call,
                                                                        const v1::ReportDeliveriesRequest& request) = 0;
  virtual absl::Status EndBackOff(const rpc::CallContext& call, const v1::EndBackOffRequest& request) = 0;
  virtual absl::StatusOr<v1::ListDestinationsResponse> ListDestinations(const rpc::CallContext& call,
                                                                        const v1::ListDestinationsRequest& request) = 0;
  /// Refuses: kNotFound.
  virtual absl::StatusOr<v1::SettleDestinationResponse> SettleDestination(
      const rpc::CallContext& call, const v1::SettleDestinationRequest& request) = 0;

  /// What gateways have of origins. Refuses: kInvalidArgument.
  virtual absl::StatusOr<v1::ShareRatesResponse> ShareRates(const rpc::CallContext& call,
                                                            const v1::ShareRatesRequest& request) = 0;
  /// Reads for other servers. Refuse: kUnknownRoom.
  virtual absl::StatusOr<v1::GetMissingEventsResponse> GetMissingEvents(const rpc::CallContext& call,
                                                                        const v1::GetMissingEventsRequest& request) = 0;
  /// Refuse besides: kUnknownEvent.
  virtual absl::StatusOr<v1::EventForPeer> GetEventForPeer(const rpc::CallContext& call,
                                                           const v1::GetEventForPeerRequest& request) = 0;
  /// Refuses besides: kAnswerTooLarge.
  virtual absl::StatusOr<v1::GetAuthChainResponse> GetAuthChain(const rpc::CallContext& call,
                                                                const v1::GetAuthChainRequest& request) = 0;
  /// Refuses besides: kAnswerTooLarge, kStateUnresolved.
  virtual absl::StatusOr<v1::GetStateIdsResponse> GetStateIds(const rpc::CallContext& call,
                                                              const v1::GetStateIdsRequest& request) = 0;

  /// What a server is told whose user has just joined. Refuses: kUnknownEvent, kStateUnresolved.
  virtual absl::StatusOr<v1::GetStatePageResponse> GetStatePage(const rpc::CallContext& call,
                                                                const v1::GetStatePageRequest& request) = 0;
  /// Refuses: kInvalidArgument.
  virtual absl::StatusOr<v1::GetRoomEventsResponse> GetRoomEvents(const rpc::CallContext& call,
                                                                  const v1::GetRoomEventsRequest& request) = 0;
  virtual absl::StatusOr<v1::ListRoomServersResponse> ListRoomServers(const rpc::CallContext& call,
                                                                      const v1::ListRoomServersRequest& request) = 0;
  /// Refuses: kUnknownRoom, kInvalidArgument.
  virtual absl::StatusOr<v1::JoinConditions> GetJoinConditions(const rpc::CallContext& call,
                                                               const v1::GetJoinConditionsRequest& request) = 0;

  /// Keys of other servers.
  virtual absl::StatusOr<v1::GetServerKeysResponse> GetServerKeys(const rpc::CallContext& call,
                                                                  const v1::GetServerKeysRequest& request) = 0;
  virtual absl::Status PutServerKeys(const rpc::CallContext& call, const v1::PutServerKeysRequest& request) = 0;

  /// Transactions of other servers that are done. Refuse: kInvalidArgument.
  virtual absl::StatusOr<v1::ReceivedTransaction> GetReceivedTransaction(
      const rpc::CallContext& call, const v1::GetReceivedTransactionRequest& request) = 0;
  virtual absl::StatusOr<v1::ReceivedTransaction> KeepReceivedTransaction(
      const rpc::CallContext& call, const v1::KeepReceivedTransactionRequest& request) = 0;

  /// More reads for other servers. Refuses: kUnknownRoom, kUnknownEvent, kAnswerTooLarge, kStateUnresolved.
  virtual absl::StatusOr<v1::GetStateResponse> GetState(const rpc::CallContext& call,
                                                        const v1::GetStateRequest& request) = 0;
  /// Refuses: kUnknownRoom, kInvalidArgument.
  virtual absl::StatusOr<v1::GetBackfillResponse> GetBackfill(const rpc::CallContext& call,
                                                              const v1::GetBackfillRequest& request) = 0;
  /// Refuse: kNotFound.
  virtual absl::StatusOr<v1::Profile> GetProfile(const rpc::CallContext& call,
                                                 const v1::GetProfileRequest& request) = 0;
  virtual absl::StatusOr<v1::AliasTarget> GetAlias(const rpc::CallContext& call,
                                                   const v1::GetAliasRequest& request) = 0;
  /// Refuses: kUnknownRoom, kInvalidArgument.
  virtual absl::Status SetAlias(const rpc::CallContext& call, const v1::SetAliasRequest& request) = 0;
  /// Refuses: kNotFound.
  virtual absl::Status RemoveAlias(const rpc::CallContext& call, const v1::RemoveAliasRequest& request) = 0;
  virtual absl::StatusOr<v1::ListAliasesResponse> ListAliases(const rpc::CallContext& call,
                                                              const v1::ListAliasesRequest& request) = 0;
};

inline std::vector<absl::StatusOr<v1::EventContext>> EventStore::GetEventContexts(
    const rpc::CallContext& call, std::span<const v1::GetEventContextRequest* const> requests) {
  std::vector<absl::StatusOr<v1::EventContext>> answers;
  answers.reserve(requests.size());
  for (const v1::GetEventContextRequest* request : requests) answers.push_back(GetEventContext(call, *request));
  return answers;
}

inline void EventStore::PersistEvents(const rpc::CallContext& call,
                                      std::span<const v1::PersistEventRequest* const> requests, LockedRooms,
                                      const PersistAnswer& answer) {
  for (std::size_t place = 0; place < requests.size(); ++place) answer(place, PersistEvent(call, *requests[place]));
}

}  // namespace postern::store
