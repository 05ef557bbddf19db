// GET /_matrix/key/v2/server: this server's keys, signed by each of them (pitfall K01).
#pragma once

#include <mutex>
#include <string>

#include "absl/time/time.h"
#include "services/gateway/event_signer.h"
#include "services/gateway/key_ring.h"
#include "services/gateway/route.h"

namespace postern::gateway {

class KeyRoute : public PublicRoute {
 public:
  /// A document is good for `validity` and made anew at half of that.
  KeyRoute(const EventSigner& signer, Clock clock, absl::Duration validity = absl::Hours(24));

  http::Response Handle(const http::Request& request) override;

 private:
  const EventSigner& signer_;
  const Clock clock_;
  const absl::Duration validity_;
  std::mutex mutex_;
  std::string document_;
  absl::Time renew_at_ = absl::InfinitePast();
};

}  // namespace postern::gateway
