#include "services/gateway/state_before_gap.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "matrix/canonical_json.h"
#include "matrix/identifiers.h"
#include "matrix/refusal.h"

namespace postern::gateway {
namespace {

using matrix::Event;
using matrix::Json;
using matrix::Reason;
using matrix::Refuse;
using matrix::RoomRules;
using matrix::v1::JudgingContext;

constexpr std::string_view kCreate = "m.room.create";

absl::Status NotHad(std::string_view why) { return Refuse(Reason::kPeerUnavailable, why); }

template <typename Ids>
std::set<std::string> SetOf(const Ids& ids) {
  return {ids.begin(), ids.end()};
}

/// An event that may be cited: as it is stored, or as it was judged just now.
struct Known {
  std::string pdu;
  bool refused = false;
  std::string type;
  std::optional<std::string> state_key;
};

}  // namespace

/// One state's way in.
class StateBeforeGap::Passage {
 public:
  Passage(StateBeforeGap& states, const rpc::CallContext& call, const IncomingEvent& tip, const std::string& event_id,
          const RoomRules& rules, absl::Time until)
      : states_(states),
        services_(states.services_),
        limits_(states.limits_),
        call_(call),
        tip_(tip),
        event_id_(event_id),
        rules_(rules),
        until_(until) {}

  absl::Status Go() {
    if (absl::Status status = AskForIds(); !status.ok()) return status;
    if (absl::Status status = FetchUnknown(); !status.ok()) return status;
    if (absl::Status status = ReadCited(); !status.ok()) return status;
    const std::vector<const Event*> ordered = InOrder();
    if (ordered.size() != fetched_.size()) return NotHad("its events cite each other");
    for (const Event* event : ordered) {
      states_.intake_.AskForKeys(event->json(), rules_, tip_.client_address);
    }
    for (const Event* event : ordered) {
      if (absl::Time now = absl::Now(); now >= until_) return NotHad("the time is up");
      if (absl::Status status = Judge(*event); !status.ok()) return status;
    }
    return Keep();
  }

 private:
  /// Sets `state_`, and `unknown_`: those of it and of its auth chain that are not known here.
  absl::Status AskForIds() {
    const auto told = states_.peers_.StateIds(tip_.origin, tip_.room_id, event_id_, until_);
    if (!told.ok()) return told.status();
    if (told->state.size() + told->auth_chain.size() > limits_.most_ids) return NotHad("the state is too large");
    state_ = SetOf(told->state);
    if (state_.empty() || state_.size() != told->state.size()) return NotHad("the state names an event twice, or none");
    std::set<std::string> all = state_;
    all.insert(told->auth_chain.begin(), told->auth_chain.end());
    if (!std::ranges::all_of(all, matrix::IsEventId) || all.contains(event_id_)) {
      return NotHad("the state names what cannot be in it");
    }
    auto found = Find(all);
    if (!found.ok()) return found.status();
    unknown_ = SetOf(found->unknown());
    for (const std::string& id : found->refused()) state_.erase(id);
    if (unknown_.size() > limits_.most_unknown) return NotHad("too much of the state is not known here");
    return absl::OkStatus();
  }

  absl::StatusOr<store::v1::FindUnknownEventsResponse> Find(const std::set<std::string>& ids) {
    store::v1::FindUnknownEventsRequest request;
    request.set_room_id(tip_.room_id);
    request.mutable_event_ids()->Add(ids.begin(), ids.end());
    return states_.states_.FindUnknownEvents(call_, request);
  }

  absl::Status FetchUnknown() {
    if (unknown_.size() <= limits_.most_single) {
      for (const std::string& id : unknown_) {
        if (absl::Now() >= until_) return NotHad("the time is up");
        auto event = states_.peers_.Event(tip_.origin, id, until_);
        if (!event.ok()) return event.status();
        if (absl::Status status = Take(*std::move(event)); !status.ok()) return status;
      }
    } else {
      auto events = states_.peers_.State(tip_.origin, tip_.room_id, event_id_, until_);
      if (!events.ok()) return events.status();
      for (Json& event : *events) {
        if (absl::Status status = Take(std::move(event)); !status.ok()) return status;
      }
    }
    if (fetched_.size() != unknown_.size()) return NotHad("some of its events cannot be had");
    return absl::OkStatus();
  }

