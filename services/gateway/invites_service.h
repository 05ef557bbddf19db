// What an operator does about invites of this server's users (proto/postern/gateway/v1/invites.proto), beside Admin.
#pragma once

#include <functional>

#include "postern/gateway/v1/invites.grpc.pb.h"
#include "rpc/call_context.h"
#include "rpc/worker_pool.h"
#include "services/gateway/invite_store_client.h"
#include "services/gateway/room_author.h"

namespace postern::gateway {

class InvitesService : public v1::Invites::CallbackService {
 public:
  /// `rejected` is called once something has been.
  InvitesService(InviteStoreClient& invites, RoomAuthor& author, std::function<void()> rejected,
                 rpc::WorkerPool& workers);

  grpc::ServerUnaryReactor* Reject(grpc::CallbackServerContext* context, const v1::RejectRequest* request,
                                   v1::RejectResponse* response) override;

 private:
  absl::Status RejectAll(const rpc::CallContext& call, const v1::RejectRequest& request, v1::RejectResponse& response);
  /// Of a room that is here: an event like any other.
  absl::Status LeaveHere(const rpc::CallContext& call, const v1::RejectRequest& request, v1::RejectResponse& response);

  InviteStoreClient& invites_;
  RoomAuthor& author_;
  const std::function<void()> rejected_;
  rpc::WorkerPool& workers_;
};

}  // namespace postern::gateway
