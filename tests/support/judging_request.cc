#include "tests/support/judging_request.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

namespace postern::support {
namespace {

using matrix::Event;
namespace wire = postern::matrix::v1;

void Hold(const Event& event, wire::JudgingContext& context) {
  for (const wire::StoredEvent& held : context.events()) {
    if (held.event_id() == event.event_id()) return;
  }
  wire::StoredEvent* stored = context.add_events();
  stored->set_event_id(event.event_id());
  stored->set_pdu(TestRoom::Text(event));
}

void SetEntry(const Event& event, google::protobuf::RepeatedPtrField<wire::StateEntry>* entries) {
  const auto same_key = [&](const wire::StateEntry& entry) {
    return entry.type() == event.type() && entry.state_key() == *event.state_key();
  };
  entries->erase(std::remove_if(entries->begin(), entries->end(), same_key), entries->end());
  wire::StateEntry* entry = entries->Add();
  entry->set_type(event.type());
  entry->set_state_key(*event.state_key());
  entry->set_event_id(event.event_id());
}

void AddReferences(const TestRoom& room, const std::vector<std::string>& ids,
                   google::protobuf::RepeatedPtrField<wire::Reference>* references, wire::JudgingContext& context) {
  for (const std::string& id : ids) {
    const auto found = std::ranges::find(room.events(), id, &Event::event_id);
    wire::Reference* reference = references->Add();
    reference->set_event_id(id);
    reference->set_known(found != room.events().end());
    if (found != room.events().end()) Hold(*found, context);
  }
}

}  // namespace

wire::JudgingContext JudgingContextFor(const TestRoom& room, const Event& event) {
  wire::JudgingContext context;
  context.set_room_id(room.room_id());
  context.set_room_version(std::string(room.rules().version));
  AddReferences(room, event.prev_events(), context.mutable_prev_events(), context);
  AddReferences(room, event.auth_events(), context.mutable_auth_events(), context);
  // In the room's order, so that the same room makes the same request.
  for (const Event& entry : room.events()) {
    if (!entry.is_state() || room.state().Find(entry.type(), *entry.state_key()) != &entry) continue;
    SetStateBefore(entry, context);
    SetStateNow(entry, context);
  }
  context.set_extends_all_extremities(event.prev_events() == std::vector<std::string>{room.tip().event_id()});
  return context;
}

validator::v1::ValidateRequest ValidateRequestFor(const TestRoom& room, const Event& event) {
  validator::v1::ValidateRequest request;
  request.set_pdu(TestRoom::Text(event));
  request.set_now_ms(absl::ToUnixMillis(room.now()));
  *request.mutable_context() = JudgingContextFor(room, event);
  for (const auto& [name, keys] : room.keys()) {
    validator::v1::ServerKeys* server = request.add_verify_keys();
    server->set_server_name(name);
    server->set_valid_until_ms(absl::ToUnixMillis(keys.valid_until));
    for (const matrix::VerifyKey& key : keys.keys) {
      auto* added = server->add_keys();
      added->set_key_id(key.key_id);
      added->set_public_key(key.public_key);
    }
  }
  return request;
}

void SetStateBefore(const Event& entry, wire::JudgingContext& context) {
  Hold(entry, context);
  SetEntry(entry, context.mutable_state_before());
}

void SetStateNow(const Event& entry, wire::JudgingContext& context) {
  Hold(entry, context);
  SetEntry(entry, context.mutable_state_now());
}

}  // namespace postern::support
