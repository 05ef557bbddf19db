// Room versions as data: what each of them changes, and the only file that compares them.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace postern::matrix {

enum class EventIdFormat { kCarried, kBase64, kUrlSafeBase64 };  // 1-2, 3, 4+
enum class StateResolution { kV1, kV2, kV2_1 };
/// The room version pages whose authorization rules are numbered differently: that of 1-2, 3-5, 6, 7, 8-9, 10, 11
/// and 12.
enum class AuthRulesPage { kV1, kV3, kV6, kV7, kV8, kV10, kV11, kV12 };
enum class RedactionRules { kV1, kV6, kV8, kV9, kV11 };

/// One room version. `auth rule` numbers in comments are those of the version that brought the switch.
struct RoomRules {
  std::string_view version;
  EventIdFormat event_id_format;
  StateResolution state_resolution;
  RedactionRules redaction;
  AuthRulesPage auth_rules_page;
  /// Integers only, within ±(2^53−1) (6+). Before, odd numbers pass and keep their text.
  bool strict_numbers;
  /// The greatest `depth`: 2^63−1, from version 6 2^53−1.
  std::int64_t max_depth;
  /// Keys must be valid at origin_server_ts (5+).
  bool enforce_key_validity;
  /// The event_id's domain must have signed too (1-2).
  bool event_id_domain_signs;
  /// m.room.aliases has a rule of its own (1-5).
  bool special_aliases_rule;
  /// m.room.redaction has a rule of its own (1-2).
  bool special_redaction_rule;
  /// The `notifications` of power levels are checked like `events` (6+).
  bool limit_notifications;
  bool knocking;          // 7+
  bool restricted_joins;  // 8+
  bool knock_restricted;  // 10+
  /// Power levels must be integers (10+); before, strings that read as integers count.
  bool integer_power_levels;
  /// m.room.create names its `creator` in content (1-10); after, its sender is the creator.
  bool creator_in_content;
  /// The room id is the create event's hash; create is never cited; creators outrank every level (12+).
  bool room_id_is_create_hash;
};

/// The stable versions, "1" to "12".
std::span<const RoomRules> AllRoomRules();

/// nullptr for a version that is not supported.
const RoomRules* FindRoomRules(std::string_view version);

}  // namespace postern::matrix
