#include "services/store/fetched_state_service.h"

#include <grpcpp/grpcpp.h>

#include <utility>

#include "absl/time/clock.h"
#include "matrix/refusal.h"
#include "rpc/call_context.h"
#include "rpc/status_codec.h"

namespace postern::store {

using matrix::Reason;
using matrix::Refuse;

namespace {

constexpr int kMostIds = 20'000;
constexpr int kMostOutliers = 2000;

}  // namespace

absl::Status CheckFindUnknownEvents(const v1::FindUnknownEventsRequest& request) {
  if (request.room_id().empty()) return Refuse(Reason::kInvalidArgument, "room_id is empty");
  if (request.event_ids_size() > kMostIds) return Refuse(Reason::kInvalidArgument, "too many events");
  return absl::OkStatus();
}

absl::Status CheckKeepFetchedState(const v1::KeepFetchedStateRequest& request) {
  if (request.room_id().empty()) return Refuse(Reason::kInvalidArgument, "room_id is empty");
  if (request.event_id().empty()) return Refuse(Reason::kInvalidArgument, "event_id is empty");
  if (request.told_by().empty()) return Refuse(Reason::kInvalidArgument, "told_by is empty");
  if (request.outliers_size() > kMostOutliers || request.state_size() > kMostIds) {
    return Refuse(Reason::kInvalidArgument, "too many events");
  }
  return absl::OkStatus();
}

template <typename Request, typename Response>
FetchedStateService::Reactor* FetchedStateService::Run(
    Call* call, std::string_view method, const Request* request, Response* response,
    absl::StatusOr<Response> (FetchedStateStore::*ask)(const rpc::CallContext&, const Request&)) {
  Reactor* reactor = call->DefaultReactor();
  const absl::Time received = absl::Now();
  const auto finish = [this, reactor, method, received](const absl::Status& status) {
    Count(method, status, absl::Now() - received);
    reactor->Finish(rpc::ToGrpc(status));
  };
  const bool taken = workers_.Post([this, call, request, response, ask, finish] {
    const rpc::CallContext context = rpc::FromServerContext(*call);
    if (call->IsCancelled()) return finish(Refuse(Reason::kCancelled, "the caller gave up before the call was begun"));
    if (context.deadline <= absl::Now()) {
      return finish(Refuse(Reason::kDeadlineExceeded, "the deadline passed before the call was begun"));
    }
    absl::StatusOr<Response> answer = (store_.*ask)(context, *request);
    if (answer.ok()) *response = *std::move(answer);
    finish(answer.status());
  });
  if (!taken) finish(Refuse(Reason::kOverloaded, "the store's queue is full"));
  return reactor;
}

void FetchedStateService::Count(std::string_view method, const absl::Status& status, absl::Duration duration) {
  const std::string_view answer = status.ok() ? "ok" : matrix::RefusalOf(matrix::ReasonOf(status)).name;
  metrics_.Count("postern_rpc_requests_total", {{"method", method}, {"answer", answer}});
  metrics_.Observe("postern_rpc_seconds", duration, {{"method", method}});
}

FetchedStateService::Reactor* FetchedStateService::FindUnknownEvents(Call* call,
                                                                     const v1::FindUnknownEventsRequest* request,
                                                                     v1::FindUnknownEventsResponse* response) {
  return Run(call, "FindUnknownEvents", request, response, &FetchedStateStore::FindUnknownEvents);
}

FetchedStateService::Reactor* FetchedStateService::KeepFetchedState(Call* call,
                                                                    const v1::KeepFetchedStateRequest* request,
                                                                    v1::KeepFetchedStateResponse* response) {
  return Run(call, "KeepFetchedState", request, response, &FetchedStateStore::KeepFetchedState);
}

}  // namespace postern::store
