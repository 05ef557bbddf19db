#include "services/store/store_request.h"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "matrix/event.h"
#include "matrix/identifiers.h"
#include "matrix/refusal.h"

namespace postern::store {
namespace {

using matrix::Reason;
using matrix::Refuse;

constexpr std::size_t kLongestHolder = 100;
constexpr std::uint32_t kLongestLeaseMs = 60'000;
constexpr int kMaxCandidates = 1000;
constexpr int kMaxBusy = 10'000;
constexpr std::uint32_t kMaxTransactions = 100;
constexpr int kMaxHeardOf = 1000;
constexpr std::size_t kLongestError = 1000;
constexpr int kMaxRates = 1000;
/// So that sums of them are numbers too.
constexpr std::int64_t kGreatestRate = 1'000'000'000'000;
constexpr std::uint32_t kMostMissingEvents = 20;
constexpr int kMostRoomEvents = 500;
constexpr int kMostOtherRooms = 100;
constexpr int kMostEnds = 20;
constexpr std::uint32_t kMostCited = 200;
constexpr std::uint32_t kMostBackfilled = 100;
constexpr std::size_t kLongestTransactionId = 255;
constexpr std::size_t kLongestAnswer = 128 * 1024;

absl::Status Invalid(std::string_view detail) { return Refuse(Reason::kInvalidArgument, detail); }

bool SameIds(const std::vector<std::string>& ids, const google::protobuf::RepeatedPtrField<std::string>& others) {
  return std::equal(ids.begin(), ids.end(), others.begin(), others.end());
}

absl::Status CheckKeysOnce(const google::protobuf::RepeatedPtrField<matrix::v1::StateEntry>& changes) {
  std::set<std::pair<std::string_view, std::string_view>> seen;
  for (const matrix::v1::StateEntry& change : changes) {
    if (!seen.emplace(change.type(), change.state_key()).second)
      return Invalid("a change names one key of state twice");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckContextRequest(const v1::GetEventContextRequest& request) {
  if (request.room_id().empty()) return Invalid("room_id is empty");
  if (request.event_id().empty()) return Invalid("event_id is empty");
  // The limits of the format are the validator's to judge; these keep a broken caller from asking for the world.
  if (request.prev_events_size() > 1000 || request.auth_events_size() > 1000) return Invalid("too many events cited");
  return absl::OkStatus();
}

absl::Status CheckContextRequest(const v1::GetTemplateContextRequest& request) {
  return request.most_prev_events() > kMostCited ? Invalid("more than 200 prev events") : absl::OkStatus();
}

std::uint32_t MostPrevEvents(const v1::GetTemplateContextRequest& request) {
  return request.most_prev_events() == 0 ? matrix::kMaxPrevEvents : request.most_prev_events();
}

absl::StatusOr<std::vector<matrix::v1::StateKey>> WantedKeys(
    const google::protobuf::RepeatedPtrField<matrix::v1::StateKey>& asked) {
  if (asked.size() > kMaxStateKeys) return Invalid(fmt::format("more than {} state keys", kMaxStateKeys));
  std::set<std::pair<std::string_view, std::string_view>> seen;
  std::vector<matrix::v1::StateKey> keys;
  keys.reserve(static_cast<std::size_t>(asked.size()) + 1);
  for (const matrix::v1::StateKey& key : asked) {
    if (seen.emplace(key.type(), key.state_key()).second) keys.push_back(key);
  }
  if (seen.emplace("m.room.create", "").second) {
    keys.emplace_back().set_type("m.room.create");
  }
  return keys;
}

absl::Status CheckLeaseRequest(const v1::LeaseExtremitiesRequest& request) {
  if (request.room_id().empty()) return Invalid("room_id is empty");
  if (request.holder().empty() || request.holder().size() > kLongestHolder) return Invalid("1 to 100 bytes of holder");
  if (request.milliseconds() > kLongestLeaseMs) return Invalid("a lease of more than a minute");
  if (request.candidates_size() > kMaxCandidates) return Invalid("too many candidates");
  return absl::OkStatus();
}

absl::Status CheckLeaseRequest(const v1::LeaseDeliveriesRequest& request) {
  if (request.holder().empty() || request.holder().size() > kLongestHolder) return Invalid("1 to 100 bytes of holder");
  if (request.milliseconds() > kLongestLeaseMs) return Invalid("a lease of more than a minute");
  if (request.busy_size() > kMaxBusy) return Invalid("too many busy destinations");
  if (request.most() > kMaxTransactions) return Invalid("more than 100 transactions");
  return absl::OkStatus();
}

absl::Status CheckReports(const v1::ReportDeliveriesRequest& request) {
  if (request.reports_size() > static_cast<int>(kMaxTransactions)) return Invalid("too many reports");
  for (const v1::DeliveryReport& report : request.reports()) {
    if (report.destination().empty() || report.transaction_id().empty()) return Invalid("a report of no transaction");
    if (report.outcome() == v1::DeliveryReport::OUTCOME_UNSPECIFIED) return Invalid("a report without an outcome");
    if (report.error().size() > kLongestError) return Invalid("an error of more than 1,000 bytes");
  }
  return absl::OkStatus();
}

absl::Status CheckBackOffRequest(const v1::EndBackOffRequest& request) {
  return request.destinations_size() > kMaxHeardOf ? Invalid("too many destinations") : absl::OkStatus();
}

absl::Status CheckRates(const v1::ShareRatesRequest& request) {
  if (request.holder().empty() || request.holder().size() > kLongestHolder) return Invalid("1 to 100 bytes of holder");
  if (request.milliseconds() < 1 || request.milliseconds() > kLongestLeaseMs) return Invalid("1 ms to a minute");
  if (request.origins_size() > kMaxRates) return Invalid("too many origins");
  std::set<std::string_view> seen;
  for (const auto& origin : request.origins()) {
    if (origin.origin().empty()) return Invalid("an origin without a name");
    if (!seen.insert(origin.origin()).second) return Invalid("an origin that is named twice");
    for (const std::int64_t number : {origin.requests(), origin.waiting(), origin.working()}) {
      if (number < 0 || number > kGreatestRate) return Invalid("a number that cannot be meant");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckMissingEventsRequest(const v1::GetMissingEventsRequest& request) {
  if (request.limit() < 1 || request.limit() > kMostMissingEvents) return Invalid("1 to 20 events at most");
  return absl::OkStatus();
}

absl::Status CheckRoomEventsRequest(const v1::GetRoomEventsRequest& request) {
  if (request.event_ids_size() < 1 || request.event_ids_size() > kMostRoomEvents) return Invalid("1 to 500 events");
  return absl::OkStatus();
}

absl::Status CheckJoinConditionsRequest(const v1::GetJoinConditionsRequest& request) {
  if (request.room_id().empty()) return Invalid("room_id is empty");
  if (request.other_rooms_size() > kMostOtherRooms) return Invalid("more than 100 other rooms");
  if (request.candidates_size() > kMaxCandidates) return Invalid("too many candidates");
  return absl::OkStatus();
}

absl::Status CheckBackfillRequest(const v1::GetBackfillRequest& request) {
  if (request.limit() < 1 || request.limit() > kMostBackfilled) return Invalid("1 to 100 events at most");
  return absl::OkStatus();
}

absl::Status CheckReceivedTransaction(const v1::KeepReceivedTransactionRequest& request) {
  if (request.origin().empty()) return Invalid("origin is empty");
  if (request.transaction_id().empty() || request.transaction_id().size() > kLongestTransactionId) {
    return Invalid("1 to 255 bytes of transaction_id");
  }
  if (request.answer().size() > kLongestAnswer) return Invalid("an answer of more than 128 KiB");
  return absl::OkStatus();
}

absl::Status CheckAlias(const std::string& alias, std::string_view server_name) {
  if (!matrix::IsRoomAlias(alias)) return Invalid("an alias is '#', a name, ':' and a server name, 255 bytes at most");
  if (matrix::DomainOf(alias) != server_name) return Invalid("the alias is of another server");
  return absl::OkStatus();
}

std::vector<std::string> Strings(const google::protobuf::RepeatedPtrField<std::string>& field) {
  return {field.begin(), field.end()};
}

std::vector<std::string> LookedAt(const google::protobuf::RepeatedPtrField<std::string>& ends) {
  return {ends.begin(), ends.begin() + std::min(ends.size(), kMostEnds)};
}

absl::StatusOr<PersistRequest> CheckPersistRequest(const v1::PersistEventRequest& request) {
  const v1::GetEventContextRequest& asked = request.context_request();
  if (absl::Status status = CheckContextRequest(asked); !status.ok()) return status;
  const matrix::v1::Verdict& verdict = request.verdict();
  if (verdict.event_id() != asked.event_id()) return Invalid("the verdict is of another event");
  if (request.origin().empty()) return Invalid("origin is empty");

  absl::StatusOr<ContextToken> token = DecodeToken(request.token(), asked.room_id());
  if (!token.ok()) return token.status();
  PersistRequest checked;
  checked.token = *std::move(token);
  switch (verdict.outcome()) {
    case matrix::v1::OUTCOME_REJECTED:
      return checked;  // its bytes are not kept
    case matrix::v1::OUTCOME_ACCEPTED:
    case matrix::v1::OUTCOME_SOFT_FAILED:
      break;
    default:
      return Invalid("an event that is neither accepted, soft-failed nor rejected is not kept");
  }

  absl::StatusOr<EventColumns> columns = ReadEventColumns(request.pdu());
  if (!columns.ok()) return columns.status();
  checked.columns = *std::move(columns);
  if (!SameIds(checked.columns.prev_events, asked.prev_events()))
    return Invalid("prev_events are not those of the context");
  if (verdict.outcome() == matrix::v1::OUTCOME_SOFT_FAILED) {
    if (checked.columns.state_key) {
      matrix::v1::StateEntry& own = checked.after_change.emplace_back();
      own.set_type(checked.columns.type);
      own.set_state_key(*checked.columns.state_key);
      own.set_event_id(verdict.event_id());
    }
    return checked;
  }
  if (!checked.token.before && !checked.token.merged) {
    return Invalid("an event is accepted on a state that is not known");
  }
  for (const auto* changes :
       {&verdict.state_before_change(), &verdict.state_after_change(), &verdict.current_state_change()}) {
    if (absl::Status status = CheckKeysOnce(*changes); !status.ok()) return status;
  }
  checked.after_change.assign(verdict.state_after_change().begin(), verdict.state_after_change().end());
  return checked;
}

absl::StatusOr<std::vector<GivenEvent>> CheckGivenEvents(
    const google::protobuf::RepeatedPtrField<v1::InitialEvent>& events) {
  std::vector<GivenEvent> given;
  given.reserve(static_cast<std::size_t>(events.size()));
  std::set<std::string_view> ids;
  for (const v1::InitialEvent& event : events) {
    if (event.event_id().empty() || !ids.insert(event.event_id()).second) {
      return Invalid("an event has no id, or that of another one");
    }
    absl::StatusOr<EventColumns> columns = ReadEventColumns(event.pdu());
    if (!columns.ok()) return columns.status();
    if (!columns->state_key) return Invalid("only state events are taken as given");
    if (!given.empty() && columns->prev_events != std::vector<std::string>{given.back().event_id}) {
      return Invalid("an event does not extend the one before it, and that alone");
    }
    given.push_back({event.event_id(), &event.pdu(), *std::move(columns)});
  }
  if (given.empty()) return Invalid("there are no events");
  return given;
}

absl::StatusOr<std::vector<GivenEvent>> CheckNewRoom(const v1::CreateRoomRequest& request,
                                                     const matrix::RoomRules** rules) {
  if (request.room_id().empty()) return Invalid("room_id is empty");
  *rules = matrix::FindRoomRules(request.room_version());
  if (*rules == nullptr) return Invalid("the room version is not supported");
  absl::StatusOr<std::vector<GivenEvent>> events = CheckGivenEvents(request.events());
  if (!events.ok()) return events.status();
  const EventColumns& first = events->front().columns;
  if (first.type != "m.room.create" || first.state_key != "" || !first.prev_events.empty()) {
    return Invalid("the first event is no m.room.create");
  }
  return events;
}

}  // namespace postern::store
