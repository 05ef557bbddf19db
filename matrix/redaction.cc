#include "matrix/redaction.h"

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

#include "matrix/canonical_json.h"

namespace postern::matrix {
namespace {

constexpr std::size_t kUsualBytes = 1024;  // most events fit

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

constexpr std::array<std::string_view, 1> kSigned{"signed"};

/// What a redaction keeps of one event.
struct Kept {
  Keys top_level;
  Keys content;
  bool whole_content;
  /// Version 11: of `content.third_party_invite` the `signed` part alone, the object itself even where it has none.
  bool signed_invite;
};

Kept KeptOf(const JsonObject& event, RedactionRules rules) {
  const Json* type_value = event.Find("type");
  const std::string* type_text = type_value ? type_value->AsString() : nullptr;
  const std::string_view type = type_text ? std::string_view(*type_text) : "";
  const bool since_v11 = rules >= RedactionRules::kV11;
  return {.top_level = since_v11 ? Keys(kTopLevelV11) : Keys(kTopLevel),
          .content = KeptContent(type, rules),
          .whole_content = since_v11 && type == "m.room.create",
          .signed_invite = since_v11 && type == "m.room.member"};
}

bool Has(Keys keys, std::string_view key) { return std::ranges::find(keys, key) != keys.end(); }

const JsonObject& FieldsOf(const Json& content) {
  static const JsonObject kNoContent;
  return content.AsObject() ? *content.AsObject() : kNoContent;
}

const JsonObject* InviteIn(const JsonMember& member, const Kept& kept) {
  return kept.signed_invite && member.key == "third_party_invite" ? member.value.AsObject() : nullptr;
}

JsonObject RedactContent(const JsonObject& content, const Kept& kept) {
  if (kept.whole_content) return content;
  JsonObject redacted = Keep(content, kept.content);
  for (const JsonMember& member : content) {
    if (const JsonObject* invite = InviteIn(member, kept)) redacted.Set(member.key, Keep(*invite, kSigned));
  }
  return redacted;
}

void WriteKept(const JsonObject& object, Keys keys, std::string& out) {
  CanonicalObjectWriter writer(out);
  for (const JsonMember& member : object) {
    if (Has(keys, member.key)) writer.Add(member.key, member.value);
  }
  writer.End();
}

void WriteContent(const JsonObject& content, const Kept& kept, std::string& out) {
  CanonicalObjectWriter writer(out);
  for (const JsonMember& member : content) {
    if (const JsonObject* invite = InviteIn(member, kept)) {
      writer.BeginMember(member.key);
      WriteKept(*invite, kSigned, out);
    } else if (kept.whole_content || Has(kept.content, member.key)) {
      writer.Add(member.key, member.value);
    }
  }
  writer.End();
}

}  // namespace

JsonObject Redact(const JsonObject& event, const RoomRules& rules) {
  const Kept kept = KeptOf(event, rules.redaction);
  JsonObject redacted;
  for (const JsonMember& member : event) {
    if (member.key == "content") {
      redacted.Set("content", RedactContent(FieldsOf(member.value), kept));
    } else if (Has(kept.top_level, member.key)) {
      redacted.Set(member.key, member.value);
    }
  }
  return redacted;
}

std::string CanonicalRedacted(const JsonObject& event, const RoomRules& rules) {
  const Kept kept = KeptOf(event, rules.redaction);
  std::string out;
  out.reserve(kUsualBytes);
  CanonicalObjectWriter writer(out);
  for (const JsonMember& member : event) {
    if (member.key == "signatures" || !Has(kept.top_level, member.key)) continue;
    if (member.key == "content") {
      writer.BeginMember(member.key);
      WriteContent(FieldsOf(member.value), kept, out);
    } else {
      writer.Add(member.key, member.value);
    }
  }
  writer.End();
  return out;
}

}  // namespace postern::matrix
