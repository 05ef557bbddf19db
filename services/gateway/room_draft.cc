#include "services/gateway/room_draft.h"

#include <random>
#include <string_view>
#include <utility>

namespace postern::gateway {
namespace {

constexpr std::size_t kLettersOfAnId = 24;
constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

}  // namespace

std::string RandomLetters(std::size_t count) {
  std::random_device source;
  std::uniform_int_distribution<std::size_t> pick(0, kLetters.size() - 1);
  std::string letters;
  for (std::size_t i = 0; i < count; ++i) letters += kLetters[pick(source)];
  return letters;
}

absl::StatusOr<SignedEvent> SignDrafted(matrix::JsonObject event, const EventSigner& signer,
                                        const matrix::RoomRules& rules) {
  if (rules.event_id_format == matrix::EventIdFormat::kCarried) {
    event.Set("event_id", "$" + RandomLetters(kLettersOfAnId) + ":" + signer.server_name().text());
  }
  return signer.SignOwnEvent(std::move(event), rules);
}

RoomDraft::RoomDraft(const matrix::RoomRules& rules, const EventSigner& signer, std::string room_id)
    : rules_(rules), room_id_(std::move(room_id)) {
  if (room_id_.empty() && !rules_.room_id_is_create_hash) {
    room_id_ = "!" + RandomLetters(kLettersOfAnId) + ":" + signer.server_name().text();
  }
}

EventPlace RoomDraft::NextPlace(const EventIntent& intent, absl::Time now) const {
  EventPlace place{.room_id = room_id_,
                   .prev_events = {},
                   .auth_events = {},
                   .depth = static_cast<std::int64_t>(events_.size()) + 1,
                   .at = now};
  if (events_.empty()) return place;
  place.prev_events.push_back({events_.back().event_id, events_.back().pdu});
  const auto keys = matrix::SelectAuthEvents(intent.type, StateKeyOf(intent), intent.sender, intent.content, rules_);
  for (const matrix::StateKey& key : keys) {
    const auto entry = state_.find(key);
    if (entry == state_.end()) continue;
    const MintedEvent& event = events_[entry->second];
    place.auth_events.push_back({event.event_id, event.pdu});
  }
  return place;
}

matrix::v1::JudgingContext RoomDraft::State() const {
  matrix::v1::JudgingContext room;
  room.set_room_id(room_id_);
  room.set_room_version(std::string(rules_.version));
  room.set_extends_all_extremities(true);
  for (const auto& [key, index] : state_) {
    const MintedEvent& event = events_[index];
    auto* stored = room.add_events();
    stored->set_event_id(event.event_id);
    stored->set_pdu(event.pdu);
    auto* entry = room.add_state_now();
    entry->set_type(key.type);
    entry->set_state_key(key.state_key);
    entry->set_event_id(event.event_id);
  }
  *room.mutable_state_before() = room.state_now();
  if (events_.empty()) return room;
  auto* tip = room.add_prev_events();
  tip->set_event_id(events_.back().event_id);
  tip->set_known(true);
  return room;
}

const MintedEvent& RoomDraft::Append(const EventIntent& intent, std::string event_id, std::string pdu) {
  if (events_.empty() && rules_.room_id_is_create_hash) room_id_ = "!" + event_id.substr(1);
  state_[{intent.type, intent.state_key.value_or("")}] = events_.size();
  events_.push_back({std::move(event_id), intent.type, intent.state_key.value_or(""), std::move(pdu)});
  return events_.back();
}

}  // namespace postern::gateway
