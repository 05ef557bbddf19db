#include "matrix/event_format.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "fmt/format.h"
#include "matrix/canonical_json.h"
#include "matrix/event.h"
#include "matrix/identifiers.h"
#include "matrix/refusal.h"

namespace postern::matrix {
namespace {

absl::Status Bad(std::string_view member, std::string_view expected) {
  return Refuse(Reason::kBadFormat, fmt::format("{}: expected {}", member, expected));
}

bool IsReference(const Json& reference, const RoomRules& rules) {
  if (rules.event_id_format != EventIdFormat::kCarried) return reference.AsString() != nullptr;
  const JsonArray* pair = reference.AsArray();
  return pair && pair->size() == 2 && (*pair)[0].AsString() && (*pair)[1].AsObject();
}

absl::Status CheckReferences(const JsonObject& event, std::string_view member, std::size_t most,
                             const RoomRules& rules) {
  const Json* value = event.Find(member);
  const JsonArray* references = value ? value->AsArray() : nullptr;
  if (!references) return Bad(member, "an array");
  if (references->size() > most) return Bad(member, fmt::format("at most {} events", most));
  const bool well_formed = std::ranges::all_of(*references, [&](const Json& r) { return IsReference(r, rules); });
  if (well_formed) return absl::OkStatus();
  return Bad(member, rules.event_id_format == EventIdFormat::kCarried ? "[event id, {hashes}] pairs" : "event ids");
}

absl::Status CheckText(const JsonObject& event, std::string_view member, bool required) {
  const Json* value = event.Find(member);
  if (!value) return required ? Bad(member, "a string") : absl::OkStatus();
  if (!value->AsString()) return Bad(member, "a string");
  if (value->AsString()->size() > kMaxIdentifierBytes) return Bad(member, "at most 255 bytes");
  return absl::OkStatus();
}

absl::Status CheckTexts(const JsonObject& event, const RoomRules& rules) {
  const Json* type = event.Find("type");
  const bool is_create = type && type->AsString() && *type->AsString() == "m.room.create";
  const struct {
    std::string_view member;
    bool required;
  } texts[] = {{"type", true},
               {"sender", true},
               {"room_id", !(is_create && rules.room_id_is_create_hash)},
               {"state_key", false}};
  for (const auto& text : texts) {
    if (auto status = CheckText(event, text.member, text.required); !status.ok()) return status;
  }
  return rules.event_id_format == EventIdFormat::kCarried ? CheckText(event, "event_id", true) : absl::OkStatus();
}

absl::Status CheckObjectsAndNumbers(const JsonObject& event, const RoomRules& rules) {
  for (const std::string_view member : {"content", "hashes", "signatures"}) {
    const Json* value = event.Find(member);
    if (!value || !value->AsObject()) return Bad(member, "an object");
  }
  if (const Json* extra = event.Find("unsigned"); extra && !extra->AsObject()) return Bad("unsigned", "an object");
  const Json* depth = event.Find("depth");
  if (!depth || !depth->AsInteger()) return Bad("depth", "an integer");
  if (*depth->AsInteger() < 0 || *depth->AsInteger() > rules.max_depth) {
    return Bad("depth", fmt::format("0 to {}", rules.max_depth));
  }
  const Json* ts = event.Find("origin_server_ts");
  if (!ts || !ts->AsInteger()) return Bad("origin_server_ts", "an integer");
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckEventFormat(const Json& event, const RoomRules& rules) {
  const JsonObject* fields = event.AsObject();
  if (!fields) return Bad("event", "an object");
  if (auto status = CheckTexts(*fields, rules); !status.ok()) return status;
  if (auto status = CheckObjectsAndNumbers(*fields, rules); !status.ok()) return status;
  if (auto status = CheckReferences(*fields, "auth_events", kMaxAuthEvents, rules); !status.ok()) return status;
  if (auto status = CheckReferences(*fields, "prev_events", kMaxPrevEvents, rules); !status.ok()) return status;
  if (rules.strict_numbers && !HasOnlyCanonicalNumbers(event)) return Bad("event", "only integers within ±(2^53−1)");
  if (!FitsCanonically(event, kMaxEventBytes)) return Bad("event", "at most 65,536 bytes of canonical JSON");
  return absl::OkStatus();
}

}  // namespace postern::matrix
