// postern.store.v1.ReceivedInvites over gRPC: each call on a worker, counted, in time or not at all.
#pragma once

#include "postern/store/v1/received_invites.grpc.pb.h"
#include "rpc/worker_pool.h"
#include "services/store/invite_store.h"
#include "services/store/store_calls.h"
#include "telemetry/metrics.h"

namespace postern::store {

/// Counts postern_rpc_requests_total and observes postern_rpc_seconds by method, as the rest of the store does.
class ReceivedInvitesService : public v1::ReceivedInvites::CallbackService {
 public:
  ReceivedInvitesService(InviteStore& store, rpc::WorkerPool& workers, telemetry::Metrics& metrics)
      : store_(store), calls_(workers, metrics) {}

  using Reactor = grpc::ServerUnaryReactor;
  using Call = grpc::CallbackServerContext;
  Reactor* KeepInvite(Call*, const v1::KeepInviteRequest*, v1::KeepInviteResponse*) override;
  Reactor* ListInvites(Call*, const v1::ListInvitesRequest*, v1::ListInvitesResponse*) override;
  Reactor* RejectInvites(Call*, const v1::RejectInvitesRequest*, v1::RejectInvitesResponse*) override;
  Reactor* WithdrawInvite(Call*, const v1::WithdrawInviteRequest*, v1::WithdrawInviteResponse*) override;
  Reactor* LeaseInviteLeaves(Call*, const v1::LeaseInviteLeavesRequest*, v1::LeaseInviteLeavesResponse*) override;
  Reactor* ReportInviteLeave(Call*, const v1::ReportInviteLeaveRequest*, v1::ReportInviteLeaveResponse*) override;

 private:
  InviteStore& store_;
  StoreCalls calls_;
};

}  // namespace postern::store
