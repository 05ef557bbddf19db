#include "tests/support/resolution_promises.h"

#include <algorithm>

#include "matrix/refusal.h"

namespace postern::support {
namespace {

using matrix::Event;
using matrix::StateKey;
using matrix::StateMap;

bool AllHave(const std::vector<StateMap>& states, const StateKey& key, const std::string& event_id) {
  return std::ranges::all_of(states, [&](const StateMap& state) {
    const auto entry = state.find(key);
    return entry != state.end() && entry->second == event_id;
  });
}

std::string WrongEntry(const std::vector<StateMap>& states, const StateMap& resolved,
                       const matrix::ResolutionEvents& known) {
  for (const auto& [key, event_id] : resolved) {
    const Event* event = known.Find(event_id);
    if (!event || !event->is_state() || StateKey{event->type(), *event->state_key()} != key) {
      return event_id + " is no event of the key that it has";
    }
  }
  for (const auto& [key, event_id] : states.front()) {
    const auto entry = resolved.find(key);
    if (AllHave(states, key, event_id) && (entry == resolved.end() || entry->second != event_id)) {
      return "a key on which all agree has another value than " + event_id;
    }
  }
  return "";
}

}  // namespace

std::string BrokenPromise(const std::vector<StateMap>& states, const matrix::ResolutionEvents& known,
                          const matrix::RoomRules& rules, std::size_t smaller_budget) {
  const auto resolve = [&](const std::vector<StateMap>& given, std::size_t budget = matrix::kResolutionBudget) {
    return ResolveState(given, known, rules, budget);
  };
  const auto resolved = resolve(states);
  std::vector<StateMap> reversed(states.rbegin(), states.rend());
  const auto turned = resolve(reversed);
  if (resolved.ok() != turned.ok()) return "whether there is an answer hangs on the order of the states";
  if (!resolved.ok()) {
    const matrix::Reason reason = matrix::ReasonOf(resolved.status());
    return reason == matrix::Reason::kInvalidArgument ? "" : "refused for another reason than a missing event";
  }
  if (*turned != *resolved) return "the answer hangs on the order of the states";
  std::rotate(reversed.begin(), reversed.begin() + 1, reversed.end());
  reversed.push_back(states.front());
  if (*resolve(reversed) != *resolved) return "a state that is given twice changes the answer";
  if (*resolve({*resolved}) != *resolved || *resolve({*resolved, *resolved}) != *resolved) {
    return "resolving the answer again changes it";
  }
  if (std::string wrong = WrongEntry(states, *resolved, known); !wrong.empty()) return wrong;
  const auto hurried = resolve(states, smaller_budget);
  if (hurried.ok() && *hurried != *resolved) return "a smaller budget gives another answer";
  if (!hurried.ok() && matrix::ReasonOf(hurried.status()) != matrix::Reason::kStateUnresolved) {
    return "a budget that is spent is called something else";
  }
  return "";
}

}  // namespace postern::support
