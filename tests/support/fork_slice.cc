#include "tests/support/fork_slice.h"

#include <utility>

#include "matrix/auth_events.h"

namespace postern::support {
namespace {

using matrix::Event;
using matrix::ResolutionEvents;
using matrix::StateKey;
using matrix::StateMap;

std::string ValueOf(const StateMap& state, const StateKey& key) {
  const auto entry = state.find(key);
  return entry == state.end() ? "" : entry->second;
}

std::set<StateKey> KeysOf(const std::vector<StateMap>& states) {
  std::set<StateKey> keys;
  for (const StateMap& state : states) {
    for (const auto& [key, event_id] : state) keys.insert(key);
  }
  return keys;
}

bool AgreeOn(const StateKey& key, const std::vector<StateMap>& states) {
  for (const StateMap& state : states) {
    if (ValueOf(state, key) != ValueOf(states.front(), key)) return false;
  }
  return true;
}

/// What a rule may read beside the keys told.
std::set<StateKey> KeysRead(const std::set<std::string>& chain, const ResolutionEvents& events) {
  std::set<StateKey> keys{{"m.room.create", ""}, {"m.room.power_levels", ""}, {"m.room.join_rules", ""}};
  for (const std::string& id : chain) {
    const Event* event = events.Find(id);
    if (!event) continue;
    keys.insert({"m.room.member", event->sender()});
    if (event->is_state()) keys.insert({event->type(), *event->state_key()});
    for (StateKey& key : matrix::SelectAuthEvents(*event)) keys.insert(std::move(key));
  }
  return keys;
}

}  // namespace

std::set<std::string> ChainsOf(const std::vector<std::string>& ids, const ResolutionEvents& events) {
  std::set<std::string> chain;
  std::vector<std::string> pending = ids;
  while (!pending.empty()) {
    const std::string id = std::move(pending.back());
    pending.pop_back();
    const Event* event = events.Find(id);
    if (!event || !chain.insert(id).second) continue;
    pending.insert(pending.end(), event->auth_events().begin(), event->auth_events().end());
  }
  return chain;
}

std::set<std::string> ReachedByAgreed(const std::vector<StateMap>& states, const std::set<StateKey>& keys,
                                      const ResolutionEvents& events) {
  std::vector<std::string> cited;
  for (const auto& [key, event_id] : states.front()) {
    if (keys.contains(key)) continue;
    if (const Event* event = events.Find(event_id)) {
      cited.insert(cited.end(), event->auth_events().begin(), event->auth_events().end());
    }
  }
  return ChainsOf(cited, events);
}

ForkSlice CutFork(const std::vector<StateMap>& states, const ResolutionEvents& events, const CutOptions& options) {
  ForkSlice slice;
  std::set<StateKey> told = options.told;
  for (const StateKey& key : KeysOf(states)) {
    if (!AgreeOn(key, states)) told.insert(key);
  }
  std::vector<std::string> values = options.cited;
  for (const StateKey& key : told) {
    slice.fork.base.emplace(key, ValueOf(states.front(), key));
    for (const StateMap& state : states) values.push_back(ValueOf(state, key));
  }
  for (const StateMap& state : states) {
    StateMap& branch = slice.fork.branches.emplace_back();
    for (const auto& [key, base] : slice.fork.base) {
      if (ValueOf(state, key) != base) branch.emplace(key, ValueOf(state, key));
    }
  }
  values.push_back(ValueOf(states.front(), {"m.room.power_levels", ""}));
  slice.events = ChainsOf(values, events);
  const std::set<std::string> reached = ReachedByAgreed(states, told, events);
  for (const std::string& id : slice.events) slice.fork.reached.emplace(id, reached.contains(id));
  std::set<StateKey> agreed = KeysRead(slice.events, events);
  agreed.insert(options.asked.begin(), options.asked.end());
  for (const StateKey& key : agreed) {
    if (told.contains(key)) continue;
    const std::string value = ValueOf(states.front(), key);
    slice.fork.agreed.emplace(key, value);
    if (!value.empty()) slice.events.insert(value);
  }
  return slice;
}

}  // namespace postern::support
