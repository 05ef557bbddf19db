#include "matrix/redaction.h"

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

namespace postern::matrix {
namespace {

using Keys = std::span<const std::string_view>;

constexpr std::array<std::string_view, 15> kTopLevel{
    "event_id", "type",        "room_id",    "sender",      "state_key", "content",          "hashes",    "signatures",
    "depth",    "prev_events", "prev_state", "auth_events", "origin",    "origin_server_ts", "membership"};
// Version 11 no longer protects what only the first versions carried.
constexpr std::array<std::string_view, 12> kTopLevelV11{"event_id",  "type",        "room_id",     "sender",
                                                        "state_key", "content",     "hashes",      "signatures",
                                                        "depth",     "prev_events", "auth_events", "origin_server_ts"};

constexpr std::array<std::string_view, 1> kMember{"membership"};
constexpr std::array<std::string_view, 2> kMemberV9{"membership", "join_authorised_via_users_server"};
constexpr std::array<std::string_view, 1> kCreate{"creator"};
constexpr std::array<std::string_view, 1> kJoinRules{"join_rule"};
constexpr std::array<std::string_view, 2> kJoinRulesV8{"join_rule", "allow"};
constexpr std::array<std::string_view, 8> kPowerLevels{"ban",    "events",        "events_default", "kick",
                                                       "redact", "state_default", "users",          "users_default"};
constexpr std::array<std::string_view, 9> kPowerLevelsV11{
    "ban", "events", "events_default", "invite", "kick", "redact", "state_default", "users", "users_default"};
constexpr std::array<std::string_view, 1> kAliases{"aliases"};
constexpr std::array<std::string_view, 1> kHistoryVisibility{"history_visibility"};
constexpr std::array<std::string_view, 1> kRedaction{"redacts"};

/// The keys of `content` that an event of this type keeps.
Keys KeptContent(std::string_view type, RedactionRules rules) {
  if (type == "m.room.member") return rules >= RedactionRules::kV9 ? Keys(kMemberV9) : Keys(kMember);
  if (type == "m.room.create") return kCreate;
  if (type == "m.room.join_rules") return rules >= RedactionRules::kV8 ? Keys(kJoinRulesV8) : Keys(kJoinRules);
  if (type == "m.room.power_levels") {
    return rules >= RedactionRules::kV11 ? Keys(kPowerLevelsV11) : Keys(kPowerLevels);
  }
  if (type == "m.room.history_visibility") return kHistoryVisibility;
  if (type == "m.room.aliases" && rules < RedactionRules::kV6) return kAliases;
  if (type == "m.room.redaction" && rules >= RedactionRules::kV11) return kRedaction;
  return {};
}

JsonObject Keep(const JsonObject& object, Keys keys) {
  JsonObject kept;
  for (const JsonMember& member : object) {
    if (std::ranges::find(keys, member.key) != keys.end()) kept.Set(member.key, member.value);
  }
  return kept;
}

// Version 11: of `third_party_invite` the `signed` part alone, the object itself even where it has none.
void KeepSignedInvite(const JsonObject& content, JsonObject& kept) {
  constexpr std::array<std::string_view, 1> kSigned{"signed"};
  const Json* invite = content.Find("third_party_invite");
  if (invite && invite->AsObject()) kept.Set("third_party_invite", Keep(*invite->AsObject(), kSigned));
}

JsonObject RedactContent(const JsonObject& content, std::string_view type, RedactionRules rules) {
  if (type == "m.room.create" && rules >= RedactionRules::kV11) return content;
  JsonObject kept = Keep(content, KeptContent(type, rules));
  if (type == "m.room.member" && rules >= RedactionRules::kV11) KeepSignedInvite(content, kept);
  return kept;
}

}  // namespace

JsonObject Redact(const JsonObject& event, const RoomRules& rules) {
  const Keys top_level = rules.redaction >= RedactionRules::kV11 ? Keys(kTopLevelV11) : Keys(kTopLevel);
  JsonObject redacted;
  for (const JsonMember& member : event) {
    if (member.key != "content" && std::ranges::find(top_level, member.key) != top_level.end()) {
      redacted.Set(member.key, member.value);
    }
  }
  const Json* type = event.Find("type");
  const Json* content = event.Find("content");
  if (!content) return redacted;
  static const JsonObject kNoContent;
  const JsonObject& fields = content->AsObject() ? *content->AsObject() : kNoContent;
  const std::string_view type_name = type && type->AsString() ? std::string_view(*type->AsString()) : "";
  redacted.Set("content", RedactContent(fields, type_name, rules.redaction));
  return redacted;
}

}  // namespace postern::matrix
