// What a server is told whose user has just joined, on PostgreSQL.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "matrix/refusal.h"
#include "services/store/postgres_event_store.h"
#include "services/store/statements.h"

namespace postern::store {
namespace {

using matrix::Reason;
using matrix::Refuse;

void DecodeEvent(std::string id, std::string pdu, std::vector<std::string> auth_events, v1::RoomEvent& event) {
  event.set_event_id(std::move(id));
  event.set_pdu(std::move(pdu));
  for (std::string& cited : auth_events) event.add_auth_events(std::move(cited));
}

}  // namespace

absl::StatusOr<v1::GetStatePageResponse> PostgresEventStore::GetStatePage(const rpc::CallContext& call,
                                                                          const v1::GetStatePageRequest& request) {
  enum Column { kWhat, kEventId, kPduOrType, kStateKey, kAuthEvents };
  Parameters parameters;
  parameters.Bytes(request.room_id()).Bytes(request.event_id());
  std::optional<std::string> type, state_key;
  if (request.has_place()) {
    type = request.place().type();
    state_key = request.place().state_key();
  }
  parameters.Bytes(type).Bytes(state_key);
  const auto rows = Read(call, kStatePage, parameters.Boolean(request.without_members()));
  if (!rows.ok()) return rows.status();
  if (rows->size() == 0) return Refuse(Reason::kUnknownEvent, "the room has no such event");
  v1::GetStatePageResponse page;
  for (std::size_t row = 0; row < rows->size(); ++row) {
    switch (rows->Text(row, kWhat).front()) {
      case 'u':
        return Refuse(Reason::kStateUnresolved, "the state before the event is not known");
      case 'e':
        DecodeEvent(rows->Bytes(row, kEventId), rows->Bytes(row, kPduOrType), rows->BytesArray(row, kAuthEvents),
                    *page.add_events());
        break;
      case 'k':
        page.mutable_next()->set_type(rows->Bytes(row, kPduOrType));
        page.mutable_next()->set_state_key(rows->Bytes(row, kStateKey));
        break;
      default:
        break;
    }
  }
  return page;
}

absl::StatusOr<v1::GetRoomEventsResponse> PostgresEventStore::GetRoomEvents(const rpc::CallContext& call,
                                                                            const v1::GetRoomEventsRequest& request) {
  enum Column { kEventId, kPdu, kAuthEvents, kLookedAt };
  if (absl::Status status = CheckRoomEventsRequest(request); !status.ok()) return status;
  const auto rows =
      Read(call, kRoomEvents, Parameters().Bytes(request.room_id()).BytesArray(Strings(request.event_ids())));
  if (!rows.ok()) return rows.status();
  v1::GetRoomEventsResponse answer;
  for (std::size_t row = 0; row < rows->size(); ++row) {
    if (rows->IsNull(row, kEventId)) {
      answer.set_looked_at(static_cast<std::uint32_t>(rows->Integer(row, kLookedAt)));
      continue;
    }
    DecodeEvent(rows->Bytes(row, kEventId), rows->Bytes(row, kPdu), rows->BytesArray(row, kAuthEvents),
                *answer.add_events());
  }
  return answer;
}

absl::StatusOr<v1::ListRoomServersResponse> PostgresEventStore::ListRoomServers(
    const rpc::CallContext& call, const v1::ListRoomServersRequest& request) {
  const auto rows =
      Read(call, kJoinedServers, Parameters().Bytes(request.room_id()).Bytes(request.after()).Bytes(request.not_for()));
  if (!rows.ok()) return rows.status();
  v1::ListRoomServersResponse answer;
  for (std::size_t row = 0; row < rows->size(); ++row) answer.add_server_names(rows->Bytes(row, 0));
  return answer;
}

absl::StatusOr<v1::JoinConditions> PostgresEventStore::GetJoinConditions(const rpc::CallContext& call,
                                                                         const v1::GetJoinConditionsRequest& request) {
  if (absl::Status status = CheckJoinConditionsRequest(request); !status.ok()) return status;
  Parameters parameters;
  parameters.Bytes(request.room_id())
      .Bytes(request.user_id())
      .Bytes(options_.server_name)
      .BytesArray(Strings(request.other_rooms()))
      .BytesArray(Strings(request.candidates()));
  const auto rows = Read(call, kJoinConditions, parameters);
  if (!rows.ok()) return rows.status();
  if (rows->size() == 0) return Refuse(Reason::kUnknownRoom, "the room is not known here");
  v1::JoinConditions answer;
  for (const auto& standing : rows->IntegerArray(0, 0)) {
    answer.add_standings(static_cast<v1::JoinConditions::Standing>(standing.value_or(0)));
  }
  for (std::string& user : rows->BytesArray(0, 1)) answer.add_joined_users(std::move(user));
  return answer;
}

}  // namespace postern::store
