// Power levels ("m.room.power_levels"): how much a user may do, and how much an action takes.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

#include "matrix/auth_rules.h"
#include "matrix/event.h"

namespace postern::matrix {

/// What a creator of a version 12 room has. No event can say so: its numbers end at 2^53−1.
inline constexpr std::int64_t kCreatorLevel = std::numeric_limits<std::int64_t>::max();

/// One level as it stands in an event. From version 10 an integer; before, also a string that reads as one (room
/// version 1, "m.room.power_levels events accept values as strings"); where numbers may be odd, also a fraction, which
/// is truncated. What lies beyond int64 counts as its nearest value. nullopt for everything else.
std::optional<std::int64_t> ReadPowerLevel(const Json& value, const RoomRules& rules);

/// The user that content names as creator (1-10), or the sender of the create event; "" if content names none.
std::string_view CreatorOf(const Event& create);

/// Whether `user` outranks every level: the sender of the create event and its additional_creators, from version 12.
bool IsCreatorAboveLevels(const Event& create, std::string_view user);

/// The levels of a room, with the defaults for what its state leaves out. Looks into `state`'s events: they outlive it.
class PowerLevels {
 public:
  explicit PowerLevels(const RoomState& state);

  std::int64_t OfUser(std::string_view user) const;
  /// What sending an event of that type takes.
  std::int64_t ToSend(std::string_view type, bool is_state) const;
  std::int64_t ToInvite() const { return Named("invite", 0); }
  std::int64_t ToKick() const { return Named("kick", 50); }
  std::int64_t ToBan() const { return Named("ban", 50); }
  std::int64_t ToRedact() const { return Named("redact", 50); }

 private:
  std::int64_t Named(std::string_view name, std::int64_t otherwise) const;
  std::optional<std::int64_t> Entry(std::string_view map, std::string_view key) const;

  const Event* create_;
  const Event* levels_;
};

}  // namespace postern::matrix
