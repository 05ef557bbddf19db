#include "services/store/recalled_context.h"

#include <algorithm>
#include <utility>

namespace postern::store {

RecalledContext::RecalledContext(const v1::GetEventContextRequest& request, Recollection recollection)
    : request_(request), recollection_(std::move(recollection)), recalled_at_(recollection_.head.moment) {
  for (RememberedEvent& event : recollection_.events) AddEvent(std::move(event));
}

void RecalledContext::AddEvent(RememberedEvent event) {
  if (held_.contains(event.event_id)) return;
  matrix::v1::StoredEvent& stored = *context_.judging.add_events();
  stored.set_event_id(std::move(event.event_id));
  stored.set_pdu(std::move(event.pdu));
  stored.set_soft_failed(event.soft_failed);
  held_.insert(stored.event_id());
  if (event.soft_failed) soft_failed_.insert(stored.event_id());
}

void RecalledContext::Add(const Rows& rows, std::size_t row) {
  switch (rows.Text(row, kKind).front()) {
    case 'u':
      same_version_ = rows.Bytes(row, kB) == recollection_.room_version;
      same_ = recalled_at_ == RoomMoment{.stored = rows.Integer(row, kN1), .lineages = rows.Integer(row, kN2)};
      stored_already_ = rows.Boolean(row, kF1);
      context_.membership = rows.Bytes(row, kA);
      break;
    case 'g':
      moved_to_.emplace();
      moved_to_->moment = {.stored = rows.Integer(row, kN1), .lineages = rows.Integer(row, kN2)};
      moved_to_->group = rows.Integer(row, kN3);
      moved_to_->extremities = DecodeArray(rows.Bytes(row, kA));
      break;
    case 'o':
      if (!moved_to_) break;
      moved_to_->accepted = rows.Integer(row, kN1);
      moved_to_->fixed = rows.Integer(row, kN2);
      break;
    case 'd':
      changes_.push_back(DecodeRememberedEntry(rows, row));
      break;
    case 'n':
      news_.entries.push_back(DecodeRememberedEntry(rows, row));
      break;
    case 'e': {
      if (rows.Boolean(row, kF1) || rows.Boolean(row, kF3)) break;  // no outlier, and none that was rejected
      RememberedEvent event = DecodeRememberedEvent(rows, row);
      AddEvent(event);
      news_.events.push_back(std::move(event));
      break;
    }
    default:
      break;
  }
}

/// To the moment at which the rows were told.
bool RecalledContext::MoveOn() {
  if (same_) return true;
  if (!moved_to_ || moved_to_->moment < recalled_at_ || changes_.size() > kMostChangesTold) return false;
  recollection_.extends_all_extremities =
      moved_to_->IsExtendedBy({request_.prev_events().begin(), request_.prev_events().end()});
  if (recollection_.extends_all_extremities) {
    recollection_.before = moved_to_->group;
    recollection_.fixed = moved_to_->fixed;
  }
  recollection_.head = *std::move(moved_to_);
  for (const RememberedEntry& change : changes_) {  // in their order
    for (RememberedEntry& entry : recollection_.entries) {
      if (entry.type == change.type && entry.state_key == change.state_key) entry = change;
    }
  }
  return true;
}

bool RecalledContext::SameBeforeAndNow(const std::vector<RememberedEntry>& entries) const {
  return std::ranges::all_of(entries,
                             [this](const RememberedEntry& entry) { return entry.since <= recollection_.before; });
}

void RecalledContext::AddEntriesNow(const std::vector<RememberedEntry>& entries) {
  for (const RememberedEntry& entry : entries) {
    if (entry.event_id.empty()) continue;
    matrix::v1::StateEntry& now = *context_.judging.add_state_now();
    now.set_event_id(entry.event_id);
    now.set_type(entry.type);
    now.set_state_key(entry.state_key);
  }
}

bool RecalledContext::HoldsAllThatIsCited() const {
  const auto held = [this](const std::string& id) { return held_.contains(id); };
  return std::ranges::all_of(request_.prev_events(), held) && std::ranges::all_of(request_.auth_events(), held) &&
         std::ranges::all_of(context_.judging.state_now(), [&](const auto& entry) { return held(entry.event_id()); });
}

bool RecalledContext::Complete() {
  if (!same_version_ || stored_already_) return false;
  if (!MoveOn() || !SameBeforeAndNow(recollection_.entries) || !SameBeforeAndNow(news_.entries)) return false;
  AddEntriesNow(recollection_.entries);
  AddEntriesNow(news_.entries);
  return HoldsAllThatIsCited();
}

ContextRows RecalledContext::Take() {
  matrix::v1::JudgingContext& judging = context_.judging;
  ContextToken& token = context_.token;
  const RoomHead& head = recollection_.head;
  judging.set_room_id(request_.room_id());
  judging.set_room_version(recollection_.room_version);
  *judging.mutable_state_before() = judging.state_now();
  judging.set_extends_all_extremities(recollection_.extends_all_extremities);
  judging.set_states_diverge(recollection_.fixed != head.fixed);
  for (const std::string& id : request_.prev_events()) {
    matrix::v1::Reference& prev = *judging.add_prev_events();
    prev.set_event_id(id);
    prev.set_known(true);
  }
  for (const std::string& id : request_.auth_events()) {
    matrix::v1::Reference& auth = *judging.add_auth_events();
    auth.set_event_id(id);
    auth.set_known(true);
  }
  token.room_id = request_.room_id();
  token.ordering = head.accepted;
  token.before = recollection_.before;
  token.fixed = recollection_.fixed;
  token.now = head.group;
  token.branching = {.extends_all_extremities = judging.extends_all_extremities(),
                     .states_diverge = judging.states_diverge()};
  token.no_soft_failed_prev =
      std::ranges::none_of(request_.prev_events(), [this](const std::string& id) { return soft_failed_.contains(id); });
  news_.head = head;
  news_.entries.insert(news_.entries.end(), changes_.begin(), changes_.end());
  context_.news = std::move(news_);
  return std::move(context_);
}

}  // namespace postern::store
