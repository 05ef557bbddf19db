// The Store's rpcs for calls that share a message: each is handed to the StoreService, as one that came alone.
#pragma once

#include "postern/store/v1/store_together.grpc.pb.h"
#include "rpc/answers_together.h"
#include "services/store/store_service.h"

namespace postern::store {

class StoreTogetherService final : public v1::StoreTogether::CallbackService {
 public:
  /// `service` outlives this.
  explicit StoreTogetherService(StoreService& service) : service_(service) {}

  grpc::ServerUnaryReactor* GetEventContext(grpc::CallbackServerContext*, const rpc::v1::Calls*,
                                            rpc::v1::Answers*) override;
  grpc::ServerUnaryReactor* PersistEvent(grpc::CallbackServerContext*, const rpc::v1::Calls*,
                                         rpc::v1::Answers*) override;

 private:
  StoreService& service_;
};

}  // namespace postern::store
