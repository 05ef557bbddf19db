// Tells the other gateways how much each origin asks here, and hears it of them, through the store (pitfall R02).
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "absl/time/time.h"
#include "services/gateway/clock.h"
#include "services/gateway/origin_limiter.h"
#include "services/gateway/store_client.h"
#include "telemetry/metrics.h"

namespace postern::gateway {

/// While some origin is near a limit, one call to the store each tenth of its window (50 ms to 1 s), for all of them;
/// otherwise none. Where that begins after a while of quiet, the first few come four times as fast: then the least is
/// known. On a thread of its own: no request waits for it. What a gateway has said counts for ten times that
/// time: so long the others reckon with one that has died, and so long this one reckons with what it heard last where
/// the store cannot be had. Then it has every limit for itself, and postern_gateway_rate_limits_shared is 0.
class SharedRates {
 public:
  SharedRates(OriginLimiter& limiter, StoreClient& store, Clock clock, telemetry::Metrics& metrics);
  ~SharedRates();
  SharedRates(const SharedRates&) = delete;
  SharedRates& operator=(const SharedRates&) = delete;

  void Start();
  /// Gives the others this gateway's share.
  void Shutdown();

  /// One exchange. Returns when the next is due; nullopt: not before some origin comes near a limit.
  std::optional<absl::Duration> Exchange();

 private:
  void Run();
  void NoteOutcome(const absl::Status& status);

  OriginLimiter& limiter_;
  StoreClient& store_;
  const Clock clock_;
  telemetry::Metrics& metrics_;
  const std::string holder_;

  // Of the thread that exchanges.
  bool others_have_ours_ = false;
  absl::Duration pace_;
  int hurried_ = 0;  // how many exchanges are still to come fast
  absl::Time last_near_ = absl::InfinitePast();
  bool shared_ = true;

  std::mutex mutex_;
  std::condition_variable wake_;
  bool near_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace postern::gateway
