// States that other servers told, on PostgreSQL (functions/fetched_states.sql).
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "matrix/refusal.h"
#include "services/store/postgres_event_store.h"
#include "services/store/statements.h"

namespace postern::store {
namespace {

using matrix::Reason;
using matrix::Refuse;

absl::Status UnknownRoom() { return Refuse(Reason::kUnknownRoom, "the room is not known here"); }

std::vector<std::string> IdsOf(const google::protobuf::RepeatedPtrField<std::string>& ids) {
  return {ids.begin(), ids.end()};
}

/// What keep_fetched_state takes of outliers, from p_ids on.
absl::Status AppendOutliers(const v1::KeepFetchedStateRequest& request, Parameters& parameters) {
  std::vector<std::string> ids, pdus, types, senders;
  std::vector<std::optional<std::string>> keys;
  std::vector<std::optional<std::int64_t>> depths, timestamps;
  std::vector<std::vector<std::optional<std::string>>> prevs, auths;
  for (const v1::KeepFetchedStateRequest::Outlier& outlier : request.outliers()) {
    auto columns = ReadEventColumns(outlier.pdu());
    if (!columns.ok()) return columns.status();
    ids.push_back(outlier.event_id());
    pdus.push_back(outlier.pdu());
    types.push_back(columns->type);
    keys.push_back(columns->state_key);
    senders.push_back(columns->sender);
    depths.emplace_back(columns->depth);
    timestamps.emplace_back(columns->origin_server_ts);
    prevs.emplace_back(columns->prev_events.begin(), columns->prev_events.end());
    auths.emplace_back(columns->auth_events.begin(), columns->auth_events.end());
  }
  parameters.BytesArray(ids).BytesArray(pdus).BytesArray(types).BytesArray(keys).BytesArray(senders);
  parameters.IntegerArray(depths).IntegerArray(timestamps).BytesLists(prevs).BytesLists(auths);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<v1::FindUnknownEventsResponse> PostgresEventStore::FindUnknownEvents(
    const rpc::CallContext& call, const v1::FindUnknownEventsRequest& request) {
  if (absl::Status status = CheckFindUnknownEvents(request); !status.ok()) return status;
  const auto rows =
      Read(call, kUnknownEvents, Parameters().Bytes(request.room_id()).BytesArray(IdsOf(request.event_ids())));
  if (!rows.ok()) return rows.status();
  if (rows->size() == 0) return UnknownRoom();
  v1::FindUnknownEventsResponse response;
  for (std::string& id : rows->BytesArray(0, 0)) response.add_unknown(std::move(id));
  for (std::string& id : rows->BytesArray(0, 1)) response.add_refused(std::move(id));
  return response;
}

absl::StatusOr<v1::KeepFetchedStateResponse> PostgresEventStore::KeepFetchedState(
    const rpc::CallContext& call, const v1::KeepFetchedStateRequest& request) {
  if (absl::Status status = CheckKeepFetchedState(request); !status.ok()) return status;
  Parameters parameters;
  parameters.Bytes(request.room_id())
      .Bytes(request.event_id())
      .Bytes(request.told_by())
      .Integer(absl::ToUnixMillis(absl::Now()))
      .Integer(kMostDifferences)
      .BytesArray(IdsOf(request.state()));
  if (absl::Status status = AppendOutliers(request, parameters); !status.ok()) return status;
  // May be repeated: what is there is left as it is, and the state is written once more.
  const auto rows = Read(call, kKeepFetchedState, parameters);
  if (!rows.ok()) return rows.status();
  v1::KeepFetchedStateResponse response;
  if (rows->Integer(0, 0) == 0) return UnknownRoom();
  response.set_result(static_cast<v1::KeepFetchedStateResponse::Result>(rows->Integer(0, 0)));
  return response;
}

}  // namespace postern::store
