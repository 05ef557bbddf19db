#include "services/gateway/local_powers.h"

#include <algorithm>
#include <deque>
#include <set>
#include <utility>

#include "matrix/event.h"
#include "matrix/identifiers.h"
#include "matrix/power_levels.h"
#include "matrix/refusal.h"
#include "services/gateway/room_access.h"

namespace postern::gateway {
namespace {

using matrix::Event;
using matrix::Reason;
using matrix::Refuse;

constexpr std::size_t kMostCandidates = 1000;

/// Everybody whom the create event or the power levels name, as a name they give may be.
std::set<std::string> NamedUsers(const matrix::RoomState& state) {
  std::set<std::string> users;
  const Event* create = state.create();
  if (create == nullptr) return users;
  users.emplace(matrix::CreatorOf(*create));
  users.insert(create->sender());
  const auto* additional = create->content().Find("additional_creators");
  if (additional != nullptr && additional->AsArray() != nullptr) {
    for (const matrix::Json& user : *additional->AsArray()) {
      if (user.AsString() != nullptr) users.insert(*user.AsString());
    }
  }
  const Event* levels = state.Find("m.room.power_levels", "");
  const auto* named = levels == nullptr ? nullptr : levels->content().Find("users");
  if (named != nullptr && named->AsObject() != nullptr) {
    for (const auto& [user, level] : *named->AsObject()) users.insert(user);
  }
  return users;
}

/// Users of `server`, the most powerful first.
std::vector<std::string> LocalByPower(const matrix::RoomState& state, const std::string& server) {
  const matrix::PowerLevels levels(state);
  std::vector<std::pair<std::int64_t, std::string>> ranked;
  for (const std::string& user : NamedUsers(state)) {
    if (matrix::DomainOf(user) == server) ranked.emplace_back(levels.OfUser(user), user);
  }
  std::ranges::stable_sort(ranked, [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<std::string> users;
  for (auto& [level, user] : ranked) {
    if (users.size() < kMostCandidates) users.push_back(std::move(user));
  }
  return users;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> LocalUsersByPower(const matrix::v1::JudgingContext& room,
                                                           const matrix::RoomRules& rules, const std::string& server) {
  std::deque<Event> events;
  matrix::RoomState state;
  for (const char* type : {"m.room.create", "m.room.power_levels"}) {
    const matrix::v1::StoredEvent* stored = CurrentStateEvent(room, type, "");
    if (stored == nullptr) continue;
    auto event = Event::Parse(stored->pdu(), rules);
    if (!event.ok()) return Refuse(Reason::kInternal, "a stored event cannot be read");
    state.Set(events.emplace_back(*std::move(event)));
  }
  return LocalByPower(state, server);
}

}  // namespace postern::gateway
