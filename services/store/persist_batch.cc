#include "services/store/persist_batch.h"

#include <algorithm>

namespace postern::store {
namespace {

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
  const matrix::v1::Verdict& verdict = persist.request->verdict();
  const ContextToken& token = persist.checked.token;
  events_.Add(persist, members);
  hashes_.push_back(verdict.judged_sha256());
  outcomes_.emplace_back(verdict.outcome());
  reasons_.emplace_back(verdict.reason());
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
}

void PersistBatch::AppendTo(Parameters& parameters) const {
  events_.AppendTo(parameters);
  parameters.BytesArray(hashes_).IntegerArray(outcomes_).IntegerArray(reasons_);
  after_.AppendTo(parameters);
  now_.AppendTo(parameters);
  parameters.WordArray(other_changes_).BytesLists(read_types_).BytesLists(read_keys_).WordArray(commutes_);
  before_.AppendTo(parameters);
  parameters.IntegerArray(orderings_)
      .IntegerArray(befores_)
      .WordArray(merged_)
      .IntegerArray(fixed_)
      .IntegerArray(nows_);
  events_.AppendMembersTo(parameters);
}

}  // namespace postern::store
