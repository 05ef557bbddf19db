// What an operator does to the rooms of this server, and asks of it (proto/postern/gateway/v1/admin.proto), on a
// loopback port of its own.
#pragma once

#include "postern/gateway/v1/admin.grpc.pb.h"
#include "rpc/call_context.h"
#include "rpc/worker_pool.h"
#include "services/gateway/event_signer.h"
#include "services/gateway/key_ring.h"
#include "services/gateway/room_author.h"

namespace postern::gateway {

class AdminService : public v1::Admin::CallbackService {
 public:
  /// All outlive the service. The server is that of `signer`.
  AdminService(const EventSigner& signer, RoomAuthor& author, KeyRing& key_ring, Clock clock, rpc::WorkerPool& workers);

  grpc::ServerUnaryReactor* CreateRoom(grpc::CallbackServerContext* context, const v1::CreateRoomRequest* request,
                                       v1::CreateRoomResponse* response) override;
  grpc::ServerUnaryReactor* Invite(grpc::CallbackServerContext* context, const v1::InviteRequest* request,
                                   v1::Minted* response) override;
  grpc::ServerUnaryReactor* Ban(grpc::CallbackServerContext* context, const v1::BanRequest* request,
                                v1::Minted* response) override;
  grpc::ServerUnaryReactor* SendState(grpc::CallbackServerContext* context, const v1::SendStateRequest* request,
                                      v1::Minted* response) override;
  grpc::ServerUnaryReactor* Seed(grpc::CallbackServerContext* context, const v1::SeedRequest* request,
                                 v1::SeedResponse* response) override;
  grpc::ServerUnaryReactor* FindServerKeys(grpc::CallbackServerContext* context,
                                           const v1::FindServerKeysRequest* request,
                                           v1::FindServerKeysResponse* response) override;

 private:
  template <typename Work>
  grpc::ServerUnaryReactor* OnAWorker(grpc::CallbackServerContext* context, Work work);

  absl::Status MakeRoom(const rpc::CallContext& call, const v1::CreateRoomRequest& request,
                        v1::CreateRoomResponse& response);
  absl::Status SetMember(const rpc::CallContext& call, const std::string& room_id, const std::string& user_id,
                         const std::string& sender, const std::string& reason, std::string_view membership,
                         v1::Minted& response);
  absl::Status SetState(const rpc::CallContext& call, const v1::SendStateRequest& request, v1::Minted& response);
  absl::Status SeedRooms(const rpc::CallContext& call, const v1::SeedRequest& request, v1::SeedResponse& response);
  absl::Status FindKeys(const rpc::CallContext& call, const v1::FindServerKeysRequest& request,
                        v1::FindServerKeysResponse& response);

  const EventSigner& signer_;
  RoomAuthor& author_;
  KeyRing& key_ring_;
  const Clock clock_;
  rpc::WorkerPool& workers_;
};

}  // namespace postern::gateway
