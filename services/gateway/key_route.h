// GET /_matrix/key/v2/server: this server's keys, signed by each of them (pitfall K01).
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "services/gateway/event_signer.h"
#include "services/gateway/key_ring.h"
#include "services/gateway/route.h"

namespace postern::gateway {

class KeyRoute : public PublicRoute {
 public:
  /// A document is good for `validity` and made anew at half of that, and at once when the signer has other keys.
  KeyRoute(const EventSigner& signer, Clock clock, absl::Duration validity = absl::Hours(24));

  void Serve(std::shared_ptr<Exchange> exchange, std::optional<matrix::Json> content) override;
  std::string Document();

 private:
  const EventSigner& signer_;
  const Clock clock_;
  const absl::Duration validity_;
  std::mutex mutex_;
  std::string document_;
  std::uint64_t made_of_ = 0;
  absl::Time renew_at_ = absl::InfinitePast();
};

}  // namespace postern::gateway
