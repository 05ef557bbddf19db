// Rooms and keys as the gateway sees them: the store behind gRPC.
#pragma once

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "postern/store/v1/store.pb.h"
#include "rpc/call_context.h"
#include "services/gateway/rpc_counts.h"
#include "services/gateway/rpc_patience.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace postern::gateway {

/// Thread-safe; no call outlives `call.deadline`. Each call may refuse with kStoreDown, kOverloaded or
/// kDeadlineExceeded besides what it names; proto/postern/store/v1/store.proto has the contracts.
class StoreClient {
 public:
  virtual ~StoreClient() = default;

  /// Refuses: kUnknownRoom.
  virtual absl::StatusOr<store::v1::EventContext> GetEventContext(const rpc::CallContext& call,
                                                                  const store::v1::GetEventContextRequest& request) = 0;
  /// Refuses: kUnknownRoom.
  virtual absl::StatusOr<store::v1::TemplateContext> GetTemplateContext(
      const rpc::CallContext& call, const store::v1::GetTemplateContextRequest& request) = 0;
  /// OK means that PostgreSQL has confirmed the commit, or that nothing was written and the context is fresh. May be
  /// repeated: an id that is stored is not written again.
  virtual absl::StatusOr<store::v1::PersistEventResponse> PersistEvent(
      const rpc::CallContext& call, const store::v1::PersistEventRequest& request) = 0;
  /// The same for events of one room that follow each other, each citing the one before: together where the store can.
  /// What follows one that is not stored is not stored either.
  virtual std::vector<absl::StatusOr<store::v1::PersistEventResponse>> PersistInOrder(
      const rpc::CallContext& call, const std::vector<store::v1::PersistEventRequest>& requests);
  /// May be repeated by its holder. Refuses: kUnknownRoom.
  virtual absl::StatusOr<store::v1::LeaseExtremitiesResponse> LeaseExtremities(
      const rpc::CallContext& call, const store::v1::LeaseExtremitiesRequest& request) = 0;
  /// Refuses: kAlreadyExists.
  virtual absl::Status CreateRoom(const rpc::CallContext& call, const store::v1::CreateRoomRequest& request) = 0;
  /// Refuses: kSeedingOff, kUnknownRoom.
  virtual absl::Status SeedEvents(const rpc::CallContext& call, const store::v1::SeedEventsRequest& request) = 0;
  /// Each may be repeated. Refuse: kInvalidArgument.
  virtual absl::StatusOr<store::v1::LeaseDeliveriesResponse> LeaseDeliveries(
      const rpc::CallContext& call, const store::v1::LeaseDeliveriesRequest& request) = 0;
  virtual absl::StatusOr<store::v1::ReportDeliveriesResponse> ReportDeliveries(
      const rpc::CallContext& call, const store::v1::ReportDeliveriesRequest& request) = 0;
  virtual absl::Status EndBackOff(const rpc::CallContext& call, const store::v1::EndBackOffRequest& request) = 0;
  virtual absl::StatusOr<store::v1::ShareRatesResponse> ShareRates(const rpc::CallContext& call,
                                                                   const store::v1::ShareRatesRequest& request) = 0;
  /// Refuse: kUnknownRoom; all but GetMissingEvents kUnknownEvent; the last two kAnswerTooLarge; the last one
  /// kStateUnresolved.
  virtual absl::StatusOr<store::v1::GetMissingEventsResponse> GetMissingEvents(
      const rpc::CallContext& call, const store::v1::GetMissingEventsRequest& request) = 0;
  virtual absl::StatusOr<store::v1::EventForPeer> GetEventForPeer(const rpc::CallContext& call,
                                                                  const store::v1::GetEventForPeerRequest& request) = 0;
  virtual absl::StatusOr<store::v1::GetAuthChainResponse> GetAuthChain(
      const rpc::CallContext& call, const store::v1::GetAuthChainRequest& request) = 0;
  virtual absl::StatusOr<store::v1::GetStateIdsResponse> GetStateIds(const rpc::CallContext& call,
                                                                     const store::v1::GetStateIdsRequest& request) = 0;
  /// Refuses: kUnknownEvent, kStateUnresolved.
  virtual absl::StatusOr<store::v1::GetStatePageResponse> GetStatePage(
      const rpc::CallContext& call, const store::v1::GetStatePageRequest& request) = 0;
  virtual absl::StatusOr<store::v1::GetRoomEventsResponse> GetRoomEvents(
      const rpc::CallContext& call, const store::v1::GetRoomEventsRequest& request) = 0;
  virtual absl::StatusOr<store::v1::ListRoomServersResponse> ListRoomServers(
      const rpc::CallContext& call, const store::v1::ListRoomServersRequest& request) = 0;
  /// Refuses: kUnknownRoom.
  virtual absl::StatusOr<store::v1::JoinConditions> GetJoinConditions(
      const rpc::CallContext& call, const store::v1::GetJoinConditionsRequest& request) = 0;
  virtual absl::StatusOr<store::v1::GetServerKeysResponse> GetServerKeys(
      const rpc::CallContext& call, const store::v1::GetServerKeysRequest& request) = 0;
  virtual absl::Status PutServerKeys(const rpc::CallContext& call, const store::v1::PutServerKeysRequest& request) = 0;
  /// Each may be repeated.
  virtual absl::StatusOr<store::v1::ReceivedTransaction> GetReceivedTransaction(
      const rpc::CallContext& call, const store::v1::GetReceivedTransactionRequest& request) = 0;
  virtual absl::StatusOr<store::v1::ReceivedTransaction> KeepReceivedTransaction(
      const rpc::CallContext& call, const store::v1::KeepReceivedTransactionRequest& request) = 0;
  /// Refuses: kUnknownRoom, kUnknownEvent, kAnswerTooLarge, kStateUnresolved.
  virtual absl::StatusOr<store::v1::GetStateResponse> GetState(const rpc::CallContext& call,
                                                               const store::v1::GetStateRequest& request) = 0;
  /// Refuses: kUnknownRoom.
  virtual absl::StatusOr<store::v1::GetBackfillResponse> GetBackfill(const rpc::CallContext& call,
                                                                     const store::v1::GetBackfillRequest& request) = 0;
  /// Refuse: kNotFound.
  virtual absl::StatusOr<store::v1::Profile> GetProfile(const rpc::CallContext& call,
                                                        const store::v1::GetProfileRequest& request) = 0;
  virtual absl::StatusOr<store::v1::AliasTarget> GetAlias(const rpc::CallContext& call,
                                                          const store::v1::GetAliasRequest& request) = 0;
};

/// Over gRPC. Reads, leases and PersistEvent are tried again if the store could not be reached and time is left. Reads
/// of a few rows, and PersistEvent, go to another replica as well if the first does not answer.
std::unique_ptr<StoreClient> MakeGrpcStoreClient(std::shared_ptr<grpc::Channel> channel, RpcCounts counts,
                                                 RpcPatience patience = {});

}  // namespace postern::gateway
