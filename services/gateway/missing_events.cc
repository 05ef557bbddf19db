#include "services/gateway/missing_events.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "matrix/canonical_json.h"
#include "matrix/identifiers.h"
#include "matrix/refusal.h"
#include "services/gateway/fetched_graph.h"
#include "telemetry/log.h"

namespace postern::gateway {
namespace {

using matrix::Event;
using matrix::JsonArray;
using matrix::Reason;
using matrix::Refuse;
using matrix::v1::Outcome;
using store::v1::EventContext;

/// Of what a peer is asked to stop at, and of what it is asked to go on from; it need not look at more.
constexpr std::size_t kMostEarliest = 20;
constexpr std::size_t kMostLatest = 20;
/// Of events whose states are asked for, to bridge one gap.
constexpr std::size_t kMostEdges = 3;

/// Trouble of this server: the events may be as good as any.
bool IsTrouble(const absl::Status& status) {
  switch (matrix::ReasonOf(status)) {
    case Reason::kStoreDown:
    case Reason::kValidatorDown:
    case Reason::kOverloaded:
    case Reason::kDeadlineExceeded:
    case Reason::kCancelled:
    case Reason::kInternal:
      return true;
    default:
      return false;
  }
}

}  // namespace

struct MissingEvents::Gap {
  const rpc::CallContext& call;
  const IncomingEvent& event;
  const matrix::RoomRules& rules;
  absl::Time until;
  /// For the states, where the gap stays.
  absl::Time states_until;
  FetchedGraph graph;
  int rounds = 0;
};

MissingEvents::MissingEvents(PeerEvents& peers, IntakeServices services, MissingEventsLimits limits,
                             StateBeforeGap* states)
    : peers_(peers),
      services_(services),
      limits_(limits),
      states_(states),
      intake_(std::move(services)),
      places_(limits.at_once) {}

absl::StatusOr<bool> MissingEvents::Fetch(const rpc::CallContext& call, const IncomingEvent& event,
                                          const EventContext& context, const matrix::RoomRules& rules,
                                          absl::Time until) {
  // More than an event may cite, or none: step 1 will say so.
  if (context.judging().prev_events().empty() || event.prev_events.size() > matrix::kMaxPrevEvents) return false;
  const auto place = places_.Take();
  if (!place.had()) return Refuse(Reason::kOverloaded, "too many requests wait for missing events");
  const absl::Time latest = std::min(until, call.deadline);
  Gap gap{call, event, rules, std::min(absl::Now() + limits_.longest, latest), latest, {event, rules}};
  const absl::Status gathered = Gather(gap, context);
  if (IsTrouble(gathered)) return gathered;
  const FetchedGraph::Reach reach = gap.graph.Look();
  const std::vector<const Event*> events = gap.graph.InOrder();
  const bool hangs_on_nothing = reach.dead_end || events.size() != reach.events;
  bool bridged = false;
  std::string why_not(matrix::DetailOf(gathered));
  if (!reach.edges.empty() && !hangs_on_nothing && states_ != nullptr) {
    const absl::Status states = FetchStates(gap, reach.edges);
    if (IsTrouble(states)) return states;
    bridged = states.ok();
    why_not += fmt::format("; the state: {}", matrix::DetailOf(states));
  }
  if (hangs_on_nothing || (!reach.edges.empty() && !bridged)) {
    Note(gap, gap.rounds == 0 ? "not_had" : "not_connected",
         fmt::format("{} events in {} rounds, of which {} lead back from it; {}", gap.graph.size(), gap.rounds,
                     reach.events, why_not));
    return false;
  }
  if (absl::Status status = TakeAll(gap, events, bridged); !status.ok()) return status;
  return true;
}

absl::Status MissingEvents::FetchStates(const Gap& gap, const std::vector<std::string>& edges) {
  if (edges.size() > kMostEdges) return Refuse(Reason::kPeerUnavailable, "the gap has too many sides");
  for (const std::string& edge : edges) {
    const absl::Status status = states_->Fetch(gap.call, gap.event, edge, gap.rules, gap.states_until);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status MissingEvents::Gather(Gap& gap, const EventContext& context) {
  const auto earliest = EarliestOf(gap, context);
  if (!earliest.ok()) return earliest.status();
  std::vector<std::string> latest{gap.event.event_id};
  std::size_t reached = 0;
  while (gap.rounds < limits_.rounds) {
    auto answer = Ask(gap, latest, *earliest);
    if (!answer.ok()) return answer.status();
    ++gap.rounds;
    gap.graph.Add(*std::move(answer));
    if (gap.graph.cited() > limits_.most_cited) return Refuse(Reason::kPeerUnavailable, "they cite too many events");
    if (gap.graph.bytes() > limits_.most_bytes) return Refuse(Reason::kPeerUnavailable, "they are too large");
    if (absl::Status status = LookUp(gap); !status.ok()) return status;
    FetchedGraph::Reach reach = gap.graph.Look();
    if (reach.edges.empty() || reach.dead_end || reach.events == reached) return absl::OkStatus();
    reached = reach.events;
    latest = std::move(reach.edges);
    latest.resize(std::min(latest.size(), kMostLatest));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> MissingEvents::EarliestOf(const Gap& gap, const EventContext& context) {
  store::v1::GetTemplateContextRequest room;
  room.set_room_id(gap.event.room_id);
  room.set_user_id(gap.event.sender);
  const auto tips = services_.store.GetTemplateContext(gap.call, room);
  if (!tips.ok()) return tips.status();
  std::vector<std::string> earliest;
  for (const auto* known : {&context.judging().prev_events(), &tips->judging().prev_events()}) {
    for (const matrix::v1::Reference& event : *known) {
      const bool is_there = std::ranges::find(earliest, event.event_id()) != earliest.end();
      if (event.known() && !is_there && earliest.size() < kMostEarliest) earliest.push_back(event.event_id());
    }
  }
  return earliest;
}

absl::StatusOr<JsonArray> MissingEvents::Ask(const Gap& gap, const std::vector<std::string>& latest,
                                             const std::vector<std::string>& earliest) {
  MissingEventsQuery query{.room_id = gap.event.room_id, .latest = latest, .earliest = earliest};
  query.limit = static_cast<int>(limits_.most_events);
  if (absl::Now() >= gap.until) return Refuse(Reason::kPeerUnavailable, "the time is up");
  auto answer = peers_.MissingEvents(gap.event.origin, query, gap.until);
  if (!answer.ok()) return answer.status();
  if (answer->size() > limits_.most_events) {
    return Refuse(Reason::kPeerUnavailable, fmt::format("answered {} events", answer->size()));
  }
  return answer;
}

absl::Status MissingEvents::LookUp(Gap& gap) {
  const std::vector<std::string> named = gap.graph.TakeNamed();
  if (named.empty()) return absl::OkStatus();
  store::v1::GetEventContextRequest question;  // about no event: which of these are known
  question.set_room_id(gap.event.room_id);
  question.set_event_id(gap.event.event_id);
  question.mutable_prev_events()->Add(named.begin(), named.end());
  const auto context = services_.store.GetEventContext(gap.call, question);
  if (!context.ok()) return context.status();
  for (const auto& event : context->judging().prev_events()) {
    if (event.known()) gap.graph.SetKnown(event.event_id());
  }
  return absl::OkStatus();
}

absl::Status MissingEvents::TakeAll(Gap& gap, const std::vector<const Event*>& events, bool bridged) {
  std::size_t taken = 0;
  std::string why_not;
  for (const Event* event : events) {
    const absl::Status status = Take(gap, *event);
    if (IsTrouble(status)) return status;
    taken += status.ok() ? 1 : 0;
    if (!status.ok()) why_not = fmt::format("; {}: {}", event->event_id(), matrix::DetailOf(status));
  }
  const std::string_view whole = bridged ? "bridged" : "filled",
                         in_part = bridged ? "bridged_in_part" : "filled_in_part";
  Note(gap, taken == events.size() ? whole : in_part, fmt::format("{} of {} events{}", taken, events.size(), why_not));
  return absl::OkStatus();
}

absl::Status MissingEvents::Take(Gap& gap, const Event& event) {
  const std::string pdu = matrix::CanonicalJson(event.json());
  IncomingEvent incoming = IncomingOf(event, pdu, gap.event.origin);
  incoming.origin_keys = gap.event.origin_keys;
  incoming.client_address = gap.event.client_address;
  incoming.received_at = gap.event.received_at;
  incoming.keys_until = gap.until;
  incoming.told_by_origin = gap.event.told_by_origin;
  incoming.check = [&event](const EventContext& context,
                            const matrix::RoomRules& rules) -> absl::StatusOr<std::optional<Outcome>> {
    const auto existing = StoredAlready(event.json(), context, rules);
    if (!existing.ok()) return existing.status();
    if (*existing == nullptr) return std::nullopt;
    return (*existing)->outcome();
  };
  std::string verdict;
  const auto outcome = intake_.Take(gap.call, incoming, verdict);
  if (!outcome.ok()) return outcome.status();
  if (const auto server = matrix::UserId::Parse(event.sender()); server.ok()) {
    services_.key_ring.Keep(server->server());
  }
  return absl::OkStatus();
}

void MissingEvents::Note(const Gap& gap, std::string_view result, std::string_view detail) {
  services_.metrics.Count("postern_gateway_gap_fetches_total", {{"result", result}});
  telemetry::Log(telemetry::Level::kInfo, "missing events",
                 {{"trace_id", gap.call.trace.trace_id},
                  {"origin", gap.event.origin.text()},
                  {"room_id", gap.event.room_id},
                  {"event_id", gap.event.event_id},
                  {"result", result},
                  {"detail", detail}});
}

}  // namespace postern::gateway
