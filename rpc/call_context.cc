#include "rpc/call_context.h"

#include <grpcpp/client_context.h>
#include <grpcpp/server_context.h>

#include <chrono>
#include <string_view>

namespace postern::rpc {

void Prepare(const CallContext& call, grpc::ClientContext& context) {
  if (call.deadline != absl::InfiniteFuture()) context.set_deadline(absl::ToChronoTime(call.deadline));
  context.AddMetadata("traceparent", telemetry::FormatTraceparent(call.trace));
}

CallContext FromServerContext(const grpc::CallbackServerContext& context) {
  CallContext call;
  const auto deadline = context.deadline();
  call.deadline =
      deadline == std::chrono::system_clock::time_point::max() ? absl::InfiniteFuture() : absl::FromChrono(deadline);
  const auto& metadata = context.client_metadata();
  const auto header = metadata.find("traceparent");
  auto trace = header == metadata.end()
                   ? std::nullopt
                   : telemetry::ParseTraceparent(std::string_view(header->second.data(), header->second.size()));
  call.trace = trace ? *std::move(trace) : telemetry::NewTrace();
  return call;
}

}  // namespace postern::rpc
