#include "matrix/branches.h"

#include <set>
#include <utility>

#include "matrix/refusal.h"

namespace postern::matrix {
namespace {

ForkedState ForkOf(const Branches& branches) {
  return {.base = branches.base, .branches = {}, .agreed = branches.agreed, .reached = branches.reached};
}

/// The value of `key`, "" where there is none.
const std::string& ValueIn(const StateMap& base, const StateMap& changes, const StateKey& key) {
  static const std::string kNone;
  if (const auto change = changes.find(key); change != changes.end()) return change->second;
  const auto entry = base.find(key);
  return entry == base.end() ? kNone : entry->second;
}

}  // namespace

absl::StatusOr<StateMap> ResolveBefore(const Branches& branches, const RoomRules& rules) {
  if (branches.too_large) return Refuse(Reason::kStateUnresolved, "the branches differ by more than is resolved here");
  ForkedState fork = ForkOf(branches);
  for (const Branch& branch : branches.branches) {
    if (branch.before) fork.branches.push_back(branch.changes);
  }
  if (fork.branches.size() == 1) return std::move(fork.branches.front());
  auto resolved = ResolveFork(fork, branches.events, rules);
  if (!resolved.ok()) return resolved.status();
  return ChangesBetween(branches, {}, *resolved);
}

absl::StatusOr<StateMap> ResolveWith(const Event& event, const StateMap& before, const Branches& branches,
                                     const RoomRules& rules) {
  ForkedState fork = ForkOf(branches);
  for (const Branch& branch : branches.branches) {
    if (branch.beside) fork.branches.push_back(branch.changes);
  }
  StateMap after = before;
  if (event.is_state()) after.insert_or_assign({event.type(), *event.state_key()}, event.event_id());
  fork.branches.push_back(std::move(after));
  if (fork.branches.size() == 1) return std::move(fork.branches.front());
  ResolutionEvents events = branches.events;
  events.Add(event);
  auto resolved = ResolveFork(fork, events, rules);
  if (!resolved.ok()) return resolved.status();
  return ChangesBetween(branches, {}, *resolved);
}

absl::StatusOr<RoomState> StateOf(const Branches& branches, const StateMap& changes) {
  StateMap entries = branches.agreed;
  entries.insert(branches.base.begin(), branches.base.end());
  for (const auto& [key, event_id] : changes) entries.insert_or_assign(key, event_id);
  RoomState state;
  for (const auto& [key, event_id] : entries) {
    if (event_id.empty()) continue;
    const Event* event = branches.events.Find(event_id);
    if (!event) return Refuse(Reason::kInvalidArgument, "the branches name an event that they do not hold");
    state.Set(*event);
  }
  return state;
}

StateMap ChangesBetween(const Branches& branches, const StateMap& from, const StateMap& to) {
  std::set<StateKey> keys;
  for (const StateMap* changes : {&from, &to}) {
    for (const auto& [key, event_id] : *changes) keys.insert(key);
  }
  StateMap changed;
  for (const StateKey& key : keys) {
    const std::string& value = ValueIn(branches.base, to, key);
    if (value != ValueIn(branches.base, from, key)) changed.emplace(key, value);
  }
  return changed;
}

}  // namespace postern::matrix
