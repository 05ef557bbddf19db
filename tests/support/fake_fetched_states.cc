// States that other servers told, in memory.
#include <algorithm>
#include <set>
#include <utility>

#include "matrix/refusal.h"
#include "tests/support/fake_store.h"

namespace postern::support {

using matrix::Reason;
using matrix::Refuse;
namespace v1 = store::v1;

bool FakeStore::InGraph(const Room& room, const std::string& event_id) {
  const auto event = room.events.find(event_id);
  return event != room.events.end() && !event->second.outlier;
}

std::optional<std::size_t> FakeStore::GivenBefore(const Room& room, const std::string& event_id,
                                                  const std::vector<std::string>& prev) {
  const auto given = room.given.find(event_id);
  const bool all_known =
      std::ranges::all_of(prev, [&](const std::string& id) { return InGraph(room, id) || room.refusals.contains(id); });
  if (given == room.given.end() || all_known) return std::nullopt;
  return given->second;
}

absl::StatusOr<v1::FindUnknownEventsResponse> FakeStore::FindUnknownEvents(
    const rpc::CallContext&, const v1::FindUnknownEventsRequest& request) {
  if (absl::Status status = store::CheckFindUnknownEvents(request); !status.ok()) return status;
  const std::lock_guard lock(mutex_);
  const Room* room = Find(request.room_id());
  if (room == nullptr) return Refuse(Reason::kUnknownRoom, "the room is not known here");
  v1::FindUnknownEventsResponse response;
  for (const std::string& id : std::set<std::string>(request.event_ids().begin(), request.event_ids().end())) {
    if (room->events.contains(id)) continue;
    *(room->refusals.contains(id) ? response.add_refused() : response.add_unknown()) = id;
  }
  return response;
}

absl::StatusOr<v1::KeepFetchedStateResponse> FakeStore::KeepFetchedState(const rpc::CallContext&,
                                                                         const v1::KeepFetchedStateRequest& request) {
  if (absl::Status status = store::CheckKeepFetchedState(request); !status.ok()) return status;
  const std::lock_guard lock(mutex_);
  Room* room = Find(request.room_id());
  if (room == nullptr) return Refuse(Reason::kUnknownRoom, "the room is not known here");
  std::map<std::string, StoredEvent> outliers;
  for (const auto& outlier : request.outliers()) {
    StoredEvent event;
    event.pdu = outlier.pdu();
    const auto columns = store::ReadEventColumns(event.pdu);
    if (!columns.ok()) return columns.status();
    event.columns = *columns;
    event.origin = request.told_by();
    event.stored_at_ms = absl::ToUnixMillis(absl::Now());
    event.outlier = true;
    outliers.emplace(outlier.event_id(), std::move(event));
  }

  v1::KeepFetchedStateResponse response;
  response.set_result(v1::KeepFetchedStateResponse::RESULT_INCOHERENT);
  State state;
  for (const std::string& id : request.state()) {
    const auto stored = room->events.find(id), outlier = outliers.find(id);
    if (stored == room->events.end() && outlier == outliers.end()) return response;
    const store::EventColumns& columns =
        stored == room->events.end() ? outlier->second.columns : stored->second.columns;
    if (!columns.state_key || !state.emplace(Key{columns.type, *columns.state_key}, id).second) return response;
  }
  const State& now = room->states[room->now.state];
  const auto create = state.find(Key{"m.room.create", ""});
  if (create == state.end() || create->second != now.at(Key{"m.room.create", ""})) return response;
  int differences = 0;
  for (const auto& [key, id] : state) {
    const auto current = now.find(key);
    differences += current == now.end() || current->second != id ? 1 : 0;
  }
  for (const auto& [key, id] : now) differences += state.contains(key) ? 0 : 1;
  response.set_result(v1::KeepFetchedStateResponse::RESULT_TOO_DIFFERENT);
  if (differences > store::kMostDifferences) return response;

  for (const auto& outlier : request.outliers()) {
    StoredEvent& event = outliers.at(outlier.event_id());
    event.ordering = ++room->ordering;
    room->events.emplace(outlier.event_id(), std::move(event));
  }
  room->states.push_back(std::move(state));
  if (!InGraph(*room, request.event_id())) room->given[request.event_id()] = room->states.size() - 1;
  response.set_result(v1::KeepFetchedStateResponse::RESULT_KEPT);
  return response;
}

}  // namespace postern::support
