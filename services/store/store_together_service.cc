#include "services/store/store_together_service.h"

#include <utility>
#include <vector>

namespace postern::store {

grpc::ServerUnaryReactor* StoreTogetherService::GetEventContext(grpc::CallbackServerContext* call,
                                                                const rpc::v1::Calls* calls,
                                                                rpc::v1::Answers* answers) {
  return rpc::AnswerTogether<v1::GetEventContextRequest, v1::EventContext>(
      *call, *calls, *answers, [this](std::vector<StoreService::PendingContext> together) {
        std::erase_if(together, [](const auto& one) { return one.request->with_branches() && one.call->SendBack(); });
        service_.Take(std::move(together));
      });
}

grpc::ServerUnaryReactor* StoreTogetherService::PersistEvent(grpc::CallbackServerContext* call,
                                                             const rpc::v1::Calls* calls, rpc::v1::Answers* answers) {
  return rpc::AnswerTogether<v1::PersistEventRequest, v1::PersistEventResponse>(
      *call, *calls, *answers,
      [this](std::vector<StoreService::PendingPersist> together) { service_.Take(std::move(together)); });
}

}  // namespace postern::store
