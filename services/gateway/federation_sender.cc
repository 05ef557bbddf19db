#include "services/gateway/federation_sender.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/time/clock.h"
#include "matrix/server_name.h"
#include "services/gateway/outbound_transaction.h"
#include "services/gateway/room_draft.h"
#include "telemetry/log.h"
#include "telemetry/trace.h"

namespace postern::gateway {
namespace {

using store::v1::DeliveryReport;
using store::v1::OutboundTransaction;

constexpr std::size_t kHolderLetters = 16;
constexpr absl::Duration kCallTime = absl::Seconds(5);
constexpr absl::Duration kPauseAfterFailure = absl::Seconds(1);
constexpr std::size_t kMostReports = 100;
constexpr std::size_t kMostLeased = 100;
constexpr std::size_t kMostHeardOf = 1000;
constexpr std::size_t kMostRemembered = 10'000;
/// A server that sends much is not told of more often than this.
constexpr absl::Duration kHeardLately = absl::Minutes(1);

std::string_view ResultOf(DeliveryReport::Outcome outcome) {
  switch (outcome) {
    case DeliveryReport::OUTCOME_DELIVERED:
      return "delivered";
    case DeliveryReport::OUTCOME_REFUSED:
      return "refused";
    case DeliveryReport::OUTCOME_PUT_OFF:
      return "put_off";
    default:
      return "failed";
  }
}

}  // namespace

FederationSender::FederationSender(const EventSigner& signer, FederationClient& client, StoreClient& store, Clock clock,
                                   Chance chance, telemetry::Metrics& metrics, SenderOptions options)
    : signer_(signer),
      client_(client),
      store_(store),
      clock_(std::move(clock)),
      chance_(std::move(chance)),
      metrics_(metrics),
      options_(options),
      holder_(RandomLetters(kHolderLetters)),
      heard_lately_(kMostRemembered),
      senders_(options.at_once, options.at_once) {}

FederationSender::~FederationSender() { Shutdown(); }

void FederationSender::Start() {
  thread_ = std::thread([this] { Run(); });
}

void FederationSender::Nudge() {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(nudged_, true)) return;  // every leave nudges, and one waking is enough for those of a pause
  }
  wake_.notify_all();
}

void FederationSender::HeardFrom(const std::string& server) {
  const std::lock_guard lock(mutex_);
  const absl::Time now = clock_();
  const absl::Time* lately = heard_lately_.Find(server);
  if (lately != nullptr && now < *lately + kHeardLately) return;
  if (heard_of_.size() >= kMostHeardOf) return;  // it will be heard of again
  heard_lately_.Put(server, now);
  heard_of_.push_back(server);
}

void FederationSender::Shutdown() {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(stopping_, true)) return;
    wake_.notify_all();
  }
  if (!thread_.joinable()) return;
  thread_.join();
  senders_.Drain();
  TellReports();
  store::v1::LeaseDeliveriesRequest give_back;
  give_back.set_holder(holder_);
  static_cast<void>(store_.LeaseDeliveries(Call(), give_back));  // if it is not heard, the lease runs out
}

void FederationSender::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    nudged_ = false;
    lock.unlock();
    const bool had = Poll();
    lock.lock();
    const auto shortest = absl::ToChronoMilliseconds(had ? options_.shortest_pause : kPauseAfterFailure);
    wake_.wait_for(lock, shortest, [this] { return stopping_; });
    wake_.wait_for(lock, absl::ToChronoMilliseconds(options_.pause), [this] { return stopping_ || nudged_; });
  }
}

bool FederationSender::Poll() { return TellReports() && TellHeardOf() && (!options_.takes || TakeDue()); }

bool FederationSender::TellReports() {
  for (;;) {
    store::v1::ReportDeliveriesRequest request;
    {
      const std::lock_guard lock(mutex_);
      const std::size_t count = std::min(reports_.size(), kMostReports);
      request.mutable_reports()->Add(reports_.begin(), reports_.begin() + static_cast<std::ptrdiff_t>(count));
    }
    if (request.reports().empty()) return true;
    const auto told = store_.ReportDeliveries(Call(), request);
    if (!told.ok()) return false;  // the same again later; until then the destinations stay busy
    if (told->parked() > 0) metrics_.Count("postern_gateway_parked_pdus_total", {}, told->parked());
    const std::lock_guard lock(mutex_);
    for (const DeliveryReport& report : request.reports()) busy_.erase(report.destination());
    reports_.erase(reports_.begin(), reports_.begin() + request.reports_size());
  }
}

