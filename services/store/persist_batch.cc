#include "services/store/persist_batch.h"

#include <algorithm>

#include "services/store/recorded_decision.h"

namespace postern::store {
namespace {

std::vector<std::optional<std::string>> ListOf(const auto& items) { return {items.begin(), items.end()}; }

std::string Word(bool value) { return value ? "t" : "f"; }

}  // namespace

bool PersistCompany::Admit(const CheckedPersist& persist) {
  Room& room = rooms_[persist.room_id()];
  if (room.closed) return false;
  const matrix::v1::Verdict& verdict = persist.request->verdict();
  const auto changed = [&](const auto& named) { return room.changed.contains(Key{named.type(), named.state_key()}); };
  room.closed = room.events.contains(verdict.event_id()) || std::ranges::any_of(verdict.read_set(), changed) ||
                std::ranges::any_of(verdict.current_state_change(), changed);
  if (room.closed) return false;
  room.events.insert(verdict.event_id());
  for (const matrix::v1::StateEntry& change : verdict.current_state_change()) {
    room.changed.emplace(change.type(), change.state_key());
  }
  return true;
}

template <typename Entries>
void PersistBatch::Changes::Add(const Entries& entries) {
  auto &last_types = types.emplace_back(), &last_keys = keys.emplace_back(), &last_ids = ids.emplace_back();
  for (const matrix::v1::StateEntry& entry : entries) {
    last_types.emplace_back(entry.type());
    last_keys.emplace_back(entry.state_key());
    last_ids.push_back(entry.event_id().empty() ? std::nullopt : std::optional(entry.event_id()));
  }
}

void PersistBatch::Changes::AppendTo(Parameters& parameters) const {
  parameters.BytesLists(types).BytesLists(keys).BytesLists(ids);
}

void PersistBatch::Add(const CheckedPersist& persist, const MemberChanges& members) {
  const v1::PersistEventRequest& request = *persist.request;
  const matrix::v1::Verdict& verdict = request.verdict();
  const EventColumns& columns = persist.checked.columns;
  const ContextToken& token = persist.checked.token;
  rooms_.push_back(persist.room_id());
  events_.push_back(verdict.event_id());
  pdus_.push_back(request.pdu());
  verdicts_.push_back(VerdictToKeep(request, token).SerializeAsString());
  hashes_.push_back(verdict.judged_sha256());
  outcomes_.emplace_back(verdict.outcome());
  reasons_.emplace_back(verdict.reason());
  origins_.push_back(request.origin());
  judged_at_.emplace_back(verdict.judged_at_ms());
  types_.push_back(columns.type);
  state_keys_.push_back(columns.state_key);
  senders_.push_back(columns.sender);
  depths_.emplace_back(columns.depth);
  timestamps_.emplace_back(columns.origin_server_ts);
  prevs_.push_back(ListOf(columns.prev_events));
  auths_.push_back(ListOf(columns.auth_events));
  after_.Add(persist.checked.after_change);
  now_.Add(verdict.current_state_change());
  other_changes_.emplace_back(Word(std::ranges::any_of(
      verdict.current_state_change(), [](const auto& change) { return change.type() != kMemberType; })));
  auto &types = read_types_.emplace_back(), &keys = read_keys_.emplace_back();
  for (const matrix::v1::StateKey& key : verdict.read_set()) {
    types.emplace_back(key.type());
    keys.emplace_back(key.state_key());
  }
  commutes_.emplace_back(Word(verdict.commutes()));
  before_.Add(verdict.state_before_change());
  orderings_.emplace_back(token.ordering);
  befores_.push_back(token.before);
  merged_.emplace_back(Word(token.merged));
  fixed_.push_back(token.fixed);
  nows_.emplace_back(token.now);
  if (request.told_by_origin()) {
    also_tell_.push_back({std::nullopt});  // nobody
  } else {
    also_tell_.push_back(ListOf(request.also_tell()));
  }
  member_places_.resize(member_places_.size() + members.size(), static_cast<std::int64_t>(rooms_.size()));
  member_rooms_.resize(member_places_.size(), persist.room_id());
  members_.Add(members);
}

void PersistBatch::AppendTo(Parameters& parameters) const {
  parameters.BytesArray(rooms_)
      .BytesArray(events_)
      .BytesArray(pdus_)
      .BytesArray(verdicts_)
      .BytesArray(hashes_)
      .IntegerArray(outcomes_)
      .IntegerArray(reasons_)
      .BytesArray(origins_)
      .IntegerArray(judged_at_)
      .BytesArray(types_)
      .BytesArray(state_keys_)
      .BytesArray(senders_)
      .IntegerArray(depths_)
      .IntegerArray(timestamps_)
      .BytesLists(prevs_)
      .BytesLists(auths_);
  after_.AppendTo(parameters);
  now_.AppendTo(parameters);
  parameters.WordArray(other_changes_).BytesLists(read_types_).BytesLists(read_keys_).WordArray(commutes_);
  before_.AppendTo(parameters);
  parameters.IntegerArray(orderings_)
      .IntegerArray(befores_)
      .WordArray(merged_)
      .IntegerArray(fixed_)
      .IntegerArray(nows_)
      .BytesLists(also_tell_)
      .IntegerArray(member_places_)
      .BytesArray(member_rooms_);
  members_.AppendTo(parameters);
}

}  // namespace postern::store
