#include "services/gateway/key_route.h"

#include <utility>

namespace postern::gateway {

KeyRoute::KeyRoute(const EventSigner& signer, Clock clock, absl::Duration validity)
    : signer_(signer), clock_(std::move(clock)), validity_(validity) {}

http::Response KeyRoute::Handle(const http::Request&) {
  const absl::Time now = clock_();
  const std::lock_guard lock(mutex_);
  if (now >= renew_at_) {
    document_ = signer_.KeyDocument(now + validity_);
    renew_at_ = now + validity_ / 2;
  }
  return {.status = 200, .headers = {}, .body = document_};
}

}  // namespace postern::gateway
