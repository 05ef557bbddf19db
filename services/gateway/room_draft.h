// A room while it is being written, one state event after the other, each extending the one before.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/gateway/event_signer.h"
#include "services/gateway/event_template.h"
#include "services/gateway/room_author.h"

namespace postern::gateway {

class RoomDraft {
 public:
  /// `room_id` empty: the create event's own hash becomes it (version 12).
  RoomDraft(const matrix::RoomRules& rules, const EventSigner& signer, std::string room_id);

  /// The place of the next event, citing what the rules select of the draft's state.
  EventPlace NextPlace(const EventIntent& intent, absl::Time now) const;
  /// The draft's state as the validator wants it.
  matrix::v1::JudgingContext State() const;

  /// Takes up a state event that is hashed and, if it is of this server, signed.
  const MintedEvent& Append(const EventIntent& intent, std::string event_id, std::string pdu);

  const std::string& room_id() const { return room_id_; }
  const matrix::RoomRules& rules() const { return rules_; }
  const std::vector<MintedEvent>& events() const { return events_; }

 private:
  const matrix::RoomRules& rules_;
  std::string room_id_;
  std::vector<MintedEvent> events_;
  std::map<matrix::StateKey, std::size_t> state_;  // index into events_
};

/// Hashes and signs `event` for a user of this server, giving it an id first where the version's events carry one.
absl::StatusOr<SignedEvent> SignDrafted(matrix::JsonObject event, const EventSigner& signer,
                                        const matrix::RoomRules& rules);

/// Letters from the system's random source.
std::string RandomLetters(std::size_t count);

}  // namespace postern::gateway
