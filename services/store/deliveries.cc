// Telling other servers, on PostgreSQL.
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "matrix/refusal.h"
#include "services/store/postgres_event_store.h"
#include "services/store/statements.h"

namespace postern::store {
namespace {

std::int64_t Now() { return absl::ToUnixMillis(absl::Now()); }

v1::OutboundTransaction TransactionOf(const Rows& rows, std::size_t row) {
  v1::OutboundTransaction transaction;
  transaction.set_destination(rows.Bytes(row, 0));
  transaction.set_transaction_id(rows.Bytes(row, 1));
  transaction.set_failures(static_cast<std::uint32_t>(rows.Integer(row, 2)));
  if (!rows.IsNull(row, 3)) transaction.set_failing_since_ms(rows.Integer(row, 3));
  transaction.set_oldest_ms(rows.Integer(row, 4));
  std::vector<std::string> rooms = rows.BytesArray(row, 5);
  std::vector<std::string> events = rows.BytesArray(row, 6);
  std::vector<std::string> pdus = rows.BytesArray(row, 7);
  for (std::size_t i = 0; i < pdus.size(); ++i) {
    v1::OutboundTransaction::Pdu& pdu = *transaction.add_pdus();
    pdu.set_room_id(std::move(rooms.at(i)));
    pdu.set_event_id(std::move(events.at(i)));
    pdu.set_pdu(std::move(pdus[i]));
  }
  return transaction;
}

v1::Destination DestinationOf(const Rows& rows, std::size_t row) {
  v1::Destination destination;
  destination.set_destination(rows.Bytes(row, 0));
  destination.set_pending(rows.Integer(row, 1));
  if (!rows.IsNull(row, 2)) destination.set_oldest_ms(rows.Integer(row, 2));
  destination.set_parked(rows.Integer(row, 3));
  destination.set_failures(static_cast<std::uint32_t>(rows.Integer(row, 4)));
  if (!rows.IsNull(row, 5)) destination.set_failing_since_ms(rows.Integer(row, 5));
  destination.set_last_error(rows.Bytes(row, 6));
  if (!rows.IsNull(row, 7)) destination.set_next_try_ms(rows.Integer(row, 7));
  if (!rows.IsNull(row, 8)) destination.set_delivered_at_ms(rows.Integer(row, 8));
  destination.set_holder(rows.Bytes(row, 9));
  return destination;
}

}  // namespace

absl::StatusOr<v1::LeaseDeliveriesResponse> PostgresEventStore::LeaseDeliveries(
    const rpc::CallContext& call, const v1::LeaseDeliveriesRequest& request) {
  if (absl::Status status = CheckLeaseRequest(request); !status.ok()) return status;
  Parameters parameters;
  parameters.Bytes(request.holder())
      .Integer(request.milliseconds())
      .Integer(Now())
      .BytesArray(Strings(request.busy()))
      .Integer(request.most())
      .Integer(request.most_of_failing());
  // May be repeated: the holder is given the same transactions again.
  const auto rows = Read(call, kLeaseDeliveries, parameters);
  if (!rows.ok()) return rows.status();
  v1::LeaseDeliveriesResponse response;
  for (std::size_t row = 0; row < rows->size(); ++row) *response.add_transactions() = TransactionOf(*rows, row);
  return response;
}

absl::StatusOr<v1::ReportDeliveriesResponse> PostgresEventStore::ReportDeliveries(
    const rpc::CallContext& call, const v1::ReportDeliveriesRequest& request) {
  if (absl::Status status = CheckReports(request); !status.ok()) return status;
  v1::ReportDeliveriesResponse response;
  for (const v1::DeliveryReport& report : request.reports()) {
    Parameters parameters;
    parameters.Bytes(report.destination())
        .Bytes(report.transaction_id())
        .Integer(report.outcome())
        .Bytes(report.error())
        .Integer(report.next_try_ms())
        .Integer(Now());
    // May be repeated: once it has been taken down the transaction is not under way any more. A failure may count
    // twice.
    const auto rows = Read(call, kReportDelivery, parameters);
    if (!rows.ok()) return rows.status();
    response.set_parked(response.parked() + static_cast<std::uint32_t>(rows->Integer(0, 0)));
  }
  return response;
}

absl::Status PostgresEventStore::EndBackOff(const rpc::CallContext& call, const v1::EndBackOffRequest& request) {
  if (absl::Status status = CheckBackOffRequest(request); !status.ok()) return status;
  return Read(call, kEndBackOff, Parameters().BytesArray(Strings(request.destinations())).Integer(Now())).status();
}

absl::StatusOr<v1::ListDestinationsResponse> PostgresEventStore::ListDestinations(
    const rpc::CallContext& call, const v1::ListDestinationsRequest& request) {
  const auto rows = Read(call, kDestinations, Parameters().Bytes(request.after()));
  if (!rows.ok()) return rows.status();
  v1::ListDestinationsResponse response;
  for (std::size_t row = 0; row < rows->size(); ++row) *response.add_destinations() = DestinationOf(*rows, row);
  return response;
}

absl::StatusOr<v1::SettleDestinationResponse> PostgresEventStore::SettleDestination(
    const rpc::CallContext& call, const v1::SettleDestinationRequest& request) {
  const auto rows =
      Read(call, kSettleDestination, Parameters().Bytes(request.destination()).Boolean(request.drop()).Integer(Now()));
  if (!rows.ok()) return rows.status();
  if (!rows->Boolean(0, 1)) return matrix::Refuse(matrix::Reason::kNotFound, "nothing was ever sent to this server");
  v1::SettleDestinationResponse response;
  response.set_pdus(rows->Integer(0, 0));
  return response;
}

}  // namespace postern::store
