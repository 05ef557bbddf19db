#include "services/gateway/store_client.h"

#include <grpcpp/channel.h>

#include <functional>
#include <utility>

#include "postern/store/v1/store.grpc.pb.h"
#include "postern/store/v1/store_together.grpc.pb.h"
#include "services/gateway/rpc_together.h"

namespace postern::gateway {
namespace {

constexpr int kReadAttempts = 3;
constexpr int kPersistAttempts = 3;  // by id: what was committed unseen is found again
constexpr int kOnce = 1;
constexpr int kPersistPatience = 2;  // times a read's: it may wait for the room, and for a standby
constexpr std::string_view kGetEventContext = "GetEventContext";
constexpr std::string_view kPersistEvent = "PersistEvent";

class GrpcStoreClient : public StoreClient {
 public:
  GrpcStoreClient(std::shared_ptr<grpc::Channel> channel, RpcCounts counts, const RpcPatience& patience)
      : stub_(store::v1::Store::NewStub(channel)),
        together_(store::v1::StoreTogether::NewStub(channel)),
        counts_(counts),
        patience_(patience.each),
        budget_(patience.budget),
        contexts_([this](auto* context, auto* calls, auto* answers,
                         auto end) { together_->async()->GetEventContext(context, calls, answers, std::move(end)); },
                  CountMessages(counts, kGetEventContext)),
        persists_([this](auto* context, auto* calls, auto* answers,
                         auto end) { together_->async()->PersistEvent(context, calls, answers, std::move(end)); },
                  CountMessages(counts, kPersistEvent)) {}

  absl::StatusOr<store::v1::EventContext> GetEventContext(const rpc::CallContext& call,
                                                          const store::v1::GetEventContextRequest& request) override {
    // Branches may take long: nobody waits beside them.
    if (request.with_branches()) return Call(&Stub::GetEventContext, kGetEventContext, kReadAttempts, call, request);
    return CallTogether(contexts_, *stub_->async(), &Stub::GetEventContext, Quick(kGetEventContext), call, counts_,
                        request);
  }

  absl::StatusOr<store::v1::TemplateContext> GetTemplateContext(
      const rpc::CallContext& call, const store::v1::GetTemplateContextRequest& request) override {
    return Read(&Stub::GetTemplateContext, "GetTemplateContext", call, request);
  }

  absl::StatusOr<store::v1::PersistEventResponse> PersistEvent(const rpc::CallContext& call,
                                                               const store::v1::PersistEventRequest& request) override {
    // A second attempt that meets the first under way waits for it at the room's row, and finds what it stored.
    RpcKind kind = Kind(kPersistEvent, kPersistAttempts);
    kind.patience = patience_ * kPersistPatience;
    kind.budget = &budget_;
    return CallTogether(persists_, *stub_->async(), &Stub::PersistEvent, kind, call, counts_, request);
  }

  std::vector<absl::StatusOr<store::v1::PersistEventResponse>> PersistInOrder(
      const rpc::CallContext& call, const std::vector<store::v1::PersistEventRequest>& requests) override {
    auto answers =
        CallInOrder<store::v1::PersistEventResponse>(persists_, Kind(kPersistEvent, kOnce), call, counts_, requests);
    return answers ? *std::move(answers) : StoreClient::PersistInOrder(call, requests);
  }

  absl::StatusOr<store::v1::LeaseExtremitiesResponse> LeaseExtremities(
      const rpc::CallContext& call, const store::v1::LeaseExtremitiesRequest& request) override {
    return Call(&Stub::LeaseExtremities, "LeaseExtremities", kReadAttempts, call, request);
  }

  absl::Status CreateRoom(const rpc::CallContext& call, const store::v1::CreateRoomRequest& request) override {
    return Call(&Stub::CreateRoom, "CreateRoom", kOnce, call, request).status();
  }

