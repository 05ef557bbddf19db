// Telling other servers, in memory.
#include <algorithm>
#include <set>
#include <utility>

#include "absl/time/clock.h"
#include "matrix/refusal.h"
#include "tests/support/fake_store.h"

namespace postern::support {
namespace {

namespace v1 = store::v1;
using matrix::Reason;
using matrix::Refuse;

constexpr std::size_t kMostPdus = 50;
constexpr std::size_t kMostBytes = 512 * 1024;
constexpr std::int64_t kLongAwayMs = 3'600'000;
constexpr std::size_t kMostRoomsCaughtUp = 50;
constexpr std::size_t kMostParked = 1000;

std::int64_t NowMs() { return absl::ToUnixMillis(absl::Now()); }

}  // namespace

void FakeStore::AddDeliveries(const std::string& room_id, const std::string& event_id,
                              const std::set<std::string>& destinations) {
  for (const std::string& name : destinations) {
    Waiting& waiting = destinations_[name];
    const std::int64_t number = ++deliveries_;
    waiting.pending.emplace(number, Delivery{room_id, event_id, NowMs()});
    if (!waiting.next_try_ms) waiting.next_try_ms = NowMs();
  }
}

bool FakeStore::LeaveToDescendants(Waiting& waiting) {
  std::vector<std::string> in_order;
  for (const auto& [number, delivery] : waiting.pending) {
    if (number > waiting.catch_up_until) break;
    if (std::ranges::find(in_order, delivery.room_id) == in_order.end()) in_order.push_back(delivery.room_id);
  }
  in_order.resize(std::min(in_order.size(), kMostRoomsCaughtUp));
  std::set<std::pair<std::string, std::string>> cited;
  for (const auto& [number, delivery] : waiting.pending) {
    if (number > waiting.catch_up_until || std::ranges::find(in_order, delivery.room_id) == in_order.end()) continue;
    for (const std::string& id : rooms_.at(delivery.room_id).events.at(delivery.event_id).columns.prev_events) {
      cited.emplace(delivery.room_id, id);
    }
  }
  return std::erase_if(waiting.pending, [&](const auto& entry) {
           return entry.first <= waiting.catch_up_until &&
                  cited.contains({entry.second.room_id, entry.second.event_id});
         }) > 0;
}

void FakeStore::FormTransaction(Waiting& waiting) {
  waiting.transaction.clear();
  waiting.transaction_id = "t" + std::to_string(++transactions_);
  std::size_t bytes = 0;
  for (const auto& [number, delivery] : waiting.pending) {
    bytes += rooms_.at(delivery.room_id).events.at(delivery.event_id).pdu.size();
    if (!waiting.transaction.empty() && bytes > kMostBytes) break;
    waiting.transaction.push_back(number);
    if (waiting.transaction.size() == kMostPdus || waiting.transaction.front() <= waiting.singly_until) break;
  }
}

std::optional<v1::OutboundTransaction> FakeStore::NextTransaction(const std::string& name, Waiting& waiting) {
  if (waiting.failing_since_ms && *waiting.failing_since_ms < NowMs() - kLongAwayMs && !waiting.pending.empty()) {
    waiting.catch_up_until = waiting.pending.rbegin()->first;
  }
  const bool fewer = waiting.catch_up_until > 0 && LeaveToDescendants(waiting);
  if (fewer || waiting.transaction.empty()) FormTransaction(waiting);
  if (waiting.transaction.empty()) {
    waiting.next_try_ms.reset();
    waiting.holder.clear();
    waiting.catch_up_until = 0;
    return std::nullopt;
  }
  if (waiting.transaction.front() > waiting.catch_up_until) waiting.catch_up_until = 0;
  v1::OutboundTransaction transaction;
  transaction.set_destination(name);
  transaction.set_transaction_id(waiting.transaction_id);
  transaction.set_failures(waiting.failures);
  if (waiting.failing_since_ms) transaction.set_failing_since_ms(*waiting.failing_since_ms);
  transaction.set_oldest_ms(waiting.pending.at(waiting.transaction.front()).created_at_ms);
  for (const std::int64_t number : waiting.transaction) {
    const Delivery& delivery = waiting.pending.at(number);
    auto& pdu = *transaction.add_pdus();
    pdu.set_room_id(delivery.room_id);
    pdu.set_event_id(delivery.event_id);
    pdu.set_pdu(rooms_.at(delivery.room_id).events.at(delivery.event_id).pdu);
  }
  return transaction;
}

absl::StatusOr<v1::LeaseDeliveriesResponse> FakeStore::LeaseDeliveries(const rpc::CallContext&,
                                                                       const v1::LeaseDeliveriesRequest& request) {
  if (absl::Status status = store::CheckLeaseRequest(request); !status.ok()) return status;
  const std::lock_guard lock(mutex_);
  const absl::Time until = absl::Now() + absl::Milliseconds(request.milliseconds());
  const std::set<std::string> busy(request.busy().begin(), request.busy().end());
  std::vector<std::pair<std::string, Waiting*>> due;
  for (auto& [name, waiting] : destinations_) {
    const bool ours = waiting.holder == request.holder();
    if (ours && request.milliseconds() == 0) waiting.holder.clear();
    if (ours) waiting.held_until = until;
    const bool free = ours || waiting.holder.empty() || waiting.held_until < absl::Now();
    if (free && !busy.contains(name) && waiting.next_try_ms && *waiting.next_try_ms <= NowMs()) {
      due.emplace_back(name, &waiting);
    }
  }
  v1::LeaseDeliveriesResponse response;
  if (request.milliseconds() == 0) return response;
  std::ranges::sort(due, [](const auto& a, const auto& b) {
    return std::pair(TurnOf(*a.second), *a.second->next_try_ms) < std::pair(TurnOf(*b.second), *b.second->next_try_ms);
  });
  std::uint32_t failing = 0;
  for (const std::string& name : busy) {
    const auto found = destinations_.find(name);
    failing += found != destinations_.end() && TurnOf(found->second) == 1 ? 1 : 0;
  }
  for (auto& [name, waiting] : due) {
    if (response.transactions_size() >= static_cast<int>(request.most())) break;
    if (TurnOf(*waiting) > 0 && ++failing > request.most_of_failing()) break;
    auto transaction = NextTransaction(name, *waiting);
    if (!transaction) continue;
    waiting->holder = request.holder();
    waiting->held_until = until;
    *response.add_transactions() = *std::move(transaction);
  }
  return response;
}

int FakeStore::TurnOf(const Waiting& waiting) {
  if (waiting.failures > 0) return 2;
  return waiting.delivered_at_ms ? 0 : 1;
}

std::uint32_t FakeStore::TakeDown(Waiting& waiting, const v1::DeliveryReport& report) {
  const auto over = [&] {
    waiting.transaction.clear();
    waiting.transaction_id.clear();
    waiting.next_try_ms = NowMs();
  };
  waiting.last_error = report.error();
  waiting.holder.clear();
  switch (report.outcome()) {
    case v1::DeliveryReport::OUTCOME_DELIVERED:
      for (const std::int64_t number : waiting.transaction) waiting.pending.erase(number);
      over();
      waiting.failures = 0;
      waiting.failing_since_ms.reset();
      waiting.last_error.clear();
      waiting.delivered_at_ms = NowMs();
      return 0;
    case v1::DeliveryReport::OUTCOME_REFUSED: {
      const bool alone = waiting.transaction.size() == 1;
      if (alone) {
        waiting.parked.push_back(waiting.pending.extract(waiting.transaction.front()).mapped());
        if (waiting.parked.size() > kMostParked) waiting.parked.erase(waiting.parked.begin());
      } else {
        waiting.singly_until = waiting.transaction.back();
      }
      over();
      return alone ? 1 : 0;
    }
    default:
      if (report.outcome() == v1::DeliveryReport::OUTCOME_FAILED) ++waiting.failures;
      if (!waiting.failing_since_ms) waiting.failing_since_ms = NowMs();
      waiting.next_try_ms = report.next_try_ms();
      return 0;
  }
}

absl::StatusOr<v1::ReportDeliveriesResponse> FakeStore::ReportDeliveries(const rpc::CallContext&,
                                                                         const v1::ReportDeliveriesRequest& request) {
  if (absl::Status status = store::CheckReports(request); !status.ok()) return status;
  const std::lock_guard lock(mutex_);
  v1::ReportDeliveriesResponse response;
  for (const v1::DeliveryReport& report : request.reports()) {
    const auto found = destinations_.find(report.destination());
    if (found == destinations_.end() || found->second.transaction_id != report.transaction_id()) continue;
    response.set_parked(response.parked() + TakeDown(found->second, report));
  }
  return response;
}

absl::Status FakeStore::EndBackOff(const rpc::CallContext&, const v1::EndBackOffRequest& request) {
  if (absl::Status status = store::CheckBackOffRequest(request); !status.ok()) return status;
  const std::lock_guard lock(mutex_);
  for (const std::string& name : request.destinations()) {
    const auto found = destinations_.find(name);
    if (found == destinations_.end() || !found->second.failing_since_ms) continue;
    if (found->second.next_try_ms) found->second.next_try_ms = std::min(*found->second.next_try_ms, NowMs());
  }
  return absl::OkStatus();
}

void FakeStore::LetFailFor(absl::Duration time) {
  const std::lock_guard lock(mutex_);
  for (auto& [name, waiting] : destinations_) {
    if (waiting.failing_since_ms) *waiting.failing_since_ms -= absl::ToInt64Milliseconds(time);
  }
}

absl::StatusOr<v1::ListDestinationsResponse> FakeStore::ListDestinations(const rpc::CallContext&,
                                                                         const v1::ListDestinationsRequest& request) {
  const std::lock_guard lock(mutex_);
  v1::ListDestinationsResponse response;
  for (auto entry = destinations_.upper_bound(request.after()); entry != destinations_.end(); ++entry) {
    if (response.destinations_size() == 1000) break;
    const auto& [name, waiting] = *entry;
    v1::Destination& destination = *response.add_destinations();
    destination.set_destination(name);
    destination.set_pending(static_cast<std::int64_t>(waiting.pending.size()));
    if (!waiting.pending.empty()) destination.set_oldest_ms(waiting.pending.begin()->second.created_at_ms);
    destination.set_parked(static_cast<std::int64_t>(waiting.parked.size()));
    destination.set_failures(waiting.failures);
    if (waiting.failing_since_ms) destination.set_failing_since_ms(*waiting.failing_since_ms);
    destination.set_last_error(waiting.last_error);
    if (waiting.next_try_ms) destination.set_next_try_ms(*waiting.next_try_ms);
    if (waiting.delivered_at_ms) destination.set_delivered_at_ms(*waiting.delivered_at_ms);
    if (waiting.held_until > absl::Now()) destination.set_holder(waiting.holder);
  }
  return response;
}

absl::StatusOr<v1::SettleDestinationResponse> FakeStore::SettleDestination(
    const rpc::CallContext&, const v1::SettleDestinationRequest& request) {
  const std::lock_guard lock(mutex_);
  const auto found = destinations_.find(request.destination());
  if (found == destinations_.end()) return Refuse(Reason::kNotFound, "nothing was ever sent to this server");
  Waiting& waiting = found->second;
  v1::SettleDestinationResponse response;
  if (request.drop()) {
    response.set_pdus(static_cast<std::int64_t>(waiting.pending.size() + waiting.parked.size()));
    waiting = Waiting{};
    return response;
  }
  for (Delivery& delivery : waiting.parked) waiting.pending.emplace(++deliveries_, std::move(delivery));
  waiting.parked.clear();
  waiting.failures = 0;
  waiting.next_try_ms = NowMs();
  response.set_pdus(static_cast<std::int64_t>(waiting.pending.size()));
  return response;
}

}  // namespace postern::support
