// What the fake knows of forks: with every state at hand whole, each answer is the definition's.
#include "tests/support/fake_store.h"

namespace postern::support {

namespace v1 = store::v1;

std::optional<FakeStore::StatePlace> FakeStore::StateBefore(Room& room, const std::vector<std::string>& prev,
                                                            bool extends) const {
  if (extends) return room.now;
  std::set<StatePlace> places;
  std::set<std::size_t> states, fixed;
  for (const std::string& id : prev) {
    const auto event = room.events.find(id);
    if (event == room.events.end() || !event->second.state_after) return std::nullopt;
    places.insert(*event->second.state_after);
    states.insert(event->second.state_after->state);
    fixed.insert(event->second.state_after->fixed);
  }
  if (places.empty()) return std::nullopt;
  if (states.size() == 1) return StatePlace{*states.begin(), fixed.size() == 1 ? *fixed.begin() : kNothingInCommon};
  const auto recorded = room.states_of_extremities.find(std::set<std::string>(prev.begin(), prev.end()));
  if (recorded != room.states_of_extremities.end()) return recorded->second;
  if (fixed.size() > 1) return std::nullopt;
  return Merged(room, places);
}

std::optional<std::size_t> FakeStore::InCommon(const Room& room, const std::vector<std::string>& ids) {
  std::set<std::optional<std::size_t>> fixed;
  for (const std::string& id : ids) {
    const std::optional<StatePlace>& after = room.events.at(id).state_after;
    fixed.insert(after ? std::optional(after->fixed) : std::nullopt);
  }
  return fixed.size() == 1 ? *fixed.begin() : std::nullopt;
}

/// The states put together: they differ by commuting changes alone, so that the value stored last is a key's newest.
FakeStore::StatePlace FakeStore::Merged(Room& room, const std::set<StatePlace>& places) const {
  State merged;
  const auto age = [&](const std::string& id) { return room.events.at(id).ordering; };
  for (const StatePlace& place : places) {
    for (const auto& [key, event_id] : room.states[place.state]) {
      std::string& newest = merged.try_emplace(key, event_id).first->second;
      if (age(event_id) > age(newest)) newest = event_id;
    }
  }
  room.states.push_back(std::move(merged));
  return {room.states.size() - 1, places.begin()->fixed};
}

std::optional<MeetingStates> FakeStore::StatesThatMeet(const Room& room, const std::vector<std::string>& prev,
                                                       const std::optional<StatePlace>& before) const {
  MeetingStates states;
  bool known = true;
  const auto add = [&](const std::string& id, std::vector<State>& to) {
    const auto event = room.events.find(id);
    known = known && event != room.events.end() && event->second.state_after;
    if (known) to.push_back(room.states[event->second.state_after->state]);
  };
  if (before) {
    states.before.push_back(room.states[before->state]);
  } else {
    for (const std::string& id : prev) add(id, states.before);
  }
  const std::set<std::string> gone = Superseded(room, prev);
  for (const std::string& id : room.extremities) {
    if (!gone.contains(id)) add(id, states.beside);
  }
  states.now = room.states[room.now.state];
  if (!known || states.before.empty()) return std::nullopt;
  return states;
}

std::optional<std::size_t> FakeStore::AddBranches(const Room& room, const v1::GetEventContextRequest& request,
                                                  const std::optional<StatePlace>& before,
                                                  matrix::v1::JudgingContext& judging,
                                                  std::set<std::string>& named) const {
  const std::vector<std::string> prev{request.prev_events().begin(), request.prev_events().end()};
  // A told state takes no extremity's place, not even that of one which the event cites.
  const bool given = GivenBefore(room, request.event_id(), prev).has_value();
  const auto states = StatesThatMeet(room, given ? std::vector<std::string>{} : prev, before);
  if (!states) return std::nullopt;
  const matrix::RoomRules& rules = *matrix::FindRoomRules(room.version);
  std::map<std::string, matrix::Event> parsed;
  matrix::ResolutionEvents events;
  for (const auto& [id, stored] : room.events) {
    auto event = matrix::Event::Parse(stored.pdu, rules);
    if (event.ok()) events.Add(parsed.emplace(id, *std::move(event)).first->second);
  }
  CutOptions options{.told = {}, .asked = {}, .cited = {request.auth_events().begin(), request.auth_events().end()}};
  if (request.has_own_key()) options.told.insert({request.own_key().type(), request.own_key().state_key()});
  for (const matrix::v1::StateKey& key : request.state_keys()) options.asked.insert({key.type(), key.state_key()});
  *judging.mutable_branches() = TellBranches(*states, events, options, named);
  if (before) return before->state;
  return room.events.at(prev.front()).state_after->state;
}

/// Prev events, and what the soft-failed ones among those cite in their turn, but for those judged on a told state.
std::set<std::string> FakeStore::Superseded(const Room& room, const std::vector<std::string>& prev) {
  std::set<std::string> gone;
  std::vector<std::string> visit = prev;
  while (!visit.empty()) {
    const std::string id = std::move(visit.back());
    visit.pop_back();
    if (!gone.insert(id).second) continue;
    const auto event = room.events.find(id);
    if (event == room.events.end() || event->second.outcome != matrix::v1::OUTCOME_SOFT_FAILED) continue;
    const auto told = room.given.find(id);
    if (told != room.given.end() && event->second.state_before == told->second) continue;
    visit.insert(visit.end(), event->second.columns.prev_events.begin(), event->second.columns.prev_events.end());
  }
  return gone;
}

}  // namespace postern::support
