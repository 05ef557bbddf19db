#include "services/gateway/missing_events.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/time/clock.h"
#include "matrix/canonical_json.h"
#include "matrix/identifiers.h"
#include "matrix/refusal.h"
#include "telemetry/log.h"

namespace postern::gateway {
namespace {

using matrix::Event;
using matrix::Json;
using matrix::Reason;
using matrix::Refuse;
using matrix::v1::Outcome;
using store::v1::EventContext;

/// Of what a peer is asked to stop at; it need not look at more.
constexpr std::size_t kMostEarliest = 20;

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

/// The events of an answer that read as events of the room, each once; never the one that they are to lie before.
std::vector<Event> ReadEvents(matrix::JsonArray answer, const IncomingEvent& before, const matrix::RoomRules& rules) {
  std::vector<Event> events;
  std::set<std::string> ids{before.event_id};
  for (Json& json : answer) {
    if (json.AsObject() == nullptr) continue;
    json.AsObject()->Erase("unsigned");
    auto event = Event::FromJson(std::move(json), rules);
    if (!event.ok() || event->room_id() != before.room_id || !ids.insert(event->event_id()).second) continue;
    events.push_back(*std::move(event));
  }
  return events;
}

/// Every event that is named by these, and they themselves.
std::set<std::string> NamedBy(const std::vector<Event>& events, const IncomingEvent& before) {
  std::set<std::string> named(before.prev_events.begin(), before.prev_events.end());
  for (const Event& event : events) {
    named.insert(event.event_id());
    named.insert(event.prev_events().begin(), event.prev_events().end());
  }
  return named;
}

/// The fetched events as a graph that hangs on what is known.
class FetchedGraph {
 public:
  FetchedGraph(const std::vector<Event>& fetched, const std::set<std::string>& known) : known_(known) {
    for (const Event& event : fetched) by_id_.emplace(event.event_id(), &event);
  }

  /// What of it lies before `tips`, each event after its own prev events. Empty: some of those is nowhere to be had, an
  /// event has none, or there is a cycle, which versions 1 and 2 let a server write. Iterative.
  std::vector<const Event*> Before(const std::vector<std::string>& tips) {
    std::vector<std::string> open;
    if (!Want(tips, open)) return {};
    while (!open.empty()) {
      const std::vector<std::string>& prev = by_id_.at(std::exchange(open.back(), {}))->prev_events();
      open.pop_back();
      if (prev.empty() || !Want(prev, open)) return {};
    }
    return InOrder();
  }

 private:
  /// False if one of them can be had nowhere.
  bool Want(const std::vector<std::string>& ids, std::vector<std::string>& open) {
    for (const std::string& id : ids) {
      if (known_.contains(id)) continue;
      if (!by_id_.contains(id)) return false;
      if (wanted_.insert(id).second) open.push_back(id);
    }
    return true;
  }

  std::vector<const Event*> InOrder() {
    std::vector<const Event*> ordered;
    for (bool placed = true; placed;) {  // at most 20 events: at most 20 rounds
      placed = false;
      for (auto id = wanted_.begin(); id != wanted_.end();) {
        const Event* event = by_id_.at(*id);
        const bool ready =
            std::ranges::none_of(event->prev_events(), [&](const std::string& prev) { return wanted_.contains(prev); });
        if (ready) {
          ordered.push_back(event);
          id = wanted_.erase(id);
          placed = true;
        } else {
          ++id;
        }
      }
    }
    if (!wanted_.empty()) return {};
    return ordered;
  }

