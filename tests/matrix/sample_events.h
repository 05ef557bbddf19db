// One well-formed event of any room version, to change a member of.
#pragma once

#include <string_view>

#include "matrix/json.h"
#include "matrix/room_rules.h"

namespace postern::matrix::samples {

inline const RoomRules& Rules(std::string_view version) { return *FindRoomRules(version); }

inline JsonObject Object(std::string_view json) { return *ParseJson(json)->AsObject(); }

/// A leave of @ann:a.example with hashes, signatures and unsigned data that are not checked.
inline JsonObject EventOf(std::string_view version) {
  JsonObject event = Object(R"({
    "type": "m.room.member", "sender": "@ann:a.example", "state_key": "@ann:a.example", "room_id": "!r:a.example",
    "content": {"membership": "leave", "reason": "tired", "displayname": "Ann"},
    "depth": 5, "origin_server_ts": 1700000000000, "prev_events": ["$p1", "$p2"], "auth_events": ["$a1", "$a1"],
    "hashes": {"sha256": "AAAA"}, "signatures": {"a.example": {"ed25519:x": "BBBB"}}, "unsigned": {"age": 1},
    "origin": "a.example", "prev_state": [], "membership": "leave", "surprise": {"a": 1}})");
  if (Rules(version).event_id_format == EventIdFormat::kCarried) {
    event.Set("event_id", "$e:a.example");
    event.Set("prev_events", *ParseJson(R"([["$p1",{"sha256":"x"}],["$p2",{}]])"));
    event.Set("auth_events", *ParseJson(R"([["$a1",{}],["$a1",{}]])"));
  }
  return event;
}

}  // namespace postern::matrix::samples