  /// Of a whole state most is known, and left as it is.
  absl::Status Take(Json json) {
    if (json.AsObject() == nullptr) return NotHad("one of its events is no object");
    json.AsObject()->Erase("unsigned");
    auto event = Event::FromJson(std::move(json), rules_);
    if (!event.ok()) return NotHad(fmt::format("one of its events: {}", matrix::DetailOf(event.status())));
    if (event->room_id() != tip_.room_id) return NotHad("one of its events is of another room");
    if (!unknown_.contains(event->event_id())) return absl::OkStatus();
    if (event->type() == kCreate) return NotHad("it names another create event");
    std::string id = event->event_id();
    const auto [place, is_new] = fetched_.try_emplace(std::move(id), *std::move(event));
    if (is_new) bytes_ += matrix::CanonicalJson(place->second.json()).size();
    return bytes_ > limits_.most_bytes ? NotHad("its events are too large") : absl::OkStatus();
  }

  /// Reads what is known here of the events that those fetched cite, and the room's create event.
  absl::Status ReadCited() {
    store::v1::GetEventContextRequest question;  // about no event
    question.set_room_id(tip_.room_id);
    question.set_event_id(event_id_);
    std::set<std::string> cited;
    for (const auto& [id, event] : fetched_) {
      for (const std::string& auth : event.auth_events()) {
        if (!fetched_.contains(auth)) cited.insert(auth);
      }
    }
    if (cited.size() > limits_.most_cited) return NotHad("its events cite too many others");
    question.mutable_auth_events()->Add(cited.begin(), cited.end());
    auto context = services_.store.GetEventContext(call_, question);
    if (!context.ok()) return context.status();
    room_version_ = context->judging().room_version();
    for (const auto& reference : context->judging().auth_events()) {
      if (!reference.known()) return NotHad("its auth chain is broken");
      known_[reference.event_id()].refused = reference.rejected();
    }
    for (const auto& entry : context->judging().state_now()) {
      if (entry.type() == kCreate) create_ = entry.event_id();
    }
    for (auto& stored : *context->mutable_judging()->mutable_events()) {
      auto event = Event::Parse(stored.pdu(), rules_);
      if (!event.ok()) return Refuse(Reason::kInternal, "a stored event cannot be read");
      Learn(*event, std::move(*stored.mutable_pdu()));
    }
    return absl::OkStatus();
  }

  void Learn(const Event& event, std::string pdu) {
    Known& known = known_[event.event_id()];
    known.pdu = std::move(pdu);
    known.type = event.type();
    if (event.is_state()) known.state_key = *event.state_key();
  }

  /// Those fetched, each after those that it cites; fewer, where there is a cycle. Iterative.
  std::vector<const Event*> InOrder() const {
    std::map<std::string, std::size_t> waits_for;
    std::map<std::string, std::vector<const Event*>> cited_by;
    std::vector<const Event*> ordered;
    for (const auto& [id, event] : fetched_) {
      const std::set<std::string> cited = SetOf(event.auth_events());
      for (const std::string& auth : cited) {
        if (!fetched_.contains(auth)) continue;
        ++waits_for[id];
        cited_by[auth].push_back(&event);
      }
      if (!waits_for.contains(id)) ordered.push_back(&event);
    }
    for (std::size_t next = 0; next < ordered.size(); ++next) {
      for (const Event* event : cited_by[ordered[next]->event_id()]) {
        if (--waits_for[event->event_id()] == 0) ordered.push_back(event);
      }
    }
    return ordered;
  }

  /// Steps 1 to 4. The state that the event is judged on is what it cites, so that steps 5 and 6 say what step 4 has
  /// said; its prev events, which are not asked about, count as known.
  absl::Status Judge(const Event& event) {
    const std::string pdu = matrix::CanonicalJson(event.json());
    IncomingEvent incoming = IncomingOf(event, pdu, tip_.origin);
    incoming.origin_keys = tip_.origin_keys;
    incoming.client_address = tip_.client_address;
    incoming.received_at = tip_.received_at;
    incoming.keys_until = until_;
    validator::v1::ValidateRequest judge;
    if (absl::Status status = states_.intake_.AddKeys(incoming, rules_, judge); !status.ok()) {
      return matrix::ReasonOf(status) == Reason::kSigningKeyUnavailable
                 ? NotHad(fmt::format("{}: {}", event.event_id(), matrix::DetailOf(status)))
                 : status;
    }
    judge.set_pdu(pdu);
    judge.set_now_ms(absl::ToUnixMillis(tip_.received_at));
    *judge.mutable_context() = ContextOf(event);
    auto verdict = services_.validator.Validate(call_, judge);
    if (!verdict.ok()) return verdict.status();
    Known& known = known_[event.event_id()];
    switch (verdict->outcome()) {
      case matrix::v1::OUTCOME_ACCEPTED:
        Learn(event, std::move(*verdict->mutable_judged_copy()));
        return absl::OkStatus();
      case matrix::v1::OUTCOME_REJECTED:
      case matrix::v1::OUTCOME_SOFT_FAILED:
        known.refused = true;
        return absl::OkStatus();
      default:
        return NotHad(fmt::format("{}: {}", event.event_id(), verdict->detail()));
    }
  }

