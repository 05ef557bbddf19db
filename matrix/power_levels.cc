#include "matrix/power_levels.h"

#include <charconv>
#include <cmath>

namespace postern::matrix {
namespace {

constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// White space around an optional sign and digits, any number of leading zeros.
std::optional<std::int64_t> ReadInteger(std::string_view text) {
  while (!text.empty() && IsSpace(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsSpace(text.back())) text.remove_suffix(1);
  if (!text.empty() && text.front() == '+') {
    text.remove_prefix(1);
    if (!text.empty() && text.front() == '-') return std::nullopt;
  }
  std::int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [read_to, problem] = std::from_chars(text.data(), end, value);
  if (read_to != end || text.empty()) return std::nullopt;
  if (problem == std::errc::result_out_of_range) return text.front() == '-' ? kLeast : kMost;
  return problem == std::errc() ? std::optional(value) : std::nullopt;
}

std::optional<std::int64_t> Truncate(std::string_view number) {
  double value = 0;
  const char* end = number.data() + number.size();
  const auto [read_to, problem] = std::from_chars(number.data(), end, value);
  if (problem != std::errc() || read_to != end || !std::isfinite(value)) return std::nullopt;
  if (value >= 9223372036854775808.0) return kMost;
  if (value <= -9223372036854775808.0) return kLeast;
  return static_cast<std::int64_t>(value);
}

}  // namespace

std::optional<std::int64_t> ReadPowerLevel(const Json& value, const RoomRules& rules) {
  if (const std::int64_t* integer = value.AsInteger()) return *integer;
  if (rules.integer_power_levels) return std::nullopt;
  if (const std::string* text = value.AsString()) return ReadInteger(*text);
  if (const OddNumber* number = value.AsOddNumber()) return Truncate(number->text);
  return std::nullopt;
}

std::string_view CreatorOf(const Event& create) {
  if (!create.rules().creator_in_content) return create.sender();
  const std::string* creator = create.ContentString("creator");
  return creator ? std::string_view(*creator) : std::string_view();
}

bool IsCreatorAboveLevels(const Event& create, std::string_view user) {
  if (!create.rules().room_id_is_create_hash) return false;
  if (create.sender() == user) return true;
  const Json* additional = create.content().Find("additional_creators");
  if (!additional || !additional->AsArray()) return false;
  for (const Json& creator : *additional->AsArray()) {
    if (creator.AsString() && *creator.AsString() == user) return true;
  }
  return false;
}

PowerLevels::PowerLevels(const RoomState& state)
    : create_(state.create()), levels_(state.Find("m.room.power_levels", "")) {}

std::int64_t PowerLevels::OfUser(std::string_view user) const {
  if (create_ && IsCreatorAboveLevels(*create_, user)) return kCreatorLevel;
  if (!levels_) {
    constexpr std::int64_t kCreatorWithoutLevels = 100;
    return create_ && !user.empty() && CreatorOf(*create_) == user ? kCreatorWithoutLevels : 0;
  }
  return Entry("users", user).value_or(Named("users_default", 0));
}

std::int64_t PowerLevels::ToSend(std::string_view type, bool is_state) const {
  if (const auto level = Entry("events", type)) return *level;
  return is_state ? Named("state_default", 50) : Named("events_default", 0);
}

std::int64_t PowerLevels::Named(std::string_view name, std::int64_t otherwise) const {
  const Json* value = levels_ ? levels_->content().Find(name) : nullptr;
  return value ? ReadPowerLevel(*value, levels_->rules()).value_or(otherwise) : otherwise;
}

std::optional<std::int64_t> PowerLevels::Entry(std::string_view map, std::string_view key) const {
  const Json* entries = levels_ ? levels_->content().Find(map) : nullptr;
  const Json* value = entries && entries->AsObject() ? entries->AsObject()->Find(key) : nullptr;
  return value ? ReadPowerLevel(*value, levels_->rules()) : std::nullopt;
}

}  // namespace postern::matrix
