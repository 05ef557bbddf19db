// A persistent event (PDU) that has passed the format check of its room version.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "matrix/json.h"
#include "matrix/room_rules.h"

namespace postern::matrix {

/// A key of a room's state.
struct StateKey {
  std::string type;
  std::string state_key;
  auto operator<=>(const StateKey&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const StateKey& key) {
    return H::combine(std::move(h), key.type, key.state_key);
  }
};

inline constexpr std::size_t kMaxEventBytes = 65536;
inline constexpr std::size_t kMaxPrevEvents = 20;
inline constexpr std::size_t kMaxAuthEvents = 10;

/// Immutable. Every field that the format check demands is there and of its type, so what takes an Event cannot fail on
/// syntax. The event id is computed once, when it is made.
class Event {
 public:
  /// Step 1 of the six: structure and limits ("Checks performed on receipt of a PDU", check 1; appendices "Size
  /// limits"; the version's event format). Refuses: kBadFormat, naming the member.
  static absl::StatusOr<Event> FromJson(Json json, const RoomRules& rules);
  /// The same, from text. Refuses as ParseJson does, and kBadFormat.
  static absl::StatusOr<Event> Parse(std::string_view text, const RoomRules& rules);

  const RoomRules& rules() const { return *rules_; }
  const JsonObject& json() const { return *json_.AsObject(); }

  /// `$…`. In versions 1-2 the id it carries, from 3 the reference hash.
  const std::string& event_id() const { return event_id_; }
  /// Of a version 12 create event: '!' and its own hash.
  const std::string& room_id() const { return room_id_; }
  const std::string& type() const;
  const std::string& sender() const;
  bool is_state() const { return state_key_ != nullptr; }
  /// nullptr for a message event.
  const std::string* state_key() const { return state_key_; }
  const JsonObject& content() const;
  std::int64_t depth() const;
  std::int64_t origin_server_ts() const;
  /// Ids only, in the event's order, duplicates kept.
  const std::vector<std::string>& prev_events() const { return prev_events_; }
  const std::vector<std::string>& auth_events() const { return auth_events_; }
  /// content.membership of a member event, "" where it is missing or no string.
  std::string_view membership() const;
  /// content[key] if it is a string, else nullptr.
  const std::string* ContentString(std::string_view key) const;

  Event(Event&&) noexcept;
  Event& operator=(Event&&) noexcept;
  Event(const Event&);
  Event& operator=(const Event&);
  ~Event();

 private:
  Event(Json json, const RoomRules& rules);
  void IndexMembers();

  const RoomRules* rules_;
  Json json_;
  std::string event_id_;
  std::string room_id_;
  const std::string* state_key_ = nullptr;
  std::vector<std::string> prev_events_;
  std::vector<std::string> auth_events_;
};

}  // namespace postern::matrix
