// The operation on states.
#include <algorithm>
#include <vector>

#include "matrix/event.h"
#include "matrix/state_resolution.h"
#include "tests/vectors/answers.h"

namespace postern::vectors {
namespace {

using matrix::Event;
using matrix::Json;
using matrix::JsonArray;
using matrix::StateMap;

std::optional<std::vector<Event>> ReadEvents(const JsonArray& pdus, const matrix::RoomRules& rules) {
  std::vector<Event> events;
  events.reserve(pdus.size());
  for (const Json& pdu : pdus) {
    auto event = Event::FromJson(pdu, rules);
    if (!event.ok()) return std::nullopt;
    events.push_back(*std::move(event));
  }
  return events;
}

std::optional<StateMap> ReadState(const Json& ids, const matrix::ResolutionEvents& events) {
  if (!ids.AsArray()) return std::nullopt;
  StateMap state;
  for (const Json& id : *ids.AsArray()) {
    const Event* event = id.AsString() ? events.Find(*id.AsString()) : nullptr;
    if (!event || !event->is_state()) return std::nullopt;
    state[{event->type(), *event->state_key()}] = event->event_id();
  }
  return state;
}

}  // namespace

Output AnswerStateResolve(const Input& input) {
  const matrix::RoomRules* rules = input.Rules();
  const JsonArray* sets = input.Array("state_sets");
  const JsonArray* pdus = input.Array("events");
  if (!rules || !sets || sets->empty() || !pdus) return std::nullopt;
  const auto events = ReadEvents(*pdus, *rules);
  if (!events) return std::nullopt;
  matrix::ResolutionEvents known;
  for (const Event& event : *events) known.Add(event);
  std::vector<StateMap> states;
  for (const Json& set : *sets) {
    auto state = ReadState(set, known);
    if (!state) return std::nullopt;
    states.push_back(*std::move(state));
  }
  const auto resolved = matrix::ResolveState(states, known, *rules);
  if (!resolved.ok()) return std::nullopt;
  std::vector<std::string> ids;
  for (const auto& [key, id] : *resolved) ids.push_back(id);
  std::ranges::sort(ids);
  matrix::JsonObject output;
  output.Set("state", JsonArray(ids.begin(), ids.end()));
  return output;
}

}  // namespace postern::vectors
