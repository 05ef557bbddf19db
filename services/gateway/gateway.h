// The gateway as a whole: its parts, put together from the configuration.
#pragma once

#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "services/gateway/config.h"

namespace postern::gateway {

class Gateway {
 public:
  /// Reads the keys, listens and serves. The store and the validators need not be there yet: until they are, /readyz
  /// names them. Refuses: kInvalidArgument, naming what is wrong.
  static absl::StatusOr<std::unique_ptr<Gateway>> Start(const GatewayConfig& config);
  virtual ~Gateway() = default;

  virtual int federation_port() const = 0;
  virtual int grpc_port() const = 0;
  virtual int admin_port() const = 0;

  /// Reads the TLS certificate again.
  virtual void Reload() = 0;
  /// /readyz and gRPC health say so; everything is served as before.
  virtual void StopBeingReady() = 0;
  /// Stops being ready, finishes what is in flight, and returns.
  virtual void Shutdown() = 0;
};

}  // namespace postern::gateway
