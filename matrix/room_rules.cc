#include "matrix/room_rules.h"

#include <array>
#include <limits>

namespace postern::matrix {
namespace {

constexpr std::int64_t kMaxCanonicalInteger = (std::int64_t{1} << 53) - 1;

constexpr RoomRules kVersion1{
    .version = "1",
    .event_id_format = EventIdFormat::kCarried,
    .state_resolution = StateResolution::kV1,
    .redaction = RedactionRules::kV1,
    .auth_rules_page = AuthRulesPage::kV1,
    .strict_numbers = false,
    .max_depth = std::numeric_limits<std::int64_t>::max(),
    .enforce_key_validity = false,
    .event_id_domain_signs = true,
    .special_aliases_rule = true,
    .special_redaction_rule = true,
    .limit_notifications = false,
    .knocking = false,
    .restricted_joins = false,
    .knock_restricted = false,
    .integer_power_levels = false,
    .creator_in_content = true,
    .room_id_is_create_hash = false,
};

/// The version that follows `rules`: the same, but for what `change` does.
template <typename Change>
constexpr RoomRules Next(RoomRules rules, std::string_view version, Change change) {
  rules.version = version;
  change(rules);
  return rules;
}

constexpr RoomRules kVersion2 = Next(kVersion1, "2", [](RoomRules& r) { r.state_resolution = StateResolution::kV2; });
constexpr RoomRules kVersion3 = Next(kVersion2, "3", [](RoomRules& r) {
  r.auth_rules_page = AuthRulesPage::kV3;
  r.event_id_format = EventIdFormat::kBase64;
  r.event_id_domain_signs = false;
  r.special_redaction_rule = false;
});
constexpr RoomRules kVersion4 =
    Next(kVersion3, "4", [](RoomRules& r) { r.event_id_format = EventIdFormat::kUrlSafeBase64; });
constexpr RoomRules kVersion5 = Next(kVersion4, "5", [](RoomRules& r) { r.enforce_key_validity = true; });
constexpr RoomRules kVersion6 = Next(kVersion5, "6", [](RoomRules& r) {
  r.auth_rules_page = AuthRulesPage::kV6;
  r.redaction = RedactionRules::kV6;
  r.strict_numbers = true;
  r.max_depth = kMaxCanonicalInteger;
  r.special_aliases_rule = false;
  r.limit_notifications = true;
});
constexpr RoomRules kVersion7 = Next(kVersion6, "7", [](RoomRules& r) {
  r.auth_rules_page = AuthRulesPage::kV7;
  r.knocking = true;
});
constexpr RoomRules kVersion8 = Next(kVersion7, "8", [](RoomRules& r) {
  r.auth_rules_page = AuthRulesPage::kV8;
  r.redaction = RedactionRules::kV8;
  r.restricted_joins = true;
});
constexpr RoomRules kVersion9 = Next(kVersion8, "9", [](RoomRules& r) { r.redaction = RedactionRules::kV9; });
constexpr RoomRules kVersion10 = Next(kVersion9, "10", [](RoomRules& r) {
  r.auth_rules_page = AuthRulesPage::kV10;
  r.knock_restricted = true;
  r.integer_power_levels = true;
});
constexpr RoomRules kVersion11 = Next(kVersion10, "11", [](RoomRules& r) {
  r.auth_rules_page = AuthRulesPage::kV11;
  r.redaction = RedactionRules::kV11;
  r.creator_in_content = false;
});
constexpr RoomRules kVersion12 = Next(kVersion11, "12", [](RoomRules& r) {
  r.auth_rules_page = AuthRulesPage::kV12;
  r.state_resolution = StateResolution::kV2_1;
  r.room_id_is_create_hash = true;
});

constexpr std::array kAll{kVersion1, kVersion2, kVersion3, kVersion4,  kVersion5,  kVersion6,
                          kVersion7, kVersion8, kVersion9, kVersion10, kVersion11, kVersion12};

}  // namespace

std::span<const RoomRules> AllRoomRules() { return kAll; }

const RoomRules* FindRoomRules(std::string_view version) {
  for (const RoomRules& rules : kAll) {
    if (rules.version == version) return &rules;
  }
  return nullptr;
}

}  // namespace postern::matrix