bool FederationSender::TellHeardOf() {
  store::v1::EndBackOffRequest request;
  {
    const std::lock_guard lock(mutex_);
    request.mutable_destinations()->Add(heard_of_.begin(), heard_of_.end());
  }
  if (request.destinations().empty()) return true;
  if (!store_.EndBackOff(Call(), request).ok()) return false;
  const std::lock_guard lock(mutex_);
  heard_of_.erase(heard_of_.begin(), heard_of_.begin() + request.destinations_size());
  return true;
}

bool FederationSender::TakeDue() {
  store::v1::LeaseDeliveriesRequest request;
  request.set_holder(holder_);
  request.set_milliseconds(static_cast<std::uint32_t>(absl::ToInt64Milliseconds(options_.lease)));
  {
    const std::lock_guard lock(mutex_);
    std::size_t failing = 0;
    for (const auto& [destination, was_failing] : busy_) {
      request.add_busy(destination);
      failing += was_failing ? 1 : 0;
    }
    // With none to spare it is asked all the same: that keeps those that it has.
    const std::size_t spare = options_.at_once - std::min(options_.at_once, busy_.size());
    request.set_most(static_cast<std::uint32_t>(std::min(spare, kMostLeased)));
    request.set_most_of_failing(static_cast<std::uint32_t>(std::max(options_.at_once / 2, failing) - failing));
  }
  auto due = store_.LeaseDeliveries(Call(), request);
  metrics_.SetGauge("postern_gateway_transactions_under_way", static_cast<double>(request.busy_size()));
  if (!due.ok()) return false;
  for (OutboundTransaction& transaction : *due->mutable_transactions()) {
    {
      const std::lock_guard lock(mutex_);
      busy_[transaction.destination()] = transaction.failures() > 0;
    }
    auto taken = std::make_shared<OutboundTransaction>(std::move(transaction));
    if (senders_.Post([this, taken] { Send(*taken); })) continue;
    const std::lock_guard lock(mutex_);
    busy_.erase(taken->destination());  // given again by the next round
  }
  return true;
}

void FederationSender::Send(const OutboundTransaction& transaction) {
  const absl::Time begun = absl::Now();
  const auto destination = matrix::ServerName::Parse(transaction.destination());
  const auto request = RequestOf(transaction, signer_);
  const auto response = request.ok() ? client_.Send(*destination, *request, begun + options_.request_timeout)
                                     : absl::StatusOr<http::Response>(request.status());
  constexpr std::uint32_t kParts = 1000;
  const double chance = static_cast<double>(chance_(kParts - 1)) / kParts;
  TransactionOutcome outcome = OutcomeOf(transaction, response, options_.back_off, clock_(), chance);
  Note(transaction, outcome.report);
  for (const PduError& error : outcome.errors) {
    telemetry::Log(telemetry::Level::kWarning, "a destination did not accept an event",
                   {{"destination", transaction.destination()}, {"event_id", error.event_id}, {"detail", error.error}});
  }
  if (!outcome.errors.empty()) {
    metrics_.Count("postern_gateway_pdu_errors_total", {}, static_cast<double>(outcome.errors.size()));
  }
  const std::lock_guard lock(mutex_);
  reports_.push_back(std::move(outcome.report));
  nudged_ = true;
  wake_.notify_all();
}

void FederationSender::Note(const OutboundTransaction& transaction, const DeliveryReport& report) {
  const std::string_view result = ResultOf(report.outcome());
  metrics_.Count("postern_gateway_transactions_total", {{"result", result}});
  const bool delivered = report.outcome() == DeliveryReport::OUTCOME_DELIVERED;
  if (delivered) {
    metrics_.Count("postern_gateway_pdus_sent_total", {}, static_cast<double>(transaction.pdus_size()));
    metrics_.Observe("postern_gateway_delivery_seconds", clock_() - absl::FromUnixMillis(transaction.oldest_ms()));
  }
  telemetry::Log(delivered ? telemetry::Level::kInfo : telemetry::Level::kWarning, "transaction",
                 {{"destination", transaction.destination()},
                  {"transaction_id", transaction.transaction_id()},
                  {"pdus", transaction.pdus_size()},
                  {"result", result},
                  {"detail", report.error()},
                  {"failures", static_cast<std::int64_t>(transaction.failures())}});
}

rpc::CallContext FederationSender::Call() const { return {absl::Now() + kCallTime, telemetry::NewTrace()}; }

}  // namespace postern::gateway
