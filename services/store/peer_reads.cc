// Reads for other servers, on PostgreSQL.
#include <map>
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

enum Column { kKind, kId, kA, kB, kF1, kF2 };

/// What functions/peer_reads.sql answers.
struct PeerRows {
  bool room_is_known = false;
  v1::RoomForPeer room;
  std::map<std::string, v1::SeenByPeer> seen;
  /// Ids and PDUs, in their order.
  std::vector<std::pair<std::string, std::string>> events;
  std::vector<std::string> state;
  std::vector<std::string> auth_chain;
  std::vector<std::string> state_pdus;
  std::vector<std::string> auth_chain_pdus;
  bool too_large = false;
  bool unresolved = false;
};

void DecodeRow(const Rows& rows, std::size_t row, PeerRows& answer) {
  matrix::v1::JudgingContext& room = *answer.room.mutable_room();
  switch (rows.Text(row, kKind).front()) {
    case 'r':
      answer.room_is_known = true;
      room.set_room_id(rows.Bytes(row, kId));
      room.set_room_version(rows.Bytes(row, kA));
      answer.room.set_asker_joined(rows.Boolean(row, kF1));
      return;
    case 'n': {
      matrix::v1::StateEntry& entry = *room.add_state_now();
      entry.set_event_id(rows.Bytes(row, kId));
      entry.set_type(rows.Bytes(row, kA));
      matrix::v1::StoredEvent& event = *room.add_events();
      event.set_event_id(entry.event_id());
      event.set_pdu(rows.Bytes(row, kB));
      return;
    }
    case 's': {
      v1::SeenByPeer& seen = answer.seen[rows.Bytes(row, kId)];
      if (!rows.IsNull(row, kA)) seen.set_history_visibility(HistoryVisibilityOf(rows.Bytes(row, kA)));
      seen.set_asker_joined(rows.Boolean(row, kF1));
      seen.set_asker_invited(rows.Boolean(row, kF2));
      return;
    }
    case 'e':
      answer.events.emplace_back(rows.Bytes(row, kId), rows.Bytes(row, kA));
      return;
    case 'i':
      answer.state.push_back(rows.Bytes(row, kId));
      return;
    case 'c':
      answer.auth_chain.push_back(rows.Bytes(row, kId));
      return;
    case 'p':
      answer.state_pdus.push_back(rows.Bytes(row, kA));
      return;
    case 'q':
      answer.auth_chain_pdus.push_back(rows.Bytes(row, kA));
      return;
    case 'l':
      answer.too_large = true;
      return;
    case 'u':
      answer.unresolved = true;
      return;
    default:
      return;
  }
}

/// Refuses: kUnknownRoom.
absl::StatusOr<PeerRows> Decode(const absl::StatusOr<Rows>& rows) {
  if (!rows.ok()) return rows.status();
  PeerRows answer;
  for (std::size_t row = 0; row < rows->size(); ++row) DecodeRow(*rows, row, answer);
  if (!answer.room_is_known) return Refuse(Reason::kUnknownRoom, "the room is not known here");
  return answer;
}

/// Of an answer about one event. Refuses besides: kUnknownEvent, kAnswerTooLarge, kStateUnresolved.
absl::StatusOr<PeerRows> DecodeOfEvent(const absl::StatusOr<Rows>& rows) {
  absl::StatusOr<PeerRows> answer = Decode(rows);
  if (!answer.ok()) return answer;
  if (answer->seen.empty()) return Refuse(Reason::kUnknownEvent, "the room has no such event");
  if (answer->too_large) return Refuse(Reason::kAnswerTooLarge, "there is more to tell than is told at once");
  if (answer->unresolved) return Refuse(Reason::kStateUnresolved, "the state before the event is not known");
  return answer;
}

/// Events that are told, each with how the asker stands to it.
template <typename Answer>
Answer ToldIn(PeerRows rows) {
  Answer answer;
  *answer.mutable_room() = std::move(rows.room);
  for (auto& [event_id, pdu] : rows.events) {
    auto& event = *answer.add_events();
    event.set_pdu(std::move(pdu));
    *event.mutable_seen() = rows.seen[event_id];
    event.set_event_id(std::move(event_id));
  }
  return answer;
}

template <typename Request>
Parameters AboutEvent(const Request& request) {
  Parameters parameters;
  parameters.Bytes(request.room_id()).Bytes(request.event_id()).Bytes(request.asker());
  return parameters;
}

}  // namespace

