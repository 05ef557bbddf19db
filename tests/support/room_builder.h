// Rooms of any version for tests: real events with right ids, hashes and signatures, from keys that follow from server
// names.
//
//   TestRoom room = RoomBuilder("10").Member("@ann:b.example", "invite").Build();
//   const Event leave = room.Leave("@ann:b.example");
//   RunSixSteps(room.Text(leave), room.rules(), room.ContextFor(leave), room.keys(), room.now());
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "matrix/auth_rules.h"
#include "matrix/event.h"
#include "matrix/json.h"
#include "matrix/signature.h"
#include "matrix/six_steps.h"

namespace postern::support {

/// An object from JSON text; ends the test program if it is none.
matrix::JsonObject Object(std::string_view json);

/// The key of a server in tests: "ed25519:test", its seed the hash of the name.
matrix::SigningKey KeyOf(std::string_view server_name);
/// Those keys, valid for a day from `now`.
matrix::KeyDirectory KeysOf(const std::vector<std::string>& server_names, absl::Time now);

/// What an event shall be. What is left out follows from the room.
struct Draft {
  std::string type;
  std::optional<std::string> state_key;
  std::string sender;
  matrix::JsonObject content;
  /// Empty: the room's last event.
  std::vector<const matrix::Event*> prev_events = {};
  /// What the selected auth events are taken from; nullptr: the room's current state.
  const matrix::RoomState* state = nullptr;
  /// 0: one second after the room's last event.
  std::int64_t origin_server_ts = 0;
};

/// A linear room. Movable; its events stay where they are.
class TestRoom {
 public:
  const matrix::RoomRules& rules() const { return *rules_; }
  const std::string& room_id() const { return room_id_; }
  const std::string& creator() const { return creator_; }
  /// All events, in the room's order.
  const std::deque<matrix::Event>& events() const { return events_; }
  const matrix::Event& tip() const { return events_.back(); }
  const matrix::RoomState& state() const { return state_; }
  /// One minute after the last event.
  absl::Time now() const;
  /// The keys of every server that has a user here.
  matrix::KeyDirectory keys() const;

  /// The event as its sender's server would make it, before hashes and signatures.
  matrix::JsonObject Unsigned(const Draft& draft) const;
  /// Hashed and signed by the sender's server. Does not add it to the room.
  matrix::Event Mint(const Draft& draft) const;
  /// Hashes and signs what a test has written or spoilt.
  matrix::Event Sign(matrix::JsonObject event) const;
  /// A member event; the sender is the user unless given.
  matrix::Event Member(std::string_view user, std::string_view membership, std::string_view sender = {}) const;
  matrix::Event Leave(std::string_view user) const { return Member(user, "leave"); }

  /// Adds an event to the room: it becomes the last one, and part of the state.
  const matrix::Event& Append(matrix::Event event);

  /// Canonical JSON.
  static std::string Text(const matrix::Event& event);
  /// What the store would say of `event`: its references looked up among the room's events, the current state for both
  /// states; extends_all_extremities if it follows the last event alone. The room outlives it.
  matrix::JudgingContext ContextFor(const matrix::Event& event) const;

 private:
  friend class RoomBuilder;
  TestRoom() = default;

  const matrix::RoomRules* rules_ = nullptr;
  std::string room_id_;
  std::string creator_;
  std::deque<matrix::Event> events_;
  matrix::RoomState state_;
};

/// Starts with m.room.create, the creator's join, power levels (the creator has 100 where creators need a level) and
/// the join rule `invite`. What follows is added as it is asked for; rules are not applied.
class RoomBuilder {
 public:
  explicit RoomBuilder(std::string_view version, std::string_view creator = "@creator:a.example");

  /// More content for m.room.create, or for m.room.power_levels.
  RoomBuilder& CreateContent(std::string_view json);
  RoomBuilder& PowerLevels(std::string_view json);
  RoomBuilder& NoPowerLevels();
  RoomBuilder& JoinRule(std::string_view join_rule);
  /// Makes `user` have that membership, by events that a real room would have: a join follows an invite, a leave a
  /// join; invites and bans are the creator's. "" adds nothing.
  RoomBuilder& Member(std::string_view user, std::string_view membership);
  /// Any further state event, by the creator.
  RoomBuilder& State(std::string_view type, std::string_view state_key, std::string_view content_json);

  TestRoom Build() const;

 private:
  struct Addition {
    std::string type;
    std::string state_key;
    std::string sender;
    matrix::JsonObject content;
  };
  void AddMember(std::string_view user, std::string_view membership, std::string_view sender);

  std::string version_;
  std::string creator_;
  matrix::JsonObject create_content_;
  std::optional<matrix::JsonObject> power_levels_;
  std::string join_rule_ = "invite";
  std::vector<Addition> additions_;
};

}  // namespace postern::support
