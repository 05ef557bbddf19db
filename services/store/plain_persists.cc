#include "services/store/plain_persists.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

namespace postern::store {
namespace {

bool Holds(const std::vector<std::string>& ids, const std::string& id) {
  return std::ranges::find(ids, id) != ids.end();
}

bool AllDiffer(const std::vector<std::string>& ids) {
  return std::set<std::string_view>(ids.begin(), ids.end()).size() == ids.size();
}

std::vector<std::string> TipsAfter(const std::vector<std::string>& tips, const CheckedPersist& persist) {
  std::vector<std::string> after;
  for (const std::string& tip : tips) {
    if (!Holds(persist.checked.columns.prev_events, tip)) after.push_back(tip);
  }
  after.push_back(persist.request->verdict().event_id());
  return after;
}

bool OfMembersAlone(const matrix::v1::Verdict& verdict) {
  return std::ranges::all_of(verdict.current_state_change(), [](const matrix::v1::StateEntry& change) {
    return change.type() == kMemberType && !change.event_id().empty();
  });
}

bool SameChange(const std::vector<matrix::v1::StateEntry>& after, const matrix::v1::Verdict& verdict) {
  return std::equal(after.begin(), after.end(), verdict.current_state_change().begin(),
                    verdict.current_state_change().end(), [](const auto& one, const auto& other) {
                      return one.type() == other.type() && one.state_key() == other.state_key() &&
                             one.event_id() == other.event_id();
                    });
}

/// The verdict stands: nothing was accepted since its context was read, or all of that commutes, as this does; what it
/// relied on is looked at in the database.
bool Stands(const RoomHead& head, const CheckedPersist& persist) {
  const matrix::v1::Verdict& verdict = persist.request->verdict();
  const ContextToken& token = persist.checked.token;
  if (head.accepted == token.ordering) return true;
  return head.accepted > token.ordering && head.fixed <= token.ordering && verdict.commutes() &&
         !verdict.read_set().empty();
}

bool DecidesItself(const RoomHead& head, const CheckedPersist& persist) {
  const v1::PersistEventRequest& request = *persist.request;
  const ContextToken& token = persist.checked.token;
  const EventColumns& columns = persist.checked.columns;
  if (request.verdict().outcome() != matrix::v1::OUTCOME_ACCEPTED || request.verdict().reason() != 0) return false;
  if (request.context_request().with_branches() || !request.verdict().state_before_change().empty()) return false;
  if (token.merged) return false;
  if (!OfMembersAlone(request.verdict()) || !AllDiffer(columns.auth_events)) return false;
  // A soft-failed event is no extremity: what takes its place takes those that it cites in its turn.
  const bool cites_tips =
      std::ranges::all_of(columns.prev_events, [&head](const std::string& id) { return Holds(head.extremities, id); });
  return (cites_tips || token.no_soft_failed_prev) && Stands(head, persist);
}

}  // namespace

/// What the event makes of its room.
struct PlainPersists::Effect {
  RoomHead head;
  std::int64_t after = 0;
  std::int64_t fixed = 0;
  /// Lineage `head.lineages` holds what the event adds to the state before it.
  bool branches = false;
};

std::optional<PlainPersists::Effect> PlainPersists::EffectOn(const RoomHead& head, const CheckedPersist& persist) {
  const ContextToken& token = persist.checked.token;
  if (!token.before || !token.fixed || !DecidesItself(head, persist)) return std::nullopt;
  const matrix::v1::Verdict& verdict = persist.request->verdict();
  const std::vector<matrix::v1::StateEntry>& change = persist.checked.after_change;
  const std::int64_t before = *token.before;
  Effect effect{.head = head};
  RoomHead& now = effect.head;
  now.moment.stored = now.accepted = head.moment.stored + 1;
  // An event that changes nothing is no more in anybody's way than one that commutes.
  const bool in_the_way = !verdict.commutes() && !(change.empty() && verdict.current_state_change().empty());
  if (in_the_way) now.fixed = now.moment.stored;
  now.extremities = TipsAfter(head.extremities, persist);
  now.group = head.group + verdict.current_state_change_size();
  const bool alone = now.extremities.size() == 1;
  if (alone) {
    effect.after = now.group;  // nothing stands beside it
  } else if (change.empty()) {
    effect.after = before;
  } else if (before == head.group && SameChange(change, verdict)) {
    effect.after = now.group;
  } else if (before < kFirstBranch) {
    effect.branches = true;
    ++now.moment.lineages;
    effect.after = now.moment.lineages * kFirstBranch + static_cast<std::int64_t>(change.size());
  } else {
    return std::nullopt;  // what it branches from may have to be copied
  }
  // See persist_events: beside other branches a change that does not commute has nothing in common with them.
  if (verdict.commutes() || alone) {
    effect.fixed = now.fixed;
  } else {
    effect.fixed = change.empty() ? *token.fixed : -now.moment.stored;
  }
  return effect;
}

bool PlainPersists::Add(const CheckedPersist& persist, const MemberChanges& members, RoomHead& head) {
  std::optional<Effect> effect = EffectOn(head, persist);
  if (!effect) return false;
  AddHead(persist, head, effect->head);
  AddEvent(persist, members, *effect);
  AddState(persist, head, *effect);
  head = std::move(effect->head);
  return true;
}

void PlainPersists::AddHead(const CheckedPersist& persist, const RoomHead& before, const RoomHead& after) {
  if (head_rooms_.empty() || head_rooms_.back() != persist.room_id()) {
    head_rooms_.push_back(persist.room_id());
    before_.push_back(before.moment);
    news_.emplace_back();
  }
  news_.back().head = after;
}

void PlainPersists::AddEvent(const CheckedPersist& persist, const MemberChanges& members, const Effect& effect) {
  events_.Add(persist, members);
  orderings_.emplace_back(effect.head.moment.stored);
  befores_.push_back(persist.checked.token.before);
  nows_.emplace_back(persist.checked.token.now);
  afters_.emplace_back(effect.after);
  fixed_.emplace_back(effect.fixed);
  extremities_.push_back(effect.head.extremities.size());
  news_.back().events.push_back({.event_id = persist.request->verdict().event_id(),
                                 .pdu = persist.request->pdu(),
                                 .group_after = effect.after,
                                 .fixed = effect.fixed});
}

void PlainPersists::AddState(const CheckedPersist& persist, const RoomHead& before, const Effect& effect) {
  const auto place = static_cast<std::int64_t>(events_.size());
  const matrix::v1::Verdict& verdict = persist.request->verdict();
  const auto change = [&](std::int64_t lineage, std::int64_t position, const matrix::v1::StateEntry& entry) {
    changed_.places.emplace_back(place);
    changed_lineages_.emplace_back(lineage);
    changed_.types.push_back(entry.type());
    changed_.keys.push_back(entry.state_key());
    changed_.positions.emplace_back(position);
    changed_ids_.push_back(entry.event_id());
  };
  std::int64_t position = before.group;
  for (const matrix::v1::StateEntry& entry : verdict.current_state_change()) {
    change(0, ++position, entry);
    news_.back().entries.push_back(
        {.type = entry.type(), .state_key = entry.state_key(), .event_id = entry.event_id(), .since = position});
  }
  if (effect.branches) {
    branch_places_.emplace_back(place);
    branch_lineages_.emplace_back(effect.head.moment.lineages);
    branch_positions_.push_back(persist.checked.token.before);
    position = 0;
    for (const matrix::v1::StateEntry& entry : persist.checked.after_change) {
      change(effect.head.moment.lineages, ++position, entry);
    }
  }
  if (effect.head.HasNotedState()) {
    set_places_.emplace_back(place);
    sets_.emplace_back(effect.head.extremities.begin(), effect.head.extremities.end());
    set_groups_.emplace_back(effect.head.group);
    set_fixed_.emplace_back(effect.head.fixed);
  }
  if (before.accepted == persist.checked.token.ordering) return;
  for (const matrix::v1::StateKey& key : verdict.read_set()) {
    relied_on_.places.emplace_back(place);
    relied_on_.types.push_back(key.type());
    relied_on_.keys.push_back(key.state_key());
    relied_on_.positions.emplace_back(persist.checked.token.now);
  }
}

void PlainPersists::AdvanceIn(RememberedRooms& rooms) {
  for (std::size_t i = 0; i < head_rooms_.size(); ++i) {
    rooms.Advance(head_rooms_[i], before_[i], std::move(news_[i]));
  }
}

void PlainPersists::AppendTo(Parameters& parameters) const {
  Numbers stored_before, lineages_before, stored, accepted, fixed, groups, lineages;
  Lists extremities;
  for (const RoomMoment& moment : before_) {
    stored_before.emplace_back(moment.stored);
    lineages_before.emplace_back(moment.lineages);
  }
  for (const RoomNews& news : news_) {
    const RoomHead& head = news.head;
    stored.emplace_back(head.moment.stored);
    accepted.emplace_back(head.accepted);
    fixed.emplace_back(head.fixed);
    groups.emplace_back(head.group);
    lineages.emplace_back(head.moment.lineages);
    extremities.emplace_back(head.extremities.begin(), head.extremities.end());
  }
  parameters.BytesArray(head_rooms_).IntegerArray(stored_before).IntegerArray(lineages_before);
  parameters.IntegerArray(stored).IntegerArray(accepted).IntegerArray(fixed).IntegerArray(groups).IntegerArray(
      lineages);
  parameters.BytesLists(extremities);
  events_.AppendTo(parameters);
  parameters.IntegerArray(orderings_)
      .IntegerArray(befores_)
      .IntegerArray(nows_)
      .IntegerArray(afters_)
      .IntegerArray(fixed_);
  parameters.IntegerArray(changed_.places).IntegerArray(changed_lineages_).BytesArray(changed_.types);
  parameters.BytesArray(changed_.keys).IntegerArray(changed_.positions).BytesArray(changed_ids_);
  parameters.IntegerArray(branch_places_).IntegerArray(branch_lineages_).IntegerArray(branch_positions_);
  parameters.IntegerArray(set_places_).BytesLists(sets_).IntegerArray(set_groups_).IntegerArray(set_fixed_);
  parameters.IntegerArray(relied_on_.places).BytesArray(relied_on_.types).BytesArray(relied_on_.keys);
  parameters.IntegerArray(relied_on_.positions);
  events_.AppendMembersTo(parameters);
}

}  // namespace postern::store
