// States that other servers told, before events behind a gap, as the store's rpc handlers see them: PostgreSQL, or the
// in-memory fake of the tests.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "postern/store/v1/fetched_state.pb.h"
#include "rpc/call_context.h"

namespace postern::store {

/// A room's state differs from one that is told by so many keys at most: more is not resolved (Branches, store.proto).
inline constexpr int kMostDifferences = 5000;

/// Thread-safe. Each method answers the rpc of its name (proto/postern/store/v1/fetched_state.proto); each may refuse
/// with kStoreDown, kOverloaded or kDeadlineExceeded besides kUnknownRoom and kInvalidArgument.
class FetchedStateStore {
 public:
  virtual ~FetchedStateStore() = default;
  virtual absl::StatusOr<v1::FindUnknownEventsResponse> FindUnknownEvents(
      const rpc::CallContext& call, const v1::FindUnknownEventsRequest& request) = 0;
  virtual absl::StatusOr<v1::KeepFetchedStateResponse> KeepFetchedState(const rpc::CallContext& call,
                                                                        const v1::KeepFetchedStateRequest& request) = 0;
};

/// Refuse: kInvalidArgument, over the limits of the proto and for what names no room or event.
absl::Status CheckFindUnknownEvents(const v1::FindUnknownEventsRequest& request);
absl::Status CheckKeepFetchedState(const v1::KeepFetchedStateRequest& request);

}  // namespace postern::store
