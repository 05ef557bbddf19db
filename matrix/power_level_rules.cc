#include "matrix/power_level_rules.h"

#include <array>

#include "matrix/identifiers.h"

namespace postern::matrix {
namespace {

constexpr std::array<std::string_view, 7> kNamedLevels{"users_default", "events_default", "state_default", "ban",
                                                       "redact",        "kick",           "invite"};

/// The rules that altering the entries of one property may break.
struct AlterationRules {
  AuthRule was_above;
  AuthRule set_above;
};
constexpr AlterationRules kForNamed{AuthRule::kLevelAbove, AuthRule::kLevelToAbove};
constexpr AlterationRules kForEvents{AuthRule::kEventLevelAbove, AuthRule::kEventLevelToAbove};
constexpr AlterationRules kForUsers{AuthRule::kUserLevelAbove, AuthRule::kUserLevelToAbove};

const JsonObject kNothing;

const JsonObject& EntriesOf(const JsonObject& content, std::string_view property) {
  const Json* entries = content.Find(property);
  return entries && entries->AsObject() ? *entries->AsObject() : kNothing;
}

bool HasOnlyIntegers(const Json& value) {
  if (!value.AsObject()) return false;
  for (const JsonMember& entry : *value.AsObject()) {
    if (!entry.value.AsInteger()) return false;
  }
  return true;
}

bool AreUserLevels(const Json& users, const RoomRules& rules) {
  if (!users.AsObject()) return false;
  for (const JsonMember& entry : *users.AsObject()) {
    if (!IsUserId(entry.key) || !ReadPowerLevel(entry.value, rules)) return false;
  }
  return true;
}

bool IsBeyondDouble(const Json& value, const RoomRules& rules) {
  return value.AsOddNumber() && !ReadPowerLevel(value, rules);
}

/// Before version 10 named levels and those of `events` and `notifications` may be anything but numbers beyond a double
/// (room version 1, "m.room.power_levels events accept values as floats").
RuleResult CheckNumbers(const JsonObject& content, const RoomRules& rules) {
  for (const std::string_view name : kNamedLevels) {
    const Json* value = content.Find(name);
    if (value && IsBeyondDouble(*value, rules)) return RefusedBy(AuthRule::kLevelNotInteger, rules, name);
  }
  for (const std::string_view name : {"events", "notifications"}) {
    for (const JsonMember& entry : EntriesOf(content, name)) {
      if (IsBeyondDouble(entry.value, rules)) return RefusedBy(AuthRule::kLevelsNotIntegers, rules, name);
    }
  }
  return {};
}

/// The rules on the event's own shape; allowed if none refuses.
RuleResult CheckShape(const Event& event, const Event& create) {
  const RoomRules& rules = event.rules();
  const JsonObject& content = event.content();
  if (auto result = CheckNumbers(content, rules); !result.allowed()) return result;
  if (rules.integer_power_levels) {
    for (const std::string_view name : kNamedLevels) {
      const Json* value = content.Find(name);
      if (value && !value->AsInteger()) return RefusedBy(AuthRule::kLevelNotInteger, rules, name);
    }
    for (const std::string_view name : {"events", "notifications"}) {
      const Json* value = content.Find(name);
      if (value && !HasOnlyIntegers(*value)) return RefusedBy(AuthRule::kLevelsNotIntegers, rules, name);
    }
  }
  const Json* users = content.Find("users");
  if (!users) return {};
  if (!AreUserLevels(*users, rules)) return RefusedBy(AuthRule::kUsersMalformed, rules);
  for (const JsonMember& entry : *users->AsObject()) {
    if (IsCreatorAboveLevels(create, entry.key)) return RefusedBy(AuthRule::kUsersHasCreator, rules, entry.key);
  }
  return {};
}

/// Judges alterations from the room's levels to the event's, as the sender's level allows.
class Alterations {
 public:
  Alterations(const Event& event, const Event& before, std::int64_t sender_level)
      : rules_(event.rules()),
        sender_(event.sender()),
        new_(event.content()),
        old_(before.content()),
        level_(sender_level) {}

  RuleResult Check() const {
    for (const std::string_view name : kNamedLevels) {
      if (auto result = CheckOne(name, old_.Find(name), new_.Find(name), kForNamed); !result.allowed()) return result;
    }
    if (auto result = CheckEntries("events", kForEvents); !result.allowed()) return result;
    if (rules_.limit_notifications) {
      if (auto result = CheckEntries("notifications", kForEvents); !result.allowed()) return result;
    }
    return CheckEntries("users", kForUsers);
  }

 private:
  RuleResult CheckEntries(std::string_view property, const AlterationRules& broken) const {
    const JsonObject& before = EntriesOf(old_, property);
    const JsonObject& after = EntriesOf(new_, property);
    for (const JsonMember& entry : before) {
      if (auto r = CheckOne(entry.key, &entry.value, after.Find(entry.key), broken); !r.allowed()) return r;
    }
    for (const JsonMember& entry : after) {
      if (before.Contains(entry.key)) continue;
      if (auto r = CheckOne(entry.key, nullptr, &entry.value, broken); !r.allowed()) return r;
    }
    return {};
  }

  RuleResult CheckOne(std::string_view name, const Json* before, const Json* after,
                      const AlterationRules& broken) const {
    const Level was = Read(before);
    const Level is = Read(after);
    // Before version 10 nothing says what a value that reads as no number is: nobody's level reaches it.
    if (after && !is.given) return RefusedBy(broken.set_above, rules_, name);
    if (was == is) return {};
    if (was.given && WasOutOfReach(name, was.value, broken)) return RefusedBy(broken.was_above, rules_, name);
    if (is.given && is.value > level_) return RefusedBy(broken.set_above, rules_, name);
    return {};
  }

  struct Level {
    bool given = false;
    std::int64_t value = 0;
    bool operator==(const Level&) const = default;
  };
  Level Read(const Json* value) const {
    if (!value) return {};
    const auto level = ReadPowerLevel(*value, rules_);
    return {.given = level.has_value(), .value = level.value_or(0)};
  }

  bool WasOutOfReach(std::string_view name, std::int64_t old_level, const AlterationRules& broken) const {
    if (broken.was_above == AuthRule::kUserLevelAbove) return name != sender_ && old_level >= level_;
    return old_level > level_;
  }

  const RoomRules& rules_;
  const std::string& sender_;
  const JsonObject& new_;
  const JsonObject& old_;
  std::int64_t level_;
};

}  // namespace

RuleResult CheckPowerLevelRules(const Event& event, const RoomState& state, const PowerLevels& levels) {
  if (auto result = CheckShape(event, *state.create()); !result.allowed()) return result;
  const Event* before = state.Find("m.room.power_levels", "");
  if (!before) return AllowedBy(AuthRule::kFirstPowerLevels, event.rules());
  const Alterations alterations(event, *before, levels.OfUser(event.sender()));
  if (auto result = alterations.Check(); !result.allowed()) return result;
  return AllowedBy(AuthRule::kPowerLevelsAllowed, event.rules());
}

}  // namespace postern::matrix
