// What operators look at, on PostgreSQL.
#include <string>
#include <utility>

#include "matrix/refusal.h"
#include "services/store/postgres_event_store.h"
#include "services/store/statements.h"

namespace postern::store {
namespace {

constexpr int kMostStateEntries = 1000;

absl::Status NotFound(std::string_view what) { return matrix::Refuse(matrix::Reason::kNotFound, what); }
absl::Status NoRoom() { return NotFound("the room is not known here"); }

v1::Member DecodeMember(const Rows& rows, std::size_t row, const std::string& room_id) {
  v1::Member member;
  member.set_room_id(room_id);
  member.set_user_id(rows.Bytes(row, 0));
  member.set_membership(std::string(rows.Text(row, 1)));
  member.set_event_id(rows.Bytes(row, 2));
  if (!rows.IsNull(row, 3)) member.set_reason(rows.Bytes(row, 3));
  if (!rows.IsNull(row, 4)) member.set_displayname(rows.Bytes(row, 4));
  if (!rows.IsNull(row, 5)) member.set_avatar_url(rows.Bytes(row, 5));
  member.set_is_direct(rows.Boolean(row, 6));
  if (!rows.IsNull(row, 7)) member.set_invited_by(rows.Bytes(row, 7));
  if (!rows.IsNull(row, 8)) member.set_third_party_invite(rows.Bytes(row, 8));
  if (!rows.IsNull(row, 9)) member.set_join_authorised_via_users_server(rows.Bytes(row, 9));
  member.set_updated_at_ms(rows.Integer(row, 10));
  return member;
}

}  // namespace

absl::StatusOr<v1::RoomDescription> PostgresEventStore::GetRoom(const rpc::CallContext& call,
                                                                const v1::GetRoomRequest& request) {
  const Parameters parameters = Parameters().Bytes(request.room_id());
  const auto room = Read(call, kRoom, parameters);
  if (!room.ok()) return room.status();
  if (room->size() == 0) return NoRoom();
  const auto servers = Read(call, kRoomServers, parameters);
  if (!servers.ok()) return servers.status();
  const auto state = Read(call, kRoomState, parameters);
  if (!state.ok()) return state.status();

  v1::RoomDescription description;
  description.set_room_id(request.room_id());
  description.set_room_version(std::string(room->Text(0, 0)));
  for (std::string& id : room->BytesArray(0, 1)) description.add_forward_extremities(std::move(id));
  description.set_events(room->Integer(0, 2));
  description.set_joined_members(room->Integer(0, 3));
  description.set_invited_members(room->Integer(0, 4));
  for (std::size_t row = 0; row < servers->size(); ++row) {
    v1::RoomDescription::Server& server = *description.add_servers();
    server.set_server_name(servers->Bytes(row, 0));
    server.set_joined_members(servers->Integer(row, 1));
  }
  for (std::size_t row = 0; row < state->size() && row < kMostStateEntries; ++row) {
    matrix::v1::StateEntry& entry = *description.add_state();
    entry.set_type(state->Bytes(row, 0));
    entry.set_state_key(state->Bytes(row, 1));
    entry.set_event_id(state->Bytes(row, 2));
  }
  description.set_state_truncated(state->size() > kMostStateEntries);
  return description;
}

absl::StatusOr<v1::ListRoomsResponse> PostgresEventStore::ListRooms(const rpc::CallContext& call,
                                                                    const v1::ListRoomsRequest& request) {
  const auto rows = Read(call, kRooms, Parameters().Bytes(request.after()));
  if (!rows.ok()) return rows.status();
  v1::ListRoomsResponse response;
  for (std::size_t row = 0; row < rows->size(); ++row) response.add_room_ids(rows->Bytes(row, 0));
  return response;
}

absl::StatusOr<v1::Member> PostgresEventStore::GetMember(const rpc::CallContext& call,
                                                         const v1::GetMemberRequest& request) {
  const auto rows = Read(call, kMember, Parameters().Bytes(request.room_id()).Bytes(request.user_id()));
  if (!rows.ok()) return rows.status();
  if (rows->size() == 0) return NotFound("the user has never been a member of such a room");
  return DecodeMember(*rows, 0, request.room_id());
}

absl::StatusOr<v1::ListMembersResponse> PostgresEventStore::ListMembers(const rpc::CallContext& call,
                                                                        const v1::ListMembersRequest& request) {
  const auto rows = Read(call, kMembers, Parameters().Bytes(request.room_id()).Bytes(request.after()));
  if (!rows.ok()) return rows.status();
  if (rows->size() == 0) {
    const auto room = Read(call, kRoom, Parameters().Bytes(request.room_id()));
    if (!room.ok()) return room.status();
    if (room->size() == 0) return NoRoom();
  }
  v1::ListMembersResponse response;
  for (std::size_t row = 0; row < rows->size(); ++row) {
    *response.add_members() = DecodeMember(*rows, row, request.room_id());
  }
  return response;
}

absl::StatusOr<v1::EventRecord> PostgresEventStore::GetEvent(const rpc::CallContext& call,
                                                             const v1::GetEventRequest& request) {
  const auto rows = Read(call, kEvent, Parameters().Bytes(request.event_id()).Bytes(request.room_id()));
  if (!rows.ok()) return rows.status();
  if (rows->size() == 0) return NotFound("the event is not known here");
  v1::EventRecord record;
  record.set_event_id(request.event_id());
  record.set_room_id(rows->Bytes(0, 1));
  record.set_pdu(rows->Bytes(0, 2));
  record.set_outcome(static_cast<matrix::v1::Outcome>(rows->Integer(0, 3)));
  if (!rows->IsNull(0, 4) && !record.mutable_verdict()->ParseFromString(rows->Bytes(0, 4))) {
    return matrix::Refuse(matrix::Reason::kInternal, "the stored verdict cannot be read");
  }
  record.set_stored_at_ms(rows->Integer(0, 5));
  record.set_room_version(std::string(rows->Text(0, 6)));
  record.set_origin(rows->Bytes(0, 7));
  return record;
}

absl::StatusOr<v1::ListOutboxResponse> PostgresEventStore::ListOutbox(const rpc::CallContext& call,
                                                                      const v1::ListOutboxRequest& request) {
  const auto rows = request.room_id().empty() ? Read(call, kOutbox, Parameters())
                                              : Read(call, kOutboxOfRoom, Parameters().Bytes(request.room_id()));
  if (!rows.ok()) return rows.status();
  v1::ListOutboxResponse response;
  for (std::size_t row = 0; row < rows->size(); ++row) {
    v1::ListOutboxResponse::Row& entry = *response.add_rows();
    entry.set_room_id(rows->Bytes(row, 0));
    entry.set_event_id(rows->Bytes(row, 1));
    for (std::string& destination : rows->BytesArray(row, 2)) entry.add_destinations(std::move(destination));
    entry.set_created_at_ms(rows->Integer(row, 3));
  }
  return response;
}

}  // namespace postern::store
