// One rpc to another tier: deadline, trace, time taken, and as many attempts as it may have.
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/support/status.h>

#include <string_view>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "matrix/refusal.h"
#include "rpc/call_context.h"
#include "rpc/status_codec.h"
#include "telemetry/metrics.h"

namespace postern::gateway {

struct RpcKind {
  std::string_view peer;    // "store"
  std::string_view method;  // "PersistEvent"
  matrix::Reason unreachable;
  int attempts;
  /// Another replica may have room where this one has none.
  bool try_again_if_full = false;
};

/// Calls `attempt` (context → grpc::Status) until it succeeds, says something that another attempt would not change, or
/// has had its attempts.
template <typename Attempt>
absl::Status CallWithAttempts(const RpcKind& kind, const rpc::CallContext& call, telemetry::Metrics& metrics,
                              const Attempt& attempt) {
  absl::Status status;
  for (int left = kind.attempts; left > 0; --left) {
    const absl::Time begun = absl::Now();
    if (begun >= call.deadline)
      return matrix::Refuse(matrix::Reason::kDeadlineExceeded, "no time was left for the call");
    grpc::ClientContext context;
    rpc::Prepare(call, context);
    status = rpc::FromGrpc(attempt(context), kind.unreachable);
    const matrix::Reason reason = matrix::ReasonOf(status);
    metrics.Observe("postern_gateway_rpc_seconds", absl::Now() - begun,
                    {{"peer", kind.peer}, {"method", kind.method}, {"outcome", matrix::RefusalOf(reason).name}});
    const bool full = reason == matrix::Reason::kOverloaded && kind.try_again_if_full;
    if (reason != kind.unreachable && !full) break;
  }
  return status;
}

}  // namespace postern::gateway
