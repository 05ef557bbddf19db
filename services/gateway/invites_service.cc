#include "services/gateway/invites_service.h"

#include <utility>

#include "matrix/canonical_json.h"
#include "matrix/json.h"
#include "matrix/refusal.h"
#include "matrix/server_name.h"
#include "rpc/status_codec.h"
#include "telemetry/log.h"

namespace postern::gateway {

using matrix::Reason;
using matrix::Refuse;

InvitesService::InvitesService(InviteStoreClient& invites, RoomAuthor& author, std::function<void()> rejected,
                               rpc::WorkerPool& workers)
    : invites_(invites), author_(author), rejected_(std::move(rejected)), workers_(workers) {}

grpc::ServerUnaryReactor* InvitesService::Reject(grpc::CallbackServerContext* context, const v1::RejectRequest* request,
                                                 v1::RejectResponse* response) {
  auto* reactor = context->DefaultReactor();
  const rpc::CallContext call = rpc::FromServerContext(*context);
  const bool taken = workers_.Post([=, this] {
    const absl::Status status = RejectAll(call, *request, *response);
    telemetry::Log(telemetry::Level::kInfo, "admin call",
                   {{"trace_id", call.trace.trace_id},
                    {"reason", matrix::RefusalOf(matrix::ReasonOf(status)).name},
                    {"detail", matrix::DetailOf(status)}});
    reactor->Finish(rpc::ToGrpc(status));
  });
  if (!taken) reactor->Finish(rpc::ToGrpc(Refuse(Reason::kOverloaded, "the gateway is too busy")));
  return reactor;
}

absl::Status InvitesService::RejectAll(const rpc::CallContext& call, const v1::RejectRequest& request,
                                       v1::RejectResponse& response) {
  for (const std::string& server : request.via()) {
    if (const auto name = matrix::ServerName::Parse(server); !name.ok()) return name.status();
  }
  if (!matrix::ParseJson(matrix::CanonicalJson(matrix::Json(request.reason()))).ok()) {
    return Refuse(Reason::kInvalidArgument, "the reason is no UTF-8");
  }
  store::v1::RejectInvitesRequest asked;
  asked.mutable_of()->set_room_id(request.room_id());
  asked.mutable_of()->set_user_id(request.user_id());
  asked.mutable_of()->set_sender(request.sender());
  asked.mutable_of()->set_server(request.server());
  asked.set_all(request.all());
  asked.set_reason(request.reason());
  *asked.mutable_via() = request.via();
  const auto answer = invites_.RejectInvites(call, asked);
  if (!answer.ok()) return answer.status();
  for (const auto& name : answer->rejected()) {
    auto& rejected = *response.add_rejected();
    rejected.set_room_id(name.room_id());
    rejected.set_user_id(name.user_id());
    rejected.set_event_id(name.event_id());
  }
  if (!response.rejected().empty()) rejected_();
  const bool by_name = !request.room_id().empty() && !request.user_id().empty();
  return by_name && response.rejected().empty() ? LeaveHere(call, request, response) : absl::OkStatus();
}

absl::Status InvitesService::LeaveHere(const rpc::CallContext& call, const v1::RejectRequest& request,
                                       v1::RejectResponse& response) {
  EventIntent intent{"m.room.member", request.user_id(), request.user_id(), {}};
  intent.content.Set("membership", "leave");
  if (!request.reason().empty()) intent.content.Set("reason", request.reason());
  const auto minted = author_.SetMembership(call, request.room_id(), std::move(intent), {"invite"});
  const Reason reason = matrix::ReasonOf(minted.status());
  if (reason == Reason::kUnknownRoom || reason == Reason::kNotAMember) {
    return Refuse(Reason::kNotFound, "the user has no invite to this room");
  }
  if (!minted.ok()) return minted.status();
  auto& rejected = *response.add_rejected();
  rejected.set_room_id(request.room_id());
  rejected.set_user_id(request.user_id());
  rejected.set_leave_event_id(minted->event_id);
  return absl::OkStatus();
}

}  // namespace postern::gateway
