// The store as a whole: pool, watch, workers, service, ports; and their orderly end.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "services/store/config.h"

namespace postern::store {

class Store {
 public:
  /// Serves from here on; calls are answered once PostgreSQL is there and migrated (health and /readyz say so).
  /// Refuses: kInvalidArgument where a port cannot be had.
  static absl::StatusOr<std::unique_ptr<Store>> Start(const StoreConfig& config);
  ~Store();

  int grpc_port() const;
  int admin_port() const;
  /// Waits until PostgreSQL is there and migrated; false if `deadline` came first.
  bool WaitUntilReady(absl::Time deadline);
  /// /readyz and gRPC health say so; everything is served as before.
  void StopBeingReady();
  /// Stops being ready, finishes what is in flight within the grace period.
  void Shutdown();

 private:
  struct Parts;
  explicit Store(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace postern::store
