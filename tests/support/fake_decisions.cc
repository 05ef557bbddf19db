// The fake store's decisions, and the graph around an event.
#include <algorithm>
#include <tuple>

#include "matrix/refusal.h"
#include "services/store/neighbourhood.h"
#include "services/store/recorded_decision.h"
#include "tests/support/fake_store.h"

namespace postern::support {

using matrix::Reason;
using matrix::Refuse;
namespace v1 = store::v1;

absl::StatusOr<v1::ListDecisionsResponse> FakeStore::ListDecisions(const rpc::CallContext&,
                                                                   const v1::ListDecisionsRequest& request) {
  const std::lock_guard lock(mutex_);
  std::vector<v1::Decision> stored, refused;
  const auto take = [&](const std::string& room_id, const Room& room, const std::string& id, const StoredEvent& event,
                        bool is_refusal) {
    if (!event.verdict || event.stored_at_ms < request.since_ms() || event.stored_at_ms >= store::UntilOf(request)) {
      return;
    }
    v1::Decision& decision = (is_refusal ? refused : stored).emplace_back();
    decision.set_room_id(room_id);
    decision.set_event_id(id);
    decision.set_room_version(room.version);
    decision.set_pdu(store::JudgedPdu(event.pdu, *event.verdict, server_name_));
    *decision.mutable_verdict() = *event.verdict;
    decision.set_stored_at_ms(event.stored_at_ms);
    decision.set_origin(event.origin);
    decision.set_minted_here(event.origin == server_name_);
    decision.set_refused(is_refusal);
  };
  for (const auto& [room_id, room] : rooms_) {
    if (!request.room_id().empty() && request.room_id() != room_id) continue;
    for (const auto& [id, event] : room.events) take(room_id, room, id, event, false);
    for (const auto& [id, event] : room.refusals) take(room_id, room, id, event, true);
  }
  std::ranges::sort(stored, {}, [](const v1::Decision& decision) {
    return std::tuple(decision.room_id(), decision.stored_at_ms(), decision.event_id());
  });
  std::ranges::stable_sort(refused, {}, &v1::Decision::stored_at_ms);
  stored.insert(stored.end(), refused.begin(), refused.end());

  // Everything here is under one lock, so that the number of a decision is a place as good as any.
  v1::ListDecisionsResponse page;
  std::size_t bytes = 0;
  for (std::size_t next = static_cast<std::size_t>(request.after().refusal());
       next < stored.size() && !store::PageIsFull(page, bytes); ++next) {
    bytes += stored[next].ByteSizeLong();
    *page.add_decisions() = std::move(stored[next]);
    page.mutable_next()->set_refusal(static_cast<std::int64_t>(next) + 1);
  }
  return page;
}

absl::StatusOr<v1::DecisionContext> FakeStore::GetDecisionContext(const rpc::CallContext&,
                                                                  const v1::GetDecisionContextRequest& request) {
  const std::lock_guard lock(mutex_);
  const auto keys = store::WantedKeys(request.state_keys());
  if (!keys.ok()) return keys.status();
  const Room* room = Find(request.room_id());
  if (room == nullptr) return Refuse(Reason::kNotFound, "there is no such decision");
  const auto& decisions = request.refused() ? room->refusals : room->events;
  const auto event = decisions.find(request.event_id());
  if (event == decisions.end() || !event->second.verdict) {
    return Refuse(Reason::kNotFound, "there is no such decision");
  }
  const matrix::v1::RecordedInputs& inputs = event->second.verdict->inputs();
  const std::string& pdu = inputs.pdu().empty() ? event->second.pdu : inputs.pdu();
  if (!event->second.verdict->has_inputs() || pdu.empty()) {
    return Refuse(Reason::kNotFound, "what the event was judged on was not kept");
  }
  const auto columns = store::ReadEventColumns(pdu);
  if (!columns.ok()) return columns.status();

  v1::DecisionContext context;
  matrix::v1::JudgingContext& judging = *context.mutable_judging();
  judging.set_room_id(request.room_id());
  judging.set_extends_all_extremities(inputs.extends_all_extremities());
  judging.set_states_diverge(inputs.states_diverge());
  std::set<std::string> cited;
  // A state that another server told counts as it did then.
  const auto told = room->given.find(request.event_id());
  const std::optional<std::size_t> given = told != room->given.end() && event->second.state_before == told->second
                                               ? std::optional(told->second)
                                               : std::nullopt;
  ReferToPrev(*room, columns->prev_events, given.has_value(), *judging.mutable_prev_events(), cited);
  ReferToAuth(*room, columns->auth_events, *judging.mutable_auth_events(), cited);
  if (inputs.forward_extremities_size() > 0) {
    FillBranchesOf(*room, inputs, *columns, *keys, cited, given, judging);
    return context;
  }
  std::optional<std::size_t> before;
  if (inputs.has_state_group_before()) before = static_cast<std::size_t>(inputs.state_group_before());
  FillStates(*room, *keys, cited, before, static_cast<std::size_t>(inputs.state_group_now()), judging);
  return context;
}

void FakeStore::FillBranchesOf(Room then, const matrix::v1::RecordedInputs& inputs, const store::EventColumns& columns,
                               const std::vector<matrix::v1::StateKey>& keys, std::set<std::string> cited,
                               std::optional<std::size_t> given, matrix::v1::JudgingContext& judging) const {
  then.extremities = {inputs.forward_extremities().begin(), inputs.forward_extremities().end()};
  then.now.state = static_cast<std::size_t>(inputs.state_group_now());
  v1::GetEventContextRequest request;
  // A told state takes no extremity's place.
  if (!given) request.mutable_prev_events()->Add(columns.prev_events.begin(), columns.prev_events.end());
  for (const std::string& id : columns.auth_events) request.add_auth_events(id);
  request.mutable_state_keys()->Add(keys.begin(), keys.end());
  if (columns.state_key) {
    request.mutable_own_key()->set_type(columns.type);
    request.mutable_own_key()->set_state_key(*columns.state_key);
  }
  auto before = StateBefore(then, columns.prev_events, /*extends=*/false);
  if (given) before = StatePlace{*given, kNothingInCommon};
  AddBranches(then, request, before, judging, cited);
  FillStates(then, keys, cited, before ? std::optional(before->state) : std::nullopt, then.now.state, judging);
}

absl::StatusOr<v1::Neighbourhood> FakeStore::GetNeighbourhood(const rpc::CallContext&,
                                                              const v1::GetNeighbourhoodRequest& request) {
  const std::lock_guard lock(mutex_);
  const Room* room = Find(request.room_id());
  const auto events = [&](const std::vector<std::string>& ids) -> absl::StatusOr<std::vector<v1::NeighbourEvent>> {
    std::vector<v1::NeighbourEvent> found;
    for (const std::string& id : ids) {
      for (const auto* kept : {&room->events, &room->refusals}) {
        const auto event = kept->find(id);
        if (event == kept->end()) continue;
        const bool whole = kept == &room->events;
        found.push_back(store::DescribeNeighbour(id, whole ? event->second.pdu : event->second.verdict->inputs().pdu(),
                                                 event->second.outcome, event->second.reason));
        found.back().set_extremity(std::ranges::find(room->extremities, id) != room->extremities.end());
        break;
      }
    }
    return found;
  };
  const auto followers = [&](const std::vector<std::string>& ids) -> absl::StatusOr<store::Followers> {
    store::Followers citing;
    for (const auto& [id, event] : room->events) {
      const auto& prev = event.columns.prev_events;
      if (std::ranges::find_first_of(prev, ids) != prev.end()) citing.event_ids.push_back(id);
    }
    return citing;
  };
  if (room == nullptr) return Refuse(Reason::kNotFound, "the event is not known here");
  return store::GatherNeighbourhood(request, {events, followers});
}

}  // namespace postern::support
