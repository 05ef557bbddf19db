// Whether the services that the gateway needs are there: what /readyz names when they are not.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"

namespace grpc {
class Channel;
class ClientContext;
}  // namespace grpc

namespace postern::gateway {

struct WatchedPeer {
  std::string name;  // "store"
  std::shared_ptr<grpc::Channel> channel;
};

/// Asks each peer's grpc.health.v1 every `interval`, on a thread of its own.
class PeerHealth {
 public:
  explicit PeerHealth(std::vector<WatchedPeer> peers, absl::Duration interval = absl::Seconds(1));
  ~PeerHealth();
  PeerHealth(const PeerHealth&) = delete;
  PeerHealth& operator=(const PeerHealth&) = delete;

  /// The names of those that did not say that they serve when they were last asked, or cannot be reached since.
  std::vector<std::string> Missing() const;

 private:
  void Run();
  bool Ask(std::size_t peer, std::unique_lock<std::mutex>& lock);

  const std::vector<WatchedPeer> peers_;
  const absl::Duration interval_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<bool> serving_;
  grpc::ClientContext* asking_ = nullptr;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace postern::gateway
