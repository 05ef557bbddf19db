// What an operator does to the rooms of this server, and asks of it (proto/postern/gateway/v1/admin.proto), on a
// loopback port of its own.
#pragma once

#include <functional>

#include "postern/gateway/v1/admin.grpc.pb.h"
#include "rpc/call_context.h"
#include "rpc/worker_pool.h"
#include "services/gateway/event_signer.h"
#include "services/gateway/invites_under_way.h"
#include "services/gateway/key_ring.h"
#include "services/gateway/room_author.h"
#include "services/gateway/store_client.h"

namespace postern::gateway {

/// What an operator's wishes are carried out with; all outlive the service. The server is that of `signer`.
struct AdminMeans {
  EventSigner& signer;
  RoomAuthor& author;
  KeyRing& key_ring;
  StoreClient& store;
  InvitesUnderWay& invites_under_way;
  /// Has the invited user's server sign: InviteHandshake::SignedByBoth.
  std::function<absl::StatusOr<std::string>(const rpc::CallContext& call, const OutboundInvite& invite)> sign_invite;
  Clock clock;
  /// Reads this server's keys from their files again, and signs with them if they are good.
  std::function<absl::Status()> reload_signing_keys;
};

class AdminService : public v1::Admin::CallbackService {
 public:
  AdminService(AdminMeans means, rpc::WorkerPool& workers);

  grpc::ServerUnaryReactor* CreateRoom(grpc::CallbackServerContext* context, const v1::CreateRoomRequest* request,
                                       v1::CreateRoomResponse* response) override;
  grpc::ServerUnaryReactor* Invite(grpc::CallbackServerContext* context, const v1::InviteRequest* request,
                                   v1::Minted* response) override;
  grpc::ServerUnaryReactor* WithdrawInvite(grpc::CallbackServerContext* context,
                                           const v1::WithdrawInviteRequest* request, v1::Minted* response) override;
  grpc::ServerUnaryReactor* Ban(grpc::CallbackServerContext* context, const v1::BanRequest* request,
                                v1::Minted* response) override;
  grpc::ServerUnaryReactor* SendState(grpc::CallbackServerContext* context, const v1::SendStateRequest* request,
                                      v1::Minted* response) override;
  grpc::ServerUnaryReactor* SetMembership(grpc::CallbackServerContext* context, const v1::SetMembershipRequest* request,
                                          v1::Minted* response) override;
  grpc::ServerUnaryReactor* SendEvent(grpc::CallbackServerContext* context, const v1::SendEventRequest* request,
                                      v1::Minted* response) override;
  grpc::ServerUnaryReactor* SetPowerLevel(grpc::CallbackServerContext* context, const v1::SetPowerLevelRequest* request,
                                          v1::Minted* response) override;
  grpc::ServerUnaryReactor* Seed(grpc::CallbackServerContext* context, const v1::SeedRequest* request,
                                 v1::SeedResponse* response) override;
  grpc::ServerUnaryReactor* FindServerKeys(grpc::CallbackServerContext* context,
                                           const v1::FindServerKeysRequest* request,
                                           v1::FindServerKeysResponse* response) override;
  grpc::ServerUnaryReactor* ShowServerKeys(grpc::CallbackServerContext* context,
                                           const v1::ShowServerKeysRequest* request,
                                           v1::ShowServerKeysResponse* response) override;
  grpc::ServerUnaryReactor* ForgetServerKeys(grpc::CallbackServerContext* context,
                                             const v1::ForgetServerKeysRequest* request,
                                             v1::ForgetServerKeysResponse* response) override;
  grpc::ServerUnaryReactor* ReloadSigningKeys(grpc::CallbackServerContext* context,
                                              const v1::ReloadSigningKeysRequest* request,
                                              v1::ReloadSigningKeysResponse* response) override;

 private:
  template <typename Work>
  grpc::ServerUnaryReactor* OnAWorker(grpc::CallbackServerContext* context, Work work);

  absl::Status MakeRoom(const rpc::CallContext& call, const v1::CreateRoomRequest& request,
                        v1::CreateRoomResponse& response);
  absl::Status SetMember(const rpc::CallContext& call, const std::string& room_id, const std::string& user_id,
                         const std::string& sender, const std::string& reason, std::string_view membership,
                         v1::Minted& response);
  absl::Status SendInvite(const rpc::CallContext& call, const v1::InviteRequest& request, v1::Minted& response);
  absl::Status Withdraw(const rpc::CallContext& call, const v1::WithdrawInviteRequest& request, v1::Minted& response);
  absl::Status SetState(const rpc::CallContext& call, const v1::SendStateRequest& request, v1::Minted& response);
  absl::Status ChangeMember(const rpc::CallContext& call, const v1::SetMembershipRequest& request,
                            v1::Minted& response);
  absl::Status AddEvent(const rpc::CallContext& call, const v1::SendEventRequest& request, v1::Minted& response);
  absl::Status SetPower(const rpc::CallContext& call, const v1::SetPowerLevelRequest& request, v1::Minted& response);
  absl::Status SeedRooms(const rpc::CallContext& call, const v1::SeedRequest& request, v1::SeedResponse& response);
  absl::Status FindKeys(const rpc::CallContext& call, const v1::FindServerKeysRequest& request,
                        v1::FindServerKeysResponse& response);
  absl::Status ShowKeys(const rpc::CallContext& call, const v1::ShowServerKeysRequest& request,
                        v1::ShowServerKeysResponse& response);
  absl::Status ReloadKeys(v1::ReloadSigningKeysResponse& response);

  const AdminMeans means_;
  rpc::WorkerPool& workers_;
};

}  // namespace postern::gateway
