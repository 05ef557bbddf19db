#include "services/store/received_invites_service.h"

#include <utility>

#include "absl/time/clock.h"
#include "matrix/refusal.h"
#include "rpc/status_codec.h"

namespace postern::store {

using matrix::Reason;
using matrix::Refuse;

template <typename Request, typename Response>
ReceivedInvitesService::Reactor* ReceivedInvitesService::Run(
    Call* call, std::string_view method, const Request* request, Response* response,
    absl::StatusOr<Response> (InviteStore::*ask)(const rpc::CallContext&, const Request&)) {
  Reactor* reactor = call->DefaultReactor();
  const absl::Time received = absl::Now();
  const bool taken = workers_.Post([=, this] {
    const rpc::CallContext context = rpc::FromServerContext(*call);
    if (call->IsCancelled() || context.deadline <= absl::Now()) {
      const Reason reason = call->IsCancelled() ? Reason::kCancelled : Reason::kDeadlineExceeded;
      Finish(reactor, method, Refuse(reason, "the caller no longer waits"), received);
      return;
    }
    absl::StatusOr<Response> answer = (store_.*ask)(context, *request);
    if (answer.ok()) *response = *std::move(answer);
    Finish(reactor, method, answer.status(), received);
  });
  if (!taken) Finish(reactor, method, Refuse(Reason::kOverloaded, "the store's queue is full"), received);
  return reactor;
}

void ReceivedInvitesService::Finish(Reactor* reactor, std::string_view method, const absl::Status& status,
                                    absl::Time received) {
  const std::string_view answer = status.ok() ? "ok" : matrix::RefusalOf(matrix::ReasonOf(status)).name;
  metrics_.Count("postern_rpc_requests_total", {{"method", method}, {"answer", answer}});
  metrics_.Observe("postern_rpc_seconds", absl::Now() - received, {{"method", method}});
  reactor->Finish(rpc::ToGrpc(status));
}

ReceivedInvitesService::Reactor* ReceivedInvitesService::KeepInvite(Call* call, const v1::KeepInviteRequest* request,
                                                                    v1::KeepInviteResponse* response) {
  return Run(call, "KeepInvite", request, response, &InviteStore::KeepInvite);
}

ReceivedInvitesService::Reactor* ReceivedInvitesService::ListInvites(Call* call, const v1::ListInvitesRequest* request,
                                                                     v1::ListInvitesResponse* response) {
  return Run(call, "ListInvites", request, response, &InviteStore::ListInvites);
}

ReceivedInvitesService::Reactor* ReceivedInvitesService::RejectInvites(Call* call,
                                                                       const v1::RejectInvitesRequest* request,
                                                                       v1::RejectInvitesResponse* response) {
  return Run(call, "RejectInvites", request, response, &InviteStore::RejectInvites);
}

ReceivedInvitesService::Reactor* ReceivedInvitesService::WithdrawInvite(Call* call,
                                                                        const v1::WithdrawInviteRequest* request,
                                                                        v1::WithdrawInviteResponse* response) {
  return Run(call, "WithdrawInvite", request, response, &InviteStore::WithdrawInvite);
}

ReceivedInvitesService::Reactor* ReceivedInvitesService::LeaseInviteLeaves(Call* call,
                                                                           const v1::LeaseInviteLeavesRequest* request,
                                                                           v1::LeaseInviteLeavesResponse* response) {
  return Run(call, "LeaseInviteLeaves", request, response, &InviteStore::LeaseInviteLeaves);
}

ReceivedInvitesService::Reactor* ReceivedInvitesService::ReportInviteLeave(Call* call,
                                                                           const v1::ReportInviteLeaveRequest* request,
                                                                           v1::ReportInviteLeaveResponse* response) {
  return Run(call, "ReportInviteLeave", request, response, &InviteStore::ReportInviteLeave);
}

}  // namespace postern::store