  absl::Status SeedEvents(const rpc::CallContext& call, const store::v1::SeedEventsRequest& request) override {
    return Call(&Stub::SeedEvents, "SeedEvents", kOnce, call, request).status();
  }

  absl::StatusOr<store::v1::LeaseDeliveriesResponse> LeaseDeliveries(
      const rpc::CallContext& call, const store::v1::LeaseDeliveriesRequest& request) override {
    return Call(&Stub::LeaseDeliveries, "LeaseDeliveries", kReadAttempts, call, request);
  }

  absl::StatusOr<store::v1::ReportDeliveriesResponse> ReportDeliveries(
      const rpc::CallContext& call, const store::v1::ReportDeliveriesRequest& request) override {
    return Call(&Stub::ReportDeliveries, "ReportDeliveries", kReadAttempts, call, request);
  }

  absl::Status EndBackOff(const rpc::CallContext& call, const store::v1::EndBackOffRequest& request) override {
    return Call(&Stub::EndBackOff, "EndBackOff", kReadAttempts, call, request).status();
  }

  absl::StatusOr<store::v1::ShareRatesResponse> ShareRates(const rpc::CallContext& call,
                                                           const store::v1::ShareRatesRequest& request) override {
    return Call(&Stub::ShareRates, "ShareRates", kReadAttempts, call, request);
  }

  absl::StatusOr<store::v1::GetMissingEventsResponse> GetMissingEvents(
      const rpc::CallContext& call, const store::v1::GetMissingEventsRequest& request) override {
    return Read(&Stub::GetMissingEvents, "GetMissingEvents", call, request);
  }

  absl::StatusOr<store::v1::EventForPeer> GetEventForPeer(const rpc::CallContext& call,
                                                          const store::v1::GetEventForPeerRequest& request) override {
    return Read(&Stub::GetEventForPeer, "GetEventForPeer", call, request);
  }

  absl::StatusOr<store::v1::GetAuthChainResponse> GetAuthChain(const rpc::CallContext& call,
                                                               const store::v1::GetAuthChainRequest& request) override {
    return Call(&Stub::GetAuthChain, "GetAuthChain", kReadAttempts, call, request);
  }

  absl::StatusOr<store::v1::GetStateIdsResponse> GetStateIds(const rpc::CallContext& call,
                                                             const store::v1::GetStateIdsRequest& request) override {
    return Call(&Stub::GetStateIds, "GetStateIds", kReadAttempts, call, request);
  }

  absl::StatusOr<store::v1::GetStatePageResponse> GetStatePage(const rpc::CallContext& call,
                                                               const store::v1::GetStatePageRequest& request) override {
    return Call(&Stub::GetStatePage, "GetStatePage", kReadAttempts, call, request);
  }

  absl::StatusOr<store::v1::GetRoomEventsResponse> GetRoomEvents(
      const rpc::CallContext& call, const store::v1::GetRoomEventsRequest& request) override {
    return Call(&Stub::GetRoomEvents, "GetRoomEvents", kReadAttempts, call, request);
  }

  absl::StatusOr<store::v1::ListRoomServersResponse> ListRoomServers(
      const rpc::CallContext& call, const store::v1::ListRoomServersRequest& request) override {
    return Read(&Stub::ListRoomServers, "ListRoomServers", call, request);
  }

  absl::StatusOr<store::v1::JoinConditions> GetJoinConditions(
      const rpc::CallContext& call, const store::v1::GetJoinConditionsRequest& request) override {
    return Read(&Stub::GetJoinConditions, "GetJoinConditions", call, request);
  }

  absl::StatusOr<store::v1::GetServerKeysResponse> GetServerKeys(
      const rpc::CallContext& call, const store::v1::GetServerKeysRequest& request) override {
    return Read(&Stub::GetServerKeys, "GetServerKeys", call, request);
  }

  absl::Status PutServerKeys(const rpc::CallContext& call, const store::v1::PutServerKeysRequest& request) override {
    return Call(&Stub::PutServerKeys, "PutServerKeys", kReadAttempts, call, request).status();
  }

