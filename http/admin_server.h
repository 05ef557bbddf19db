// The port that operators and the kubelet look at: /metrics, /livez, /readyz. The same for every service.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "http/http_listener.h"
#include "telemetry/metrics.h"

namespace postern::http {

/// What is missing before the service can serve, by name ("database", "migrations", "validator"); empty: ready.
using MissingForReadiness = std::function<std::vector<std::string>()>;

/// Brings up to date what is only worked out when somebody reads metrics.
using UpdateMetrics = std::function<void()>;

class AdminServer {
 public:
  /// Listens on `listen`, e.g. "127.0.0.1:9090". `/livez` looks at nothing. `/metrics` shows the process's own too.
  /// Refuses: kInvalidArgument.
  static absl::StatusOr<std::unique_ptr<AdminServer>> Start(
      const std::string& listen, telemetry::Metrics& metrics, MissingForReadiness missing,
      UpdateMetrics update = [] {});
  virtual ~AdminServer() = default;
  virtual int port() const = 0;
};

}  // namespace postern::http
