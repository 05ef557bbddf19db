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
#include "matrix/refusal.h"
#include "rpc/call_context.h"
#include "rpc/pending_answer.h"
#include "rpc/status_codec.h"
#include "services/gateway/rpc_counts.h"

namespace postern::gateway {

struct RpcKind {
  std::string_view peer;    // "store"
  std::string_view method;  // "PersistEvent"
  matrix::Reason unreachable;
  int attempts;
  /// Another replica may have room where this one has none.
  bool try_again_if_full = false;
};

/// Calls `method` of `stub` until it succeeds, says something that another attempt would not change, or has had its
/// attempts. This thread sleeps meanwhile: gRPC's own read and write for all calls.
template <typename AsyncStub, typename Request, typename Response>
absl::StatusOr<Response> CallWithAttempts(AsyncStub& stub,
                                          void (AsyncStub::*method)(grpc::ClientContext*, const Request*, Response*,
                                                                    std::function<void(grpc::Status)>),
                                          const RpcKind& kind, const rpc::CallContext& call, const RpcCounts& counts,
                                          const Request& request) {
  absl::Status status;
  for (int left = kind.attempts; left > 0; --left) {
    const absl::Time begun = absl::Now();
    if (begun >= call.deadline) {
      return matrix::Refuse(matrix::Reason::kDeadlineExceeded, "no time was left for the call");
    }
    grpc::ClientContext context;
    rpc::Prepare(call, context);
    Response response;
    const rpc::PendingAnswer answer;
    (stub.*method)(&context, &request, &response, [answer](grpc::Status said) { answer.Take(std::move(said)); });
    status = rpc::FromGrpc(answer.Wait(), kind.unreachable);
    const matrix::Reason reason = matrix::ReasonOf(status);
    const std::string_view caller = NameOf(counts.caller);
    counts.metrics.Observe("postern_gateway_rpc_seconds", absl::Now() - begun,
                           {{"peer", kind.peer},
                            {"method", kind.method},
                            {"outcome", matrix::RefusalOf(reason).name},
                            {"caller", caller}});
    counts.metrics.Count("postern_gateway_rpc_bytes_total",
                         {{"method", kind.method}, {"direction", "sent"}, {"caller", caller}},
                         static_cast<double>(request.GetCachedSize()));  // writing it has just counted it
    counts.metrics.Count("postern_gateway_rpc_bytes_total",
                         {{"method", kind.method}, {"direction", "received"}, {"caller", caller}},
                         static_cast<double>(response.ByteSizeLong()));
    if (status.ok()) return response;
    const bool full = reason == matrix::Reason::kOverloaded && kind.try_again_if_full;
    if (reason != kind.unreachable && !full) break;
  }
  return status;
}

}  // namespace postern::gateway