  absl::StatusOr<store::v1::ReceivedTransaction> GetReceivedTransaction(
      const rpc::CallContext& call, const store::v1::GetReceivedTransactionRequest& request) override {
    return Read(&Stub::GetReceivedTransaction, "GetReceivedTransaction", call, request);
  }

  absl::StatusOr<store::v1::ReceivedTransaction> KeepReceivedTransaction(
      const rpc::CallContext& call, const store::v1::KeepReceivedTransactionRequest& request) override {
    return Call(&Stub::KeepReceivedTransaction, "KeepReceivedTransaction", kReadAttempts, call, request);
  }

  absl::StatusOr<store::v1::GetStateResponse> GetState(const rpc::CallContext& call,
                                                       const store::v1::GetStateRequest& request) override {
    return Call(&Stub::GetState, "GetState", kReadAttempts, call, request);
  }

  absl::StatusOr<store::v1::GetBackfillResponse> GetBackfill(const rpc::CallContext& call,
                                                             const store::v1::GetBackfillRequest& request) override {
    return Call(&Stub::GetBackfill, "GetBackfill", kReadAttempts, call, request);
  }

  absl::StatusOr<store::v1::Profile> GetProfile(const rpc::CallContext& call,
                                                const store::v1::GetProfileRequest& request) override {
    return Read(&Stub::GetProfile, "GetProfile", call, request);
  }

  absl::StatusOr<store::v1::AliasTarget> GetAlias(const rpc::CallContext& call,
                                                  const store::v1::GetAliasRequest& request) override {
    return Read(&Stub::GetAlias, "GetAlias", call, request);
  }

 private:
  using Stub = class store::v1::Store::Stub::async;

  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(UnaryMethod<Stub, Request, Response> method, std::string_view name, int attempts,
                                const rpc::CallContext& call, const Request& request) {
    return CallWithAttempts(*stub_->async(), method, Kind(name, attempts), call, counts_, request);
  }

  /// Of a few rows.
  template <typename Request, typename Response>
  absl::StatusOr<Response> Read(UnaryMethod<Stub, Request, Response> method, std::string_view name,
                                const rpc::CallContext& call, const Request& request) {
    return CallWithAttempts(*stub_->async(), method, Quick(name), call, counts_, request);
  }

  static RpcKind Kind(std::string_view method, int attempts) {
    return {"store", method, matrix::Reason::kStoreDown, attempts};
  }
  /// Of what takes milliseconds and writes nothing: who has not answered by then hangs.
  RpcKind Quick(std::string_view method) {
    RpcKind kind = Kind(method, kReadAttempts);
    kind.patience = patience_;
    kind.budget = &budget_;
    return kind;
  }

  const std::unique_ptr<store::v1::Store::Stub> stub_;
  const std::unique_ptr<store::v1::StoreTogether::Stub> together_;
  const RpcCounts counts_;
  const absl::Duration patience_;
  AttemptBudget budget_;
  rpc::CallsTogether contexts_;
  rpc::CallsTogether persists_;
};

}  // namespace

std::vector<absl::StatusOr<store::v1::PersistEventResponse>> StoreClient::PersistInOrder(
    const rpc::CallContext& call, const std::vector<store::v1::PersistEventRequest>& requests) {
  std::vector<absl::StatusOr<store::v1::PersistEventResponse>> answers;
  for (const store::v1::PersistEventRequest& request : requests) {
    answers.push_back(PersistEvent(call, request));
    if (!answers.back().ok() || !answers.back()->has_stored()) break;
  }
  return answers;
}

std::unique_ptr<StoreClient> MakeGrpcStoreClient(std::shared_ptr<grpc::Channel> channel, RpcCounts counts,
                                                 RpcPatience patience) {
  return std::make_unique<GrpcStoreClient>(std::move(channel), counts, patience);
}

}  // namespace postern::gateway
