// One rpc to another tier: deadline, trace, as many attempts as it may have, and what it took in time and bytes.
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/support/status.h>

#include <functional>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "matrix/refusal.h"
#include "rpc/call_context.h"
#include "rpc/call_spans.h"
#include "rpc/pending_answer.h"
#include "rpc/status_codec.h"
#include "services/gateway/attempt_budget.h"
#include "services/gateway/rpc_counts.h"

namespace postern::gateway {

struct RpcKind {
  std::string_view peer;    // "store"
  std::string_view method;  // "PersistEvent"
  matrix::Reason unreachable;
  int attempts;
  /// Another replica may have room where this one has none.
  bool try_again_if_full = false;
  /// An attempt that has no answer after this time is given up for one at another replica, while `budget` allows it:
  /// only for calls that may be repeated while the first is still under way, and that are answered at once where all
  /// is well. Infinite: never.
  absl::Duration patience = absl::InfiniteDuration();
  AttemptBudget* budget = nullptr;
};

/// So many attempts of a call are given up at most; the next one waits for as long as the call may. Among two replicas
/// of which one hangs, each goes to the other one half of the time.
inline constexpr int kMostGivenUp = 3;

/// What one attempt has put on the wire, in bytes of messages.
struct RpcSizes {
  std::size_t sent = 0;
  std::size_t received = 0;
};

/// Whether an attempt that begins now may be given up before `deadline`. The budget has then been charged for it.
inline bool MayGiveUp(const RpcKind& kind, absl::Time begun, absl::Time deadline, int given_up) {
  return kind.budget != nullptr && given_up < kMostGivenUp && begun + kind.patience < deadline && kind.budget->Take();
}

/// Counts one attempt.
inline void CountAttempt(const RpcKind& kind, const RpcCounts& counts, absl::Duration took, matrix::Reason reason,
                         const RpcSizes& sizes) {
  const std::string_view caller = NameOf(counts.caller);
  counts.metrics.Observe(
      "postern_gateway_rpc_seconds", took,
      {{"peer", kind.peer}, {"method", kind.method}, {"outcome", matrix::RefusalOf(reason).name}, {"caller", caller}});
  counts.metrics.Count("postern_gateway_rpc_bytes_total",
                       {{"method", kind.method}, {"direction", "sent"}, {"caller", caller}},
                       static_cast<double>(sizes.sent));
  counts.metrics.Count("postern_gateway_rpc_bytes_total",
                       {{"method", kind.method}, {"direction", "received"}, {"caller", caller}},
                       static_cast<double>(sizes.received));
}

/// Makes attempts until one succeeds, says something that another would not change, or there have been as many as may
/// be. `attempt` takes the call's context, with a span of its own, and RpcSizes&, and returns the response or a status.
template <typename Attempt>
auto WithAttempts(const RpcKind& kind, const rpc::CallContext& call, const RpcCounts& counts, const Attempt& attempt)
    -> decltype(attempt(call, std::declval<RpcSizes&>())) {
  int left = kind.attempts;
  int given_up = 0;
  while (true) {
    const absl::Time begun = absl::Now();
    if (begun >= call.deadline) {
      return matrix::Refuse(matrix::Reason::kDeadlineExceeded, "no time was left for the call");
    }
    RpcSizes sizes;
    const bool may_give_up = MayGiveUp(kind, begun, call.deadline, given_up);
    const rpc::CallContext attempted{may_give_up ? begun + kind.patience : call.deadline,
                                     telemetry::ChildOf(call.trace)};
    auto response = attempt(attempted, sizes);
    const absl::Status status = response.status();
    rpc::SayCalled(call, attempted, kind.method, begun, status);
    const matrix::Reason reason = matrix::ReasonOf(status);
    CountAttempt(kind, counts, absl::Now() - begun, reason, sizes);
    if (may_give_up && reason == matrix::Reason::kDeadlineExceeded) {
      ++given_up;
      counts.metrics.Count("postern_gateway_rpc_given_up_total", {{"peer", kind.peer}, {"method", kind.method}});
      continue;
    }
    if (may_give_up) kind.budget->GiveBack();
    const bool full = reason == matrix::Reason::kOverloaded && kind.try_again_if_full;
    // An attempt that was given up may hold the room still, while it waits for its commit.
    const bool behind_itself = reason == matrix::Reason::kRoomBusy && given_up > 0;
    if (status.ok() || (reason != kind.unreachable && !full && !behind_itself) || --left == 0) return response;
  }
}

template <typename AsyncStub, typename Request, typename Response>
using UnaryMethod = void (AsyncStub::*)(grpc::ClientContext*, const Request*, Response*,
                                        std::function<void(grpc::Status)>);

/// One call in a message of its own. This thread sleeps meanwhile: gRPC's own read and write for all calls.
template <typename AsyncStub, typename Request, typename Response>
absl::StatusOr<Response> CallAlone(AsyncStub& stub, UnaryMethod<AsyncStub, Request, Response> method,
                                   const RpcKind& kind, const rpc::CallContext& call, const Request& request,
                                   RpcSizes& sizes) {
  grpc::ClientContext context;
  rpc::Prepare(call, context);
  Response response;
  const rpc::PendingAnswer answer;
  (stub.*method)(&context, &request, &response, [answer](grpc::Status said) { answer.Take(std::move(said)); });
  absl::Status status = rpc::FromGrpc(answer.Wait(), kind.unreachable);
  sizes = {static_cast<std::size_t>(request.GetCachedSize()),  // writing it has just counted it
           response.ByteSizeLong()};
  if (!status.ok()) return status;
  return response;
}

/// Calls `method` of `stub`, with as many attempts as it may have.
template <typename AsyncStub, typename Request, typename Response>
absl::StatusOr<Response> CallWithAttempts(AsyncStub& stub, UnaryMethod<AsyncStub, Request, Response> method,
                                          const RpcKind& kind, const rpc::CallContext& call, const RpcCounts& counts,
                                          const Request& request) {
  return WithAttempts(kind, call, counts, [&](const rpc::CallContext& attempted, RpcSizes& sizes) {
    counts.metrics.Count("postern_gateway_rpc_messages_total",
                         {{"method", kind.method}, {"caller", NameOf(counts.caller)}});
    return CallAlone(stub, method, kind, attempted, request, sizes);
  });
}

}  // namespace postern::gateway
