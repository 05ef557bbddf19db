// PUT /_matrix/federation/v1/send/{txnId}: what other servers tell (server-server API, "Transactions"; pitfalls J05,
// A01, A09, R03, D01).
#pragma once

#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "services/gateway/event_intake.h"
#include "services/gateway/missing_events.h"
#include "services/gateway/received_transaction.h"
#include "services/gateway/route.h"
#include "services/gateway/withdrawn_invites.h"

namespace postern::gateway {

/// How long a body may be: 50 PDUs of 64 KiB, and about as much of EDUs.
inline constexpr std::size_t kTransactionBytes = 6 * 1024 * 1024;

struct SendLimits {
  /// For the keys of the servers that have signed the PDUs, all of them together.
  absl::Duration for_keys = absl::Seconds(6);
  /// How often a transaction may have missing events fetched, each within MissingEventsLimits; in a room once in vain.
  int gaps = 4;
  /// For asking for missing events, all gaps together, from when the transaction came: some of a request's time is left
  /// for judging.
  absl::Duration for_gaps = absl::Seconds(12);
};

/// Takes each PDU the way of any event, one after the other, each for itself: what is wrong with one is answered to
/// that one. The servers in its room are told of it by its origin, not from here. EDUs are counted and dropped.
///
/// An answer is kept in the store, and given again to a repeat, at whichever gateway. What ails this server within ends
/// a transaction without an answer: its repeat finds what was stored of it.
///
/// Counts postern_gateway_received_transactions_total and postern_gateway_received_pdus_total by result,
/// postern_gateway_received_edus_total by kind. Thread-safe.
class SendRoute : public PeerRoute {
 public:
  /// `missing_events` fetches prev events that are not known; nullptr: nobody does. `withdrawn` takes leaves of users
  /// who are invited to rooms that are not here; nullptr: nobody does.
  SendRoute(IntakeServices services, MissingEvents* missing_events, SendLimits limits = {},
            WithdrawnInvites* withdrawn = nullptr);

  /// Refuses: kBadStructure; kInvalidArgument for an id of more than 255 bytes; kOverloaded for a transaction that is
  /// under way here; kStoreDown, kValidatorDown, kOverloaded, kRoomBusy, kDeadlineExceeded, kCancelled.
  absl::StatusOr<http::Response> Handle(AuthenticRequest request) override;

 private:
  class Passage;
  class UnderWay;

  void CountEdus(std::string_view kind, std::size_t number);
  /// Returns the answer that is kept: this one, or that of another gateway that was faster.
  std::string Keep(const rpc::CallContext& call, const store::v1::GetReceivedTransactionRequest& transaction,
                   std::string answer);

  const IntakeServices services_;
  MissingEvents* const missing_events_;
  const SendLimits limits_;
  WithdrawnInvites* const withdrawn_;
  EventIntake intake_;

  std::mutex mutex_;
  std::set<std::pair<std::string, std::string>> under_way_;  // (origin, transaction id)
};

}  // namespace postern::gateway
