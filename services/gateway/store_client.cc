#include "services/gateway/store_client.h"

#include <grpcpp/channel.h>

#include <utility>

#include "postern/store/v1/store.grpc.pb.h"
#include "services/gateway/rpc_attempts.h"

namespace postern::gateway {
namespace {

constexpr int kReadAttempts = 2;
constexpr int kPersistAttempts = 2;  // by id: what was committed unseen is found again
constexpr int kOnce = 1;

class GrpcStoreClient : public StoreClient {
 public:
  GrpcStoreClient(std::shared_ptr<grpc::Channel> channel, telemetry::Metrics& metrics)
      : stub_(store::v1::Store::NewStub(std::move(channel))), metrics_(metrics) {}

  absl::StatusOr<store::v1::EventContext> GetEventContext(const rpc::CallContext& call,
                                                          const store::v1::GetEventContextRequest& request) override {
    return Call<store::v1::EventContext>("GetEventContext", kReadAttempts, call, [&](auto& context, auto& response) {
      return stub_->GetEventContext(&context, request, &response);
    });
  }

  absl::StatusOr<store::v1::TemplateContext> GetTemplateContext(
      const rpc::CallContext& call, const store::v1::GetTemplateContextRequest& request) override {
    return Call<store::v1::TemplateContext>(
        "GetTemplateContext", kReadAttempts, call,
        [&](auto& context, auto& response) { return stub_->GetTemplateContext(&context, request, &response); });
  }

  absl::StatusOr<store::v1::PersistEventResponse> PersistEvent(const rpc::CallContext& call,
                                                               const store::v1::PersistEventRequest& request) override {
    return Call<store::v1::PersistEventResponse>(
        "PersistEvent", kPersistAttempts, call,
        [&](auto& context, auto& response) { return stub_->PersistEvent(&context, request, &response); });
  }

  absl::Status CreateRoom(const rpc::CallContext& call, const store::v1::CreateRoomRequest& request) override {
    return Call<store::v1::CreateRoomResponse>(
               "CreateRoom", kOnce, call,
               [&](auto& context, auto& response) { return stub_->CreateRoom(&context, request, &response); })
        .status();
  }

  absl::Status SeedEvents(const rpc::CallContext& call, const store::v1::SeedEventsRequest& request) override {
    return Call<store::v1::SeedEventsResponse>(
               "SeedEvents", kOnce, call,
               [&](auto& context, auto& response) { return stub_->SeedEvents(&context, request, &response); })
        .status();
  }

  absl::StatusOr<store::v1::GetServerKeysResponse> GetServerKeys(
      const rpc::CallContext& call, const store::v1::GetServerKeysRequest& request) override {
    return Call<store::v1::GetServerKeysResponse>(
        "GetServerKeys", kReadAttempts, call,
        [&](auto& context, auto& response) { return stub_->GetServerKeys(&context, request, &response); });
  }

  absl::Status PutServerKeys(const rpc::CallContext& call, const store::v1::PutServerKeysRequest& request) override {
    return Call<store::v1::PutServerKeysResponse>(
               "PutServerKeys", kReadAttempts, call,
               [&](auto& context, auto& response) { return stub_->PutServerKeys(&context, request, &response); })
        .status();
  }

 private:
  template <typename Response, typename Attempt>
  absl::StatusOr<Response> Call(std::string_view method, int attempts, const rpc::CallContext& call,
                                const Attempt& attempt) {
    Response response;
    const RpcKind kind{"store", method, matrix::Reason::kStoreDown, attempts};
    const absl::Status status = CallWithAttempts(kind, call, metrics_, [&](grpc::ClientContext& context) {
      response.Clear();
      return attempt(context, response);
    });
    if (!status.ok()) return status;
    return response;
  }

  const std::unique_ptr<store::v1::Store::Stub> stub_;
  telemetry::Metrics& metrics_;
};

}  // namespace

std::unique_ptr<StoreClient> MakeGrpcStoreClient(std::shared_ptr<grpc::Channel> channel, telemetry::Metrics& metrics) {
  return std::make_unique<GrpcStoreClient>(std::move(channel), metrics);
}

}  // namespace postern::gateway