  const std::set<std::string>& known_;
  std::map<std::string, const Event*> by_id_;
  std::set<std::string> wanted_;
};

}  // namespace

struct MissingEvents::Gap {
  const rpc::CallContext& call;
  const IncomingEvent& event;
  const matrix::RoomRules& rules;
  absl::Time until;
};

MissingEvents::MissingEvents(PeerEvents& peers, IntakeServices services, MissingEventsLimits limits)
    : peers_(peers), services_(services), limits_(limits), intake_(std::move(services)), places_(limits.at_once) {}

absl::StatusOr<bool> MissingEvents::Fetch(const rpc::CallContext& call, const IncomingEvent& event,
                                          const EventContext& context, const matrix::RoomRules& rules) {
  // More than an event may cite, or none: step 1 will say so.
  if (context.judging().prev_events().empty() || event.prev_events.size() > matrix::kMaxPrevEvents) return false;
  const auto place = places_.Take();
  if (!place.had()) return Refuse(Reason::kOverloaded, "too many requests wait for missing events");
  Gap gap{call, event, rules, std::min(absl::Now() + limits_.longest, call.deadline)};
  const auto fetched = Ask(gap, context);
  if (!fetched.ok()) {
    if (IsTrouble(fetched.status())) return fetched.status();
    Note(gap, "not_had", matrix::DetailOf(fetched.status()));
    return false;
  }
  const auto connected = Connected(gap, *fetched);
  if (!connected.ok()) return connected.status();
  if (connected->empty()) {
    Note(gap, "not_connected", fmt::format("{} events that do not connect to known ones", fetched->size()));
    return false;
  }
  if (absl::Status status = TakeAll(gap, *connected); !status.ok()) return status;
  return true;
}

absl::StatusOr<std::vector<Event>> MissingEvents::Ask(Gap& gap, const EventContext& context) {
  store::v1::GetTemplateContextRequest room;
  room.set_room_id(gap.event.room_id);
  room.set_user_id(gap.event.sender);
  const auto tips = services_.store.GetTemplateContext(gap.call, room);
  if (!tips.ok()) return tips.status();
  MissingEventsQuery query{.room_id = gap.event.room_id, .latest = {gap.event.event_id}, .earliest = {}};
  query.limit = static_cast<int>(limits_.most_events);
  for (const auto* known : {&context.judging().prev_events(), &tips->judging().prev_events()}) {
    for (const matrix::v1::Reference& event : *known) {
      const bool is_there = std::ranges::find(query.earliest, event.event_id()) != query.earliest.end();
      if (event.known() && !is_there && query.earliest.size() < kMostEarliest) {
        query.earliest.push_back(event.event_id());
      }
    }
  }
  auto answer = peers_.MissingEvents(gap.event.origin, query, gap.until);
  if (!answer.ok()) return answer.status();
  if (answer->size() > limits_.most_events) {
    return Refuse(Reason::kPeerUnavailable, fmt::format("answered {} events", answer->size()));
  }
  return ReadEvents(*std::move(answer), gap.event, gap.rules);
}

absl::StatusOr<std::vector<const Event*>> MissingEvents::Connected(Gap& gap, const std::vector<Event>& fetched) {
  const std::set<std::string> named = NamedBy(fetched, gap.event);
  if (named.size() > limits_.most_cited + limits_.most_events) return std::vector<const Event*>{};
  store::v1::GetEventContextRequest question;  // about no event: which of these are known
  question.set_room_id(gap.event.room_id);
  question.set_event_id(gap.event.event_id);
  question.mutable_prev_events()->Add(named.begin(), named.end());
  const auto context = services_.store.GetEventContext(gap.call, question);
  if (!context.ok()) return context.status();
  std::set<std::string> known;
  for (const auto& event : context->judging().prev_events()) {
    if (event.known()) known.insert(event.event_id());
  }
  return FetchedGraph(fetched, known).Before(gap.event.prev_events);
}

absl::Status MissingEvents::TakeAll(Gap& gap, const std::vector<const Event*>& events) {
  std::size_t taken = 0;
  std::string why_not;
  for (const Event* event : events) {
    const absl::Status status = Take(gap, *event);
    if (IsTrouble(status)) return status;
    taken += status.ok() ? 1 : 0;
    if (!status.ok()) why_not = fmt::format("; {}: {}", event->event_id(), matrix::DetailOf(status));
  }
  Note(gap, taken == events.size() ? "filled" : "filled_in_part",
       fmt::format("{} of {} events{}", taken, events.size(), why_not));
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