  JudgingContext ContextOf(const Event& event) const {
    JudgingContext context;
    context.set_room_id(tip_.room_id);
    context.set_room_version(room_version_);
    context.set_extends_all_extremities(true);
    for (const std::string& id : event.prev_events()) {
      matrix::v1::Reference& prev = *context.add_prev_events();
      prev.set_event_id(id);
      prev.set_known(true);
    }
    std::set<std::string> named;
    const auto name = [&](const std::string& id) {
      const Known& cited = known_.at(id);
      if (cited.pdu.empty() || !named.insert(id).second) return;
      matrix::v1::StoredEvent& stored = *context.add_events();
      stored.set_event_id(id);
      stored.set_pdu(cited.pdu);
      if (!cited.state_key || cited.refused) return;
      matrix::v1::StateEntry& entry = *context.add_state_now();
      entry.set_type(cited.type);
      entry.set_state_key(*cited.state_key);
      entry.set_event_id(id);
    };
    if (known_.contains(create_)) name(create_);
    for (const std::string& id : event.auth_events()) {
      matrix::v1::Reference& auth = *context.add_auth_events();
      auth.set_event_id(id);
      auth.set_known(true);
      auth.set_rejected(known_.at(id).refused);
      name(id);
    }
    return context;
  }

  absl::Status Keep() {
    store::v1::KeepFetchedStateRequest keep;
    keep.set_room_id(tip_.room_id);
    keep.set_event_id(event_id_);
    keep.set_told_by(tip_.origin.text());
    for (const auto& [id, event] : fetched_) {
      const Known& judged = known_.at(id);
      if (judged.refused) {
        state_.erase(id);
        continue;
      }
      auto& outlier = *keep.add_outliers();
      outlier.set_event_id(id);
      outlier.set_pdu(judged.pdu);
    }
    keep.mutable_state()->Add(state_.begin(), state_.end());
    const auto kept = states_.states_.KeepFetchedState(call_, keep);
    if (!kept.ok()) return kept.status();
    switch (kept->result()) {
      case store::v1::KeepFetchedStateResponse::RESULT_KEPT:
        return absl::OkStatus();
      case store::v1::KeepFetchedStateResponse::RESULT_TOO_DIFFERENT:
        return NotHad("the state differs from the current one in too much");
      case store::v1::KeepFetchedStateResponse::RESULT_INCOHERENT:
        return NotHad("the state is none of this room");
      default:
        return Refuse(Reason::kStoreDown, "the store gave no answer that is known");
    }
  }

  StateBeforeGap& states_;
  const IntakeServices& services_;
  const StateBeforeGapLimits& limits_;
  const rpc::CallContext& call_;
  const IncomingEvent& tip_;
  const std::string& event_id_;
  const RoomRules& rules_;
  const absl::Time until_;
  std::set<std::string> state_;
  std::set<std::string> unknown_;
  std::map<std::string, Event> fetched_;
  std::size_t bytes_ = 0;
  std::map<std::string, Known> known_;
  std::string room_version_;
  std::string create_;
};

StateBeforeGap::StateBeforeGap(PeerStates& peers, FetchedStateClient& states, IntakeServices services,
                               StateBeforeGapLimits limits)
    : peers_(peers),
      states_(states),
      services_(services),
      limits_(limits),
      intake_(std::move(services)),
      places_(limits.at_once) {}

absl::Status StateBeforeGap::Fetch(const rpc::CallContext& call, const IncomingEvent& tip, const std::string& event_id,
                                   const RoomRules& rules, absl::Time until) {
  // Where events carry their ids, another server says which event is meant by one.
  if (rules.event_id_format == matrix::EventIdFormat::kCarried) return NotHad("not in this version of rooms");
  const absl::Time ends = std::min({absl::Now() + limits_.longest, until, call.deadline});
  if (absl::Now() >= ends) return NotHad("the time is up");
  const auto place = places_.Take();
  if (!place.had()) return Refuse(Reason::kOverloaded, "too many requests wait for states");
  return Passage(*this, call, tip, event_id, rules, ends).Go();
}

}  // namespace postern::gateway
