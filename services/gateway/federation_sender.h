// Tells other servers what has been accepted, for certain (server-server API, "Transactions"; pitfalls O01-O10).
#pragma once

#include <condition_variable>
#include <cstddef>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "postern/store/v1/store.pb.h"
#include "rpc/call_context.h"
#include "rpc/recent_names.h"
#include "rpc/worker_pool.h"
#include "services/gateway/back_off.h"
#include "services/gateway/clock.h"
#include "services/gateway/event_signer.h"
#include "services/gateway/federation_client.h"
#include "services/gateway/srv_order.h"
#include "services/gateway/store_client.h"
#include "telemetry/metrics.h"

namespace postern::gateway {

struct SenderOptions {
  /// False: only tells the store who was heard of, for the senders of other gateways.
  bool takes = true;
  /// Transactions under way at once; at most half of them to destinations that are failing or have taken nothing yet,
  /// so that those never cost the others their turn.
  std::size_t at_once = 32;
  /// For one request, from looking the server up to its whole answer.
  absl::Duration request_timeout = absl::Seconds(60);
  /// How often the store is asked for what is due; and how often at most, where it is known that something is.
  absl::Duration pause = absl::Milliseconds(250);
  absl::Duration shortest_pause = absl::Milliseconds(30);
  /// How long a destination stays with a sender that is not heard of any more.
  absl::Duration lease = absl::Seconds(30);
  BackOff back_off;
};

/// One of several that share the outbox: each destination is one sender's at a time, by a lease in the store. Holds the
/// transactions under way and nothing else; what waits stays in the store. Counts
/// postern_gateway_transactions_total by result, and observes how long the oldest PDU of a delivered one had waited.
class FederationSender {
 public:
  FederationSender(const EventSigner& signer, FederationClient& client, StoreClient& store, Clock clock, Chance chance,
                   telemetry::Metrics& metrics, SenderOptions options = {});
  ~FederationSender();

  void Start();
  /// Something was committed here: what is due is asked for at once. Thread-safe, never blocks.
  void Nudge();
  /// An authentic request of this server has come: what holds it off ends (pitfall O06). Thread-safe, never blocks.
  void HeardFrom(const std::string& server);

  /// Begins nothing new, waits for what is under way, reports it and gives the destinations back.
  void Shutdown();

 private:
  void Run();
  /// One round with the store. Returns false where it could not be had.
  bool Poll();
  bool TellReports();
  bool TellHeardOf();
  bool TakeDue();
  void Send(const store::v1::OutboundTransaction& transaction);
  void Note(const store::v1::OutboundTransaction& transaction, const store::v1::DeliveryReport& report);
  rpc::CallContext Call() const;

  const EventSigner& signer_;
  FederationClient& client_;
  StoreClient& store_;
  const Clock clock_;
  const Chance chance_;
  telemetry::Metrics& metrics_;
  const SenderOptions options_;
  const std::string holder_;

  std::mutex mutex_;
  std::condition_variable wake_;
  bool nudged_ = false;
  bool stopping_ = false;
  /// Destinations with a transaction under way, or one whose outcome the store does not know yet; whether it was
  /// failing.
  std::map<std::string, bool> busy_;
  std::vector<store::v1::DeliveryReport> reports_;
  std::vector<std::string> heard_of_;
  rpc::RecentNames<absl::Time> heard_lately_;
  rpc::WorkerPool senders_;
  std::thread thread_;
};

}  // namespace postern::gateway
