#include "services/store/fetched_state_service.h"

#include "matrix/refusal.h"

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

FetchedStateService::Reactor* FetchedStateService::FindUnknownEvents(Call* call,
                                                                     const v1::FindUnknownEventsRequest* request,
                                                                     v1::FindUnknownEventsResponse* response) {
  return calls_.Ask(call, "FindUnknownEvents", request, response, store_, &FetchedStateStore::FindUnknownEvents);
}

FetchedStateService::Reactor* FetchedStateService::KeepFetchedState(Call* call,
                                                                    const v1::KeepFetchedStateRequest* request,
                                                                    v1::KeepFetchedStateResponse* response) {
  return calls_.Ask(call, "KeepFetchedState", request, response, store_, &FetchedStateStore::KeepFetchedState);
}

}  // namespace postern::store
