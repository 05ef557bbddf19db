#include "tests/support/store_requests.h"

#include "matrix/auth_events.h"
#include "matrix/identifiers.h"

namespace postern::support {

store::v1::CreateRoomRequest CreateRoomRequestFor(const TestRoom& room) {
  store::v1::CreateRoomRequest request;
  request.set_room_id(room.room_id());
  request.set_room_version(std::string(room.rules().version));
  for (const matrix::Event& event : room.events()) {
    store::v1::InitialEvent& initial = *request.add_events();
    initial.set_event_id(event.event_id());
    initial.set_pdu(TestRoom::Text(event));
  }
  return request;
}

store::v1::GetEventContextRequest ContextRequestFor(const matrix::Event& event) {
  store::v1::GetEventContextRequest request;
  request.set_room_id(event.room_id());
  request.set_event_id(event.event_id());
  request.set_sender(event.sender());
  for (const std::string& id : event.prev_events()) request.add_prev_events(id);
  for (const std::string& id : event.auth_events()) request.add_auth_events(id);
  for (const matrix::StateKey& key : matrix::KeysForLeave(event.sender())) {
    matrix::v1::StateKey& asked = *request.add_state_keys();
    asked.set_type(key.type);
    asked.set_state_key(key.state_key);
  }
  return request;
}

store::v1::PersistEventRequest PersistRequestFor(const matrix::Event& event, const store::v1::EventContext& context,
                                                 matrix::v1::Outcome outcome) {
  store::v1::PersistEventRequest request;
  *request.mutable_context_request() = ContextRequestFor(event);
  request.set_token(context.token());
  request.set_origin(std::string(matrix::DomainOf(event.sender())));
  if (outcome != matrix::v1::OUTCOME_REJECTED) request.set_pdu(TestRoom::Text(event));
  matrix::v1::Verdict& verdict = *request.mutable_verdict();
  verdict.set_event_id(event.event_id());
  verdict.set_outcome(outcome);
  verdict.set_judged_sha256(std::string(32, 's'));
  verdict.set_judged_at_ms(event.origin_server_ts());
  if (outcome != matrix::v1::OUTCOME_ACCEPTED) {
    verdict.set_reason(matrix::v1::REASON_NOT_AUTHORISED);
    return request;
  }
  const auto read = [&](std::string_view type, std::string_view key) {
    matrix::v1::StateKey& entry = *verdict.add_read_set();
    entry.set_type(std::string(type));
    entry.set_state_key(std::string(key));
  };
  read("m.room.create", "");
  read("m.room.power_levels", "");
  verdict.set_commutes(true);
  if (event.is_state()) {
    read(event.type(), *event.state_key());
    matrix::v1::StateEntry& change = *verdict.add_state_after_change();
    change.set_type(event.type());
    change.set_state_key(*event.state_key());
    change.set_event_id(event.event_id());
    *verdict.add_current_state_change() = change;
  }
  return request;
}

std::string EntryOf(const google::protobuf::RepeatedPtrField<matrix::v1::StateEntry>& entries, std::string_view type,
                    std::string_view state_key) {
  for (const matrix::v1::StateEntry& entry : entries) {
    if (entry.type() == type && entry.state_key() == state_key) return entry.event_id();
  }
  return {};
}

}  // namespace postern::support
