// From HTTP to a route: rows 1-5 of "Answers of send_leave".
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "http/http_listener.h"
#include "rpc/worker_pool.h"
#include "services/gateway/address_limiter.h"
#include "services/gateway/exchange.h"
#include "services/gateway/origin_limiter.h"
#include "services/gateway/peer_auth.h"
#include "services/gateway/route.h"
#include "telemetry/metrics.h"

namespace postern::gateway {

/// One path that is known. Exactly one of `peer` and `open` is set.
struct RouteEntry {
  std::string_view name;  // for logs and metrics
  std::string_view method;
  std::string_view path;  // "{}" stands for one segment
  PeerRoute* peer = nullptr;
  PublicRoute* open = nullptr;
  /// Where bodies may be longer than the listener's limit.
  std::size_t body_limit_bytes = 0;
};

struct RouterOptions {
  absl::Duration request_timeout = absl::Seconds(20);
  /// While one waits for a thread that long, those that come are refused.
  absl::Duration longest_wait = absl::InfiniteDuration();
  /// The header in which a trusted proxy names the client; its last entry counts. Empty: the connection's own address.
  std::string client_address_header;
  /// Told of the origin of every authentic request; must not block.
  std::function<void(const std::string& origin)> heard_from = [](const std::string&) {};
};

/// Owns nothing that it is given. Either limiter may be nullptr: no such limit.
class HttpRouter : public http::RequestHandler {
 public:
  HttpRouter(std::vector<RouteEntry> routes, PeerAuth& peer_auth, AddressLimiter* addresses, OriginLimiter* origins,
             rpc::WorkerPool& workers, Clock clock, telemetry::Metrics& metrics, RouterOptions options = {});

  std::optional<http::Response> OnHead(const http::Request& head) override;
  std::size_t BodyLimitBytes(const http::Request& head) override;
  void OnRequest(http::Request request, http::Respond respond) override;
  http::Response OnRefused(const absl::Status& why) override;

  /// Requests that were read whole and have no answer yet.
  std::int64_t under_way() const { return *under_way_; }

 private:
  struct Match {
    const RouteEntry* route = nullptr;
    bool path_is_known = false;
    std::vector<std::string> arguments;
  };

  Match Find(std::string_view method, std::string_view target) const;
  std::string ClientAddress(const http::Request& request) const;
  void Serve(const RouteEntry& route, const std::shared_ptr<Exchange>& exchange);
  void ServePeer(PeerRoute& route, const std::shared_ptr<Exchange>& exchange, std::optional<matrix::Json> content);
  void AwaitTurn(PeerRoute& route, AuthenticRequest request);

  const std::vector<RouteEntry> routes_;
  PeerAuth& peer_auth_;
  AddressLimiter* const addresses_;
  OriginLimiter* const origins_;
  rpc::WorkerPool& workers_;
  const Clock clock_;
  telemetry::Metrics& metrics_;
  const RouterOptions options_;
  /// Shared with requests, the last of which may end after this.
  const std::shared_ptr<std::atomic<std::int64_t>> under_way_ = std::make_shared<std::atomic<std::int64_t>>(0);
};

}  // namespace postern::gateway
