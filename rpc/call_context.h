// What travels with every call between services: until when it is worth doing, and the trace it belongs to.
#pragma once

#include <string>

#include "absl/time/time.h"
#include "telemetry/trace.h"

namespace grpc {
class ClientContext;
class CallbackServerContext;
}  // namespace grpc

namespace postern::rpc {

struct CallContext {
  absl::Time deadline;
  telemetry::TraceContext trace;
};

/// Sets deadline and `traceparent` metadata on an outgoing call.
void Prepare(const CallContext& call, grpc::ClientContext& context);

/// Reads both from an incoming call; a call without a traceparent starts a trace of its own.
CallContext FromServerContext(const grpc::CallbackServerContext& context);

}  // namespace postern::rpc
