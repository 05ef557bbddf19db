#include "services/gateway/key_route.h"

#include <utility>

namespace postern::gateway {

KeyRoute::KeyRoute(const EventSigner& signer, Clock clock, absl::Duration validity)
    : signer_(signer), clock_(std::move(clock)), validity_(validity) {}

void KeyRoute::Serve(std::shared_ptr<Exchange> exchange, std::optional<matrix::Json>) {
  exchange->Answer({.status = 200, .headers = {}, .body = Document()});
}

std::string KeyRoute::Document() {
  const absl::Time now = clock_();
  const std::lock_guard lock(mutex_);
  if (const std::uint64_t keys = signer_.rotations(); now >= renew_at_ || made_of_ != keys) {
    document_ = signer_.KeyDocument(now + validity_);
    made_of_ = keys;
    renew_at_ = now + validity_ / 2;
  }
  return document_;
}

}  // namespace postern::gateway
