// How much each origin asks of all gateways together, in memory.
#include "tests/support/fake_store.h"

namespace postern::support {

namespace v1 = store::v1;

absl::StatusOr<v1::ShareRatesResponse> FakeStore::ShareRates(const rpc::CallContext&,
                                                             const v1::ShareRatesRequest& request) {
  if (absl::Status status = store::CheckRates(request); !status.ok()) return status;
  const std::lock_guard lock(mutex_);
  const absl::Time now = clock_();
  auto& own = rates_[request.holder()];
  own.clear();
  for (const auto& origin : request.origins()) {
    own[origin.origin()] = {origin, now + absl::Milliseconds(request.milliseconds())};
  }
  v1::ShareRatesResponse response;
  for (const auto& origin : request.origins()) {
    v1::ShareRatesRequest::Origin sum;
    for (const auto& [holder, rates] : rates_) {
      const auto found = rates.find(origin.origin());
      if (holder == request.holder() || found == rates.end() || found->second.until <= now) continue;
      sum.set_origin(origin.origin());
      sum.set_requests(sum.requests() + found->second.told.requests());
      sum.set_waiting(sum.waiting() + found->second.told.waiting());
      sum.set_working(sum.working() + found->second.told.working());
    }
    if (!sum.origin().empty()) *response.add_origins() = sum;
  }
  return response;
}

}  // namespace postern::support
