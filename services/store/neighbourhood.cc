#include "services/store/neighbourhood.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "matrix/refusal.h"
#include "services/store/event_columns.h"

namespace postern::store {
namespace {

using matrix::Reason;
using matrix::Refuse;

constexpr std::size_t kMostEvents = 200;
constexpr int kMostAskedFor = 20;
constexpr std::uint32_t kDefaultHops = 2;
constexpr std::uint32_t kMostHops = 8;

class Gathering {
 public:
  explicit Gathering(const GraphReads& reads) : reads_(reads) {}

  /// Takes up those of `ids` that are known and not here yet, as many as there is room for; returns their ids.
  absl::StatusOr<std::vector<std::string>> Add(const std::set<std::string>& ids) {
    std::vector<std::string> wanted;
    for (const std::string& id : ids) {
      if (!found_.contains(id)) wanted.push_back(id);
    }
    const std::size_t room = kMostEvents - found_.size();
    if (wanted.size() > room) {
      truncated_ = true;
      wanted.resize(room);
    }
    std::vector<std::string> added;
    if (wanted.empty()) return added;
    auto events = reads_.events(wanted);
    if (!events.ok()) return events.status();
    for (v1::NeighbourEvent& event : *events) {
      const std::string id = event.event_id();
      if (found_.emplace(id, std::move(event)).second) added.push_back(id);
    }
    return added;
  }

  /// One prev edge on from `ids`, both ways.
  absl::StatusOr<std::set<std::string>> NextTo(const std::vector<std::string>& ids) {
    std::set<std::string> next;
    for (const std::string& id : ids) {
      const v1::NeighbourEvent& event = found_.at(id);
      next.insert(event.prev_events().begin(), event.prev_events().end());
    }
    auto followers = reads_.followers(ids);
    if (!followers.ok()) return followers.status();
    truncated_ = truncated_ || followers->truncated;
    next.insert(followers->event_ids.begin(), followers->event_ids.end());
    return next;
  }

  /// Says of those of `ids` that are here and were not reached before that they are; returns these.
  std::vector<std::string> Reach(const std::set<std::string>& ids, std::uint32_t hops) {
    std::vector<std::string> reached;
    for (const std::string& id : ids) {
      const auto event = found_.find(id);
      if (event == found_.end() || event->second.has_hops()) continue;
      event->second.set_hops(hops);
      reached.push_back(id);
    }
    return reached;
  }

  std::set<std::string> AuthEventsOf(const std::vector<std::string>& ids) const {
    std::set<std::string> cited;
    for (const std::string& id : ids) {
      const auto& auth_events = found_.at(id).auth_events();
      cited.insert(auth_events.begin(), auth_events.end());
    }
    return cited;
  }

  v1::Neighbourhood Result() && {
    std::vector<v1::NeighbourEvent> sorted;
    for (auto& [id, event] : found_) sorted.push_back(std::move(event));
    std::ranges::stable_sort(sorted, {}, &v1::NeighbourEvent::depth);  // they are in the order of their ids
    v1::Neighbourhood neighbourhood;
    for (v1::NeighbourEvent& event : sorted) *neighbourhood.add_events() = std::move(event);
    neighbourhood.set_truncated(truncated_);
    return neighbourhood;
  }

 private:
  const GraphReads& reads_;
  std::map<std::string, v1::NeighbourEvent> found_;
  bool truncated_ = false;
};

}  // namespace

absl::StatusOr<v1::Neighbourhood> GatherNeighbourhood(const v1::GetNeighbourhoodRequest& request,
                                                      const GraphReads& reads) {
  if (request.event_ids().empty() || request.event_ids_size() > kMostAskedFor) {
    return Refuse(Reason::kInvalidArgument, fmt::format("1 to {} events", kMostAskedFor));
  }
  if (request.hops() > kMostHops) return Refuse(Reason::kInvalidArgument, fmt::format("at most {} hops", kMostHops));
  Gathering gathering(reads);
  const std::set<std::string> asked(request.event_ids().begin(), request.event_ids().end());
  auto frontier = gathering.Add(asked);
  if (!frontier.ok()) return frontier.status();
  if (frontier->empty()) return Refuse(Reason::kNotFound, "the event is not known here");
  gathering.Reach(asked, 0);
  if (auto cited = gathering.Add(gathering.AuthEventsOf(*frontier)); !cited.ok()) return cited.status();

  const std::uint32_t hops = request.has_hops() ? request.hops() : kDefaultHops;
  for (std::uint32_t hop = 1; hop <= hops && !frontier->empty(); ++hop) {
    const auto next = gathering.NextTo(*frontier);
    if (!next.ok()) return next.status();
    if (const auto added = gathering.Add(*next); !added.ok()) return added.status();
    *frontier = gathering.Reach(*next, hop);
  }
  return std::move(gathering).Result();
}

v1::NeighbourEvent DescribeNeighbour(const std::string& event_id, const std::string& pdu, matrix::v1::Outcome outcome,
                                     matrix::v1::Reason reason) {
  v1::NeighbourEvent event;
  event.set_event_id(event_id);
  event.set_outcome(outcome);
  event.set_reason(reason);
  const auto columns = ReadEventColumns(pdu);
  if (!columns.ok()) return event;
  event.set_type(columns->type);
  if (const auto& state_key = columns->state_key) event.set_state_key(*state_key);
  event.set_sender(columns->sender);
  if (const auto& member = columns->member) event.set_membership(member->membership);
  event.set_depth(columns->depth);
  event.set_origin_server_ts_ms(columns->origin_server_ts);
  for (const std::string& id : columns->prev_events) event.add_prev_events(id);
  for (const std::string& id : columns->auth_events) event.add_auth_events(id);
  return event;
}

}  // namespace postern::store
