// Where the calls of a client are counted, and for whom they were made.
#pragma once

#include <string_view>

#include "telemetry/metrics.h"

namespace postern::gateway {

/// For whom calls are made: a request, or what the gateway does by itself. Counted apart.
enum class Caller { kRequest, kBackground };
constexpr std::string_view NameOf(Caller caller) { return caller == Caller::kRequest ? "request" : "background"; }

/// Where calls of one client are counted.
struct RpcCounts {
  telemetry::Metrics& metrics;
  Caller caller = Caller::kRequest;
};

}  // namespace postern::gateway
