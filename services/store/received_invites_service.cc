#include "services/store/received_invites_service.h"

namespace postern::store {

ReceivedInvitesService::Reactor* ReceivedInvitesService::KeepInvite(Call* call, const v1::KeepInviteRequest* request,
                                                                    v1::KeepInviteResponse* response) {
  return calls_.Ask(call, "KeepInvite", request, response, store_, &InviteStore::KeepInvite);
}

ReceivedInvitesService::Reactor* ReceivedInvitesService::ListInvites(Call* call, const v1::ListInvitesRequest* request,
                                                                     v1::ListInvitesResponse* response) {
  return calls_.Ask(call, "ListInvites", request, response, store_, &InviteStore::ListInvites);
}

ReceivedInvitesService::Reactor* ReceivedInvitesService::RejectInvites(Call* call,
                                                                       const v1::RejectInvitesRequest* request,
                                                                       v1::RejectInvitesResponse* response) {
  return calls_.Ask(call, "RejectInvites", request, response, store_, &InviteStore::RejectInvites);
}

ReceivedInvitesService::Reactor* ReceivedInvitesService::WithdrawInvite(Call* call,
                                                                        const v1::WithdrawInviteRequest* request,
                                                                        v1::WithdrawInviteResponse* response) {
  return calls_.Ask(call, "WithdrawInvite", request, response, store_, &InviteStore::WithdrawInvite);
}

ReceivedInvitesService::Reactor* ReceivedInvitesService::LeaseInviteLeaves(Call* call,
                                                                           const v1::LeaseInviteLeavesRequest* request,
                                                                           v1::LeaseInviteLeavesResponse* response) {
  return calls_.Ask(call, "LeaseInviteLeaves", request, response, store_, &InviteStore::LeaseInviteLeaves);
}

ReceivedInvitesService::Reactor* ReceivedInvitesService::ReportInviteLeave(Call* call,
                                                                           const v1::ReportInviteLeaveRequest* request,
                                                                           v1::ReportInviteLeaveResponse* response) {
  return calls_.Ask(call, "ReportInviteLeave", request, response, store_, &InviteStore::ReportInviteLeave);
}

}  // namespace postern::store
