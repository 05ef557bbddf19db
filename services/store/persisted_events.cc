#include "services/store/persisted_events.h"

#include "services/store/recorded_decision.h"

namespace postern::store {
namespace {

std::vector<std::optional<std::string>> ListOf(const auto& items) { return {items.begin(), items.end()}; }

}  // namespace

void PersistedEvents::Add(const CheckedPersist& persist, const MemberChanges& members) {
  const v1::PersistEventRequest& request = *persist.request;
  const matrix::v1::Verdict& verdict = request.verdict();
  const EventColumns& columns = persist.checked.columns;
  rooms_.push_back(persist.room_id());
  events_.push_back(verdict.event_id());
  pdus_.push_back(request.pdu());
  verdicts_.push_back(VerdictToKeep(request, persist.checked.token).SerializeAsString());
  origins_.push_back(request.origin());
  judged_at_.emplace_back(verdict.judged_at_ms());
  types_.push_back(columns.type);
  state_keys_.push_back(columns.state_key);
  senders_.push_back(columns.sender);
  depths_.emplace_back(columns.depth);
  timestamps_.emplace_back(columns.origin_server_ts);
  prevs_.push_back(ListOf(columns.prev_events));
  auths_.push_back(ListOf(columns.auth_events));
  if (request.told_by_origin()) {
    also_tell_.push_back({std::nullopt});  // nobody
  } else {
    also_tell_.push_back(ListOf(request.also_tell()));
  }
  member_places_.resize(member_places_.size() + members.size(), static_cast<std::int64_t>(rooms_.size()));
  member_rooms_.resize(member_places_.size(), persist.room_id());
  members_.Add(members);
}

void PersistedEvents::AppendTo(Parameters& parameters) const {
  parameters.BytesArray(rooms_)
      .BytesArray(events_)
      .BytesArray(pdus_)
      .BytesArray(verdicts_)
      .BytesArray(origins_)
      .IntegerArray(judged_at_)
      .BytesArray(types_)
      .BytesArray(state_keys_)
      .BytesArray(senders_)
      .IntegerArray(depths_)
      .IntegerArray(timestamps_)
      .BytesLists(prevs_)
      .BytesLists(auths_)
      .BytesLists(also_tell_);
}

void PersistedEvents::AppendMembersTo(Parameters& parameters) const {
  parameters.IntegerArray(member_places_).BytesArray(member_rooms_);
  members_.AppendTo(parameters);
}

}  // namespace postern::store
