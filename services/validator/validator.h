// The validator as a whole: its parts, put together from the configuration.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "services/validator/config.h"

namespace postern::validator {

class Validator {
 public:
  /// Listens and serves. Refuses: kInvalidArgument, naming what is wrong.
  static absl::StatusOr<std::unique_ptr<Validator>> Start(const ValidatorConfig& config);
  virtual ~Validator() = default;

  virtual int grpc_port() const = 0;
  virtual int admin_port() const = 0;

  /// Stops being ready, finishes what is in flight, and returns.
  virtual void Shutdown() = 0;
  /// /readyz and gRPC health say so; everything is served as before.
  virtual void StopBeingReady() = 0;
};

}  // namespace postern::validator
