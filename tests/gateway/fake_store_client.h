// The honest in-memory store, called without rpc.
#pragma once

#include "services/gateway/store_client.h"
#include "services/store/event_store.h"

namespace postern::gateway {

class EventStoreClient : public StoreClient {
 public:
  explicit EventStoreClient(store::EventStore& store) : store_(store) {}

  absl::StatusOr<store::v1::EventContext> GetEventContext(const rpc::CallContext& call,
                                                          const store::v1::GetEventContextRequest& request) override {
    return store_.GetEventContext(call, request);
  }
  absl::StatusOr<store::v1::TemplateContext> GetTemplateContext(
      const rpc::CallContext& call, const store::v1::GetTemplateContextRequest& request) override {
    return store_.GetTemplateContext(call, request);
  }
  absl::StatusOr<store::v1::PersistEventResponse> PersistEvent(const rpc::CallContext& call,
                                                               const store::v1::PersistEventRequest& request) override {
    return store_.PersistEvent(call, request);
  }
  absl::StatusOr<store::v1::LeaseExtremitiesResponse> LeaseExtremities(
      const rpc::CallContext& call, const store::v1::LeaseExtremitiesRequest& request) override {
    return store_.LeaseExtremities(call, request);
  }
  absl::Status CreateRoom(const rpc::CallContext& call, const store::v1::CreateRoomRequest& request) override {
    return store_.CreateRoom(call, request);
  }
  absl::Status SeedEvents(const rpc::CallContext& call, const store::v1::SeedEventsRequest& request) override {
    return store_.SeedEvents(call, request);
  }
  absl::StatusOr<store::v1::LeaseDeliveriesResponse> LeaseDeliveries(
      const rpc::CallContext& call, const store::v1::LeaseDeliveriesRequest& request) override {
    return store_.LeaseDeliveries(call, request);
  }
  absl::StatusOr<store::v1::ReportDeliveriesResponse> ReportDeliveries(
      const rpc::CallContext& call, const store::v1::ReportDeliveriesRequest& request) override {
    return store_.ReportDeliveries(call, request);
  }
  absl::Status EndBackOff(const rpc::CallContext& call, const store::v1::EndBackOffRequest& request) override {
    return store_.EndBackOff(call, request);
  }
  absl::StatusOr<store::v1::ShareRatesResponse> ShareRates(const rpc::CallContext& call,
                                                           const store::v1::ShareRatesRequest& request) override {
    return store_.ShareRates(call, request);
  }

  absl::StatusOr<store::v1::GetMissingEventsResponse> GetMissingEvents(
      const rpc::CallContext& call, const store::v1::GetMissingEventsRequest& request) override {
    return store_.GetMissingEvents(call, request);
  }
  absl::StatusOr<store::v1::EventForPeer> GetEventForPeer(const rpc::CallContext& call,
                                                          const store::v1::GetEventForPeerRequest& request) override {
    return store_.GetEventForPeer(call, request);
  }
  absl::StatusOr<store::v1::GetAuthChainResponse> GetAuthChain(const rpc::CallContext& call,
                                                               const store::v1::GetAuthChainRequest& request) override {
    return store_.GetAuthChain(call, request);
  }
  absl::StatusOr<store::v1::GetStateIdsResponse> GetStateIds(const rpc::CallContext& call,
                                                             const store::v1::GetStateIdsRequest& request) override {
    return store_.GetStateIds(call, request);
  }
  absl::StatusOr<store::v1::GetStatePageResponse> GetStatePage(const rpc::CallContext& call,
                                                               const store::v1::GetStatePageRequest& request) override {
    return store_.GetStatePage(call, request);
  }
  absl::StatusOr<store::v1::GetRoomEventsResponse> GetRoomEvents(
      const rpc::CallContext& call, const store::v1::GetRoomEventsRequest& request) override {
    return store_.GetRoomEvents(call, request);
  }
  absl::StatusOr<store::v1::ListRoomServersResponse> ListRoomServers(
      const rpc::CallContext& call, const store::v1::ListRoomServersRequest& request) override {
    return store_.ListRoomServers(call, request);
  }
  absl::StatusOr<store::v1::JoinConditions> GetJoinConditions(
      const rpc::CallContext& call, const store::v1::GetJoinConditionsRequest& request) override {
    return store_.GetJoinConditions(call, request);
  }
  absl::StatusOr<store::v1::GetServerKeysResponse> GetServerKeys(
      const rpc::CallContext& call, const store::v1::GetServerKeysRequest& request) override {
    return store_.GetServerKeys(call, request);
  }
  absl::Status PutServerKeys(const rpc::CallContext& call, const store::v1::PutServerKeysRequest& request) override {
    return store_.PutServerKeys(call, request);
  }
  absl::StatusOr<store::v1::ReceivedTransaction> GetReceivedTransaction(
      const rpc::CallContext& call, const store::v1::GetReceivedTransactionRequest& request) override {
    return store_.GetReceivedTransaction(call, request);
  }
  absl::StatusOr<store::v1::ReceivedTransaction> KeepReceivedTransaction(
      const rpc::CallContext& call, const store::v1::KeepReceivedTransactionRequest& request) override {
    return store_.KeepReceivedTransaction(call, request);
  }
  absl::StatusOr<store::v1::GetStateResponse> GetState(const rpc::CallContext& call,
                                                       const store::v1::GetStateRequest& request) override {
    return store_.GetState(call, request);
  }
  absl::StatusOr<store::v1::GetBackfillResponse> GetBackfill(const rpc::CallContext& call,
                                                             const store::v1::GetBackfillRequest& request) override {
    return store_.GetBackfill(call, request);
  }
  absl::StatusOr<store::v1::Profile> GetProfile(const rpc::CallContext& call,
                                                const store::v1::GetProfileRequest& request) override {
    return store_.GetProfile(call, request);
  }
  absl::StatusOr<store::v1::AliasTarget> GetAlias(const rpc::CallContext& call,
                                                  const store::v1::GetAliasRequest& request) override {
    return store_.GetAlias(call, request);
  }

 private:
  store::EventStore& store_;
};

}  // namespace postern::gateway
