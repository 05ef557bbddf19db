// One rpc to another tier that shares its message with others that are made at about the same time.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "rpc/calls_together.h"
#include "services/gateway/rpc_attempts.h"

namespace postern::gateway {

/// Tells of the messages that CallsTogether sends.
inline std::function<void()> CountMessages(const RpcCounts& counts, std::string_view method) {
  return [&metrics = counts.metrics, caller = counts.caller, method] {
    metrics.Count("postern_gateway_rpc_messages_total", {{"method", method}, {"caller", NameOf(caller)}});
  };
}

template <typename Response>
absl::StatusOr<Response> ReadAnswer(const absl::StatusOr<std::string>& answer) {
  if (!answer.ok()) return answer.status();
  Response response;
  if (response.ParseFromString(*answer)) return response;
  return matrix::Refuse(matrix::Reason::kInternal, "an answer that cannot be read");
}

/// As CallWithAttempts, in messages of `together`. A peer that knows none of those (an older one, while tiers are
/// upgraded) is called alone.
template <typename AsyncStub, typename Request, typename Response>
absl::StatusOr<Response> CallTogether(rpc::CallsTogether& together, AsyncStub& stub,
                                      UnaryMethod<AsyncStub, Request, Response> method, const RpcKind& kind,
                                      const rpc::CallContext& call, const RpcCounts& counts, const Request& request) {
  const auto attempt = [&](const rpc::CallContext& attempted, RpcSizes& sizes) -> absl::StatusOr<Response> {
    std::string bytes = request.SerializeAsString();
    sizes.sent = bytes.size();
    const absl::StatusOr<std::string> answer = together.Call(attempted, std::move(bytes), kind.unreachable);
    if (rpc::CallsTogether::MustCallAlone(answer.status())) {
      return CallAlone(stub, method, kind, attempted, request, sizes);
    }
    if (answer.ok()) sizes.received = answer->size();
    return ReadAnswer<Response>(answer);
  };
  return WithAttempts(kind, call, counts, attempt);
}

/// These, in their order, in one message of their own, once; nullopt: the peer knows none of those.
template <typename Response, typename Request>
std::optional<std::vector<absl::StatusOr<Response>>> CallInOrder(rpc::CallsTogether& together, const RpcKind& kind,
                                                                 const rpc::CallContext& call, const RpcCounts& counts,
                                                                 const std::vector<Request>& requests) {
  RpcSizes sizes;
  std::vector<std::string> bytes;
  for (const Request& request : requests) {
    bytes.push_back(request.SerializeAsString());
    sizes.sent += bytes.back().size();
  }
  const absl::Time begun = absl::Now();
  std::vector<absl::StatusOr<Response>> responses;
  absl::Status said;  // of the first that was not answered
  for (auto& answer : together.CallInOrder(call, std::move(bytes), kind.unreachable)) {
    if (rpc::CallsTogether::MustCallAlone(answer.status())) return std::nullopt;
    if (answer.ok()) sizes.received += answer->size();
    responses.push_back(ReadAnswer<Response>(answer));
    if (said.ok()) said = responses.back().status();
  }
  CountAttempt(kind, counts, absl::Now() - begun, matrix::ReasonOf(said), sizes);
  return responses;
}

}  // namespace postern::gateway