absl::StatusOr<v1::EventForPeer> PostgresEventStore::GetEventForPeer(const rpc::CallContext& call,
                                                                     const v1::GetEventForPeerRequest& request) {
  absl::StatusOr<PeerRows> rows = DecodeOfEvent(Read(call, kEventForPeer, AboutEvent(request)));
  if (!rows.ok() && request.room_id().empty() && matrix::ReasonOf(rows.status()) == Reason::kUnknownRoom) {
    return Refuse(Reason::kUnknownEvent, "no room has such an event");
  }
  if (!rows.ok()) return rows.status();
  v1::EventForPeer answer;
  *answer.mutable_room() = std::move(rows->room);
  auto& [event_id, pdu] = rows->events.front();
  answer.set_pdu(std::move(pdu));
  *answer.mutable_seen() = rows->seen[event_id];
  answer.set_event_id(std::move(event_id));
  return answer;
}

absl::StatusOr<v1::GetMissingEventsResponse> PostgresEventStore::GetMissingEvents(
    const rpc::CallContext& call, const v1::GetMissingEventsRequest& request) {
  if (absl::Status status = CheckMissingEventsRequest(request); !status.ok()) return status;
  Parameters parameters;
  parameters.Bytes(request.room_id())
      .Bytes(request.asker())
      .BytesArray(LookedAt(request.latest()))
      .BytesArray(LookedAt(request.earliest()))
      .Integer(request.limit())
      .Integer(request.min_depth());
  absl::StatusOr<PeerRows> rows = Decode(Read(call, kMissingEvents, parameters));
  if (!rows.ok()) return rows.status();
  return ToldIn<v1::GetMissingEventsResponse>(*std::move(rows));
}

absl::StatusOr<v1::GetBackfillResponse> PostgresEventStore::GetBackfill(const rpc::CallContext& call,
                                                                        const v1::GetBackfillRequest& request) {
  if (absl::Status status = CheckBackfillRequest(request); !status.ok()) return status;
  Parameters parameters;
  parameters.Bytes(request.room_id())
      .Bytes(request.asker())
      .BytesArray(LookedAt(request.from()))
      .Integer(request.limit());
  absl::StatusOr<PeerRows> rows = Decode(Read(call, kBackfill, parameters));
  if (!rows.ok()) return rows.status();
  return ToldIn<v1::GetBackfillResponse>(*std::move(rows));
}

absl::StatusOr<v1::GetAuthChainResponse> PostgresEventStore::GetAuthChain(const rpc::CallContext& call,
                                                                          const v1::GetAuthChainRequest& request) {
  absl::StatusOr<PeerRows> rows = DecodeOfEvent(Read(call, kAuthChainForPeer, AboutEvent(request)));
  if (!rows.ok()) return rows.status();
  v1::GetAuthChainResponse answer;
  *answer.mutable_room() = std::move(rows->room);
  *answer.mutable_seen() = rows->seen[request.event_id()];
  for (auto& [event_id, pdu] : rows->events) answer.add_pdus(std::move(pdu));
  return answer;
}

absl::StatusOr<v1::GetStateIdsResponse> PostgresEventStore::GetStateIds(const rpc::CallContext& call,
                                                                        const v1::GetStateIdsRequest& request) {
  absl::StatusOr<PeerRows> rows = DecodeOfEvent(Read(call, kStateIdsForPeer, AboutEvent(request)));
  if (!rows.ok()) return rows.status();
  v1::GetStateIdsResponse answer;
  *answer.mutable_room() = std::move(rows->room);
  *answer.mutable_seen() = rows->seen[request.event_id()];
  for (std::string& id : rows->state) answer.add_state(std::move(id));
  for (std::string& id : rows->auth_chain) answer.add_auth_chain(std::move(id));
  return answer;
}

absl::StatusOr<v1::GetStateResponse> PostgresEventStore::GetState(const rpc::CallContext& call,
                                                                  const v1::GetStateRequest& request) {
  absl::StatusOr<PeerRows> rows = DecodeOfEvent(Read(call, kStateForPeer, AboutEvent(request)));
  if (!rows.ok()) return rows.status();
  v1::GetStateResponse answer;
  *answer.mutable_room() = std::move(rows->room);
  *answer.mutable_seen() = rows->seen[request.event_id()];
  for (std::string& pdu : rows->state_pdus) answer.add_state(std::move(pdu));
  for (std::string& pdu : rows->auth_chain_pdus) answer.add_auth_chain(std::move(pdu));
  return answer;
}

}  // namespace postern::store
