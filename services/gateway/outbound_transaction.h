// One transaction to another server (server-server API, "Transactions"): its request, and what an answer to it means.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "http/http_message.h"
#include "postern/store/v1/store.pb.h"
#include "services/gateway/back_off.h"
#include "services/gateway/event_signer.h"
#include "services/gateway/federation_client.h"

namespace postern::gateway {

/// The signed request: the same for the same transaction, whichever sender makes it and when, so that a repeat is known
/// for one (pitfall O02). Refuses: kInternal for a destination or a PDU that does not read.
absl::StatusOr<FederationRequest> RequestOf(const store::v1::OutboundTransaction& transaction,
                                            const EventSigner& signer);

/// What a destination said of one PDU that it took note of, but did not accept.
struct PduError {
  std::string event_id;
  std::string error;
};

struct TransactionOutcome {
  store::v1::DeliveryReport report;
  /// A PDU with an error inside a 200 counts as delivered (pitfall O09).
  std::vector<PduError> errors;
};

/// Network errors, 5xx, 401, 408 and 429 count towards the back-off, a Retry-After is obeyed; 410 holds off for as long
/// as there is; 403 and 404, which a proxy on the way may say, put off for a minute without counting; what else is no
/// 200 is a refusal of this content (pitfall O05).
TransactionOutcome OutcomeOf(const store::v1::OutboundTransaction& transaction,
                             const absl::StatusOr<http::Response>& response, const BackOff& back_off, absl::Time now,
                             double chance);

}  // namespace postern::gateway
