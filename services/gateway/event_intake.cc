#include "services/gateway/event_intake.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "matrix/event_id.h"
#include "matrix/refusal.h"
#include "matrix/state_change.h"
#include "rpc/outcome.h"
#include "services/gateway/room_access.h"

namespace postern::gateway {
namespace {

using matrix::Json;
using matrix::JsonObject;
using matrix::Reason;
using matrix::Refuse;
using matrix::RoomRules;
using matrix::v1::Outcome;
using matrix::v1::Verdict;
using store::v1::EventContext;

// Each conflict means that another event of the room was stored: with this many requests in flight for one room all get
// through.
constexpr int kMaxAttempts = 32;
/// What is kept of a request's time for after the wait for its turn.
constexpr absl::Duration kTimeToStore = absl::Seconds(5);
constexpr std::size_t kSixSteps = 6;
/// For events that claim to be of this server.
constexpr absl::Duration kOwnKeysValidity = absl::Hours(24);

store::v1::GetEventContextRequest ContextRequestFor(const IncomingEvent& event) {
  store::v1::GetEventContextRequest request;
  request.set_room_id(event.room_id);
  request.set_event_id(event.event_id);
  request.set_sender(event.sender);
  // An event that cites more fails step 1 whatever the context says: they need not be looked up.
  const auto some = [](const std::vector<std::string>& ids, std::size_t most) { return std::min(ids.size(), most); };
  for (std::size_t i = 0; i < some(event.prev_events, matrix::kMaxPrevEvents); ++i) {
    request.add_prev_events(event.prev_events[i]);
  }
  for (std::size_t i = 0; i < some(event.auth_events, matrix::kMaxAuthEvents); ++i) {
    request.add_auth_events(event.auth_events[i]);
  }
  for (const matrix::StateKey& key : event.state_keys) {
    auto* wanted = request.add_state_keys();
    wanted->set_type(key.type);
    wanted->set_state_key(key.state_key);
  }
  if (event.own_key) {
    request.mutable_own_key()->set_type(event.own_key->type);
    request.mutable_own_key()->set_state_key(event.own_key->state_key);
  }
  return request;
}

bool MissesPrevEvents(const EventContext& context) {
  return std::ranges::any_of(context.judging().prev_events(),
                             [](const matrix::v1::Reference& prev) { return !prev.known(); });
}

/// Only state resolution can tell: few events need that, so the store gives its part of it on demand.
bool NeedsBranches(const absl::Status& judged) { return matrix::ReasonOf(judged) == Reason::kStateUnresolved; }

/// Rows 13-15, as the store says it was committed.
absl::StatusOr<Outcome> AnswerTo(Outcome outcome, matrix::v1::Reason reason, std::string_view detail) {
  if (outcome == matrix::v1::OUTCOME_ACCEPTED || outcome == matrix::v1::OUTCOME_SOFT_FAILED) return outcome;
  const Reason why = matrix::ReasonFromNumber(reason);
  if (why == Reason::kNone) return Refuse(Reason::kInternal, "refused without a reason");
  return Refuse(why, detail);
}

const matrix::StateKey kServerAcl{"m.room.server_acl", ""};

bool WasRedacted(const Verdict& verdict) {
  return std::ranges::any_of(verdict.steps(), [](const matrix::v1::StepResult& step) {
    return step.outcome() == matrix::v1::STEP_OUTCOME_REDACTED;
  });
}

bool HasOneOf(const matrix::ServerKeys& keys, const std::vector<std::string>& key_ids) {
  return std::ranges::any_of(
      keys.keys, [&](const matrix::VerifyKey& key) { return std::ranges::find(key_ids, key.key_id) != key_ids.end(); });
}

}  // namespace

IncomingEvent IncomingOf(const matrix::Event& event, const std::string& pdu, matrix::ServerName origin) {
  IncomingEvent incoming{.json = event.json(),
                         .pdu = pdu,
                         .room_id = event.room_id(),
                         .event_id = event.event_id(),
                         .sender = event.sender(),
                         .prev_events = event.prev_events(),
                         .auth_events = event.auth_events(),
                         // What the auth rules read, and what stands before them.
                         .state_keys = matrix::ReadSetOf(event),
                         .own_key = {},
                         .origin = std::move(origin),
                         .origin_keys = nullptr,
                         .client_address = {},
                         .received_at = {},
                         .keys_until = {},
                         .check = {}};
  incoming.state_keys.push_back({"m.room.policy", ""});
  incoming.state_keys.push_back(kServerAcl);
  if (event.is_state()) incoming.own_key = matrix::StateKey{event.type(), *event.state_key()};
  return incoming;
}

const JsonObject* SignaturesOf(const JsonObject& event, const std::string& server) {
  const Json* signatures = event.Find("signatures");
  const JsonObject* object = signatures == nullptr ? nullptr : signatures->AsObject();
  const Json* of_server = object == nullptr ? nullptr : object->Find(server);
  return of_server == nullptr ? nullptr : of_server->AsObject();
}

std::vector<std::string> KeyIdsOf(const JsonObject& event, const std::string& server) {
  std::vector<std::string> ids;
  const JsonObject* signatures = SignaturesOf(event, server);
  if (signatures == nullptr) return ids;
  for (const auto& [key_id, signature] : *signatures) {
    if (key_id.starts_with("ed25519:")) ids.push_back(key_id);
  }
  return ids;
}

bool SameSignatures(const JsonObject& copy, const JsonObject& stored, const std::string& server) {
  const JsonObject* given = SignaturesOf(copy, server);
  const JsonObject* kept = SignaturesOf(stored, server);
  if (given == nullptr || kept == nullptr) return false;
  bool any = false;
  for (const auto& [key_id, signature] : *given) {
    const Json* same = kept->Find(key_id);
    if (same == nullptr) continue;
    if (!(*same == signature)) return false;
    any = true;
  }
  return any;
}

absl::StatusOr<const store::v1::ExistingEvent*> StoredAlready(const JsonObject& event, const EventContext& context,
                                                              const RoomRules& rules) {
  const bool kept = context.has_existing() && (context.existing().outcome() == matrix::v1::OUTCOME_ACCEPTED ||
                                               context.existing().outcome() == matrix::v1::OUTCOME_SOFT_FAILED);
  if (!kept) return nullptr;
  const auto stored = matrix::ParseJson(context.existing().pdu());
  if (!stored.ok() || stored->AsObject() == nullptr) {
    return Refuse(Reason::kInternal, "a stored event cannot be read");
  }
  if (matrix::ReferenceHash(event, rules) != matrix::ReferenceHash(*stored->AsObject(), rules)) {
    return Refuse(Reason::kEventIdTaken, "another event has this id");
  }
  return &context.existing();
}

/// One event's way, attempt by attempt.
class EventIntake::Passage {
 public:
  Passage(EventIntake& intake, const rpc::CallContext& call, const IncomingEvent& event, std::string& verdict)
      : intake_(intake), services_(intake.services_), call_(call), event_(event), noted_(verdict) {
    *write_.mutable_context_request() = ContextRequestFor(event);
    write_.set_origin(event.origin.text());
    write_.set_told_by_origin(event.told_by_origin);
  }

  absl::StatusOr<Outcome> Go() {
    if (!RecallContext()) {
      if (absl::Status status = ReadContext(); !status.ok()) return status;
    }
    for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
      const auto outcome = Attempt();
      if (!outcome.ok()) return outcome.status();
      if (const std::optional<Outcome>& told = *outcome) return *told;
    }
    return Refuse(Reason::kRoomBusy, "the room kept changing");
  }

 private:
  /// nullopt: there is a fresh context, on which to try again.
  using Attempted = absl::StatusOr<std::optional<Outcome>>;

  Attempted Attempt() {
    const auto rules = RulesOfRoom(context_.judging());
    if (!rules.ok()) return rules.status();
    const auto stored_before = event_.check(context_, **rules);
    if (!stored_before.ok()) return recalled_ ? Again(ReadContext()) : stored_before.status();
    if (*stored_before) {
      noted_ = "replay";
      return *stored_before;
    }
    if (!asked_for_missing_ && MissesPrevEvents(context_)) {
      asked_for_missing_ = true;
      const auto read_anew = event_.fetch_missing(context_, **rules);
      if (!read_anew.ok()) return read_anew.status();
      if (*read_anew) return Again(ReadContext());
    }
    // Whatever takes another server's time is had by now, or is had here: nobody waits for that in a turn.
    if (absl::Status status = HaveKeys(**rules); !status.ok()) return status;
    if (LineUp()) return Again(ReadContext());
    auto verdict = Judge();
    if (NeedsBranches(verdict.status()) && !write_.context_request().with_branches()) return AskForBranches();
    if (!verdict.ok()) return verdict.status();
    if (recalled_ && verdict->outcome() != matrix::v1::OUTCOME_ACCEPTED) return Again(ReadContext());
    noted_ = rpc::OutcomeName(verdict->outcome());
    if (verdict->outcome() == matrix::v1::OUTCOME_INVALID) {  // nothing to keep
      return AnswerTo(verdict->outcome(), verdict->reason(), verdict->detail());
    }
    return Persist(std::move(*verdict), **rules);
  }

  static Attempted Again(const absl::Status& context_read) {
    if (!context_read.ok()) return context_read;
    return std::nullopt;
  }

  /// What was read for the template that the event is made of. It is of an earlier moment, so it may let the event be
  /// stored, which the store does if nothing that the verdict relied on has changed since; it refuses nothing.
  bool RecallContext() {
    if (services_.templates == nullptr) return false;
    auto context = services_.templates->Take(write_.context_request(), event_.received_at);
    if (!context) return false;
    context_ = *std::move(context);
    recalled_ = true;
    services_.metrics.Count("postern_gateway_contexts_total", {{"from", "template"}});
    return true;
  }

  absl::Status ReadContext() {
    recalled_ = false;
    services_.metrics.Count("postern_gateway_contexts_total", {{"from", "store"}});
    auto context = services_.store.GetEventContext(call_, write_.context_request());
    if (!context.ok()) return context.status();
    context_ = std::move(*context);
    return absl::OkStatus();
  }

  Attempted AskForBranches() {
    services_.metrics.Count("postern_gateway_branches_asked_total");
    if (!turn_.had()) TakeTurn();  // a second would wait for the first
    write_.mutable_context_request()->set_with_branches(true);
    return Again(ReadContext());
  }

  /// Before it is judged first: what seldom commutes waits for its turn, and so does everything in a room where such
  /// an event has one, for it would make that one's verdict void. Whether it has waited.
  bool LineUp() {
    if (std::exchange(lined_up_, true)) return false;
    const bool others = services_.turns.AreToLineUp(event_.room_id);
    if (others || event_.by_turns) TakeTurn();
    if (!others || !turn_.had()) return false;
    write_.mutable_context_request()->set_with_branches(true);  // what it waited for has left a branch beside it
    return true;
  }

  void TakeTurn() {
    turn_ = services_.turns.Take(event_.room_id, call_.deadline - kTimeToStore, /*others_line_up=*/event_.by_turns);
  }

  /// Takes what is to be judged out of the context, and leaves its token.
  absl::StatusOr<Verdict> Judge() {
    validator::v1::ValidateRequest judge = keys_;
    judge.set_pdu(event_.pdu);
    judge.set_now_ms(absl::ToUnixMillis(event_.received_at));
    judge.mutable_context()->Swap(context_.mutable_judging());
    if (event_.own_key != kServerAcl) LeaveOutServerAcl(*judge.mutable_context());
    auto verdict = services_.validator.Validate(call_, judge);
    if (!verdict.ok()) return verdict.status();
    services_.metrics.Count("postern_gateway_verdicts_total", {{"outcome", rpc::OutcomeName(verdict->outcome())}});
    if (static_cast<std::size_t>(verdict->steps_size()) > kSixSteps) {
      services_.metrics.Count("postern_gateway_policy_server_rooms_total");
    }
    return verdict;
  }

  /// The keys of all servers that must have signed the event, once.
  absl::Status HaveKeys(const RoomRules& rules) {
    if (std::exchange(has_keys_, true)) return absl::OkStatus();
    return intake_.AddKeys(event_, rules, keys_);
  }

  Attempted Persist(Verdict verdict, const RoomRules& rules) {
    auto copy = CopyToStore(verdict, rules);  // sign
    if (!copy.ok()) return copy.status();
    write_.set_pdu(std::move(*copy));
    write_.set_received_pdu(WasRedacted(verdict) ? event_.pdu : "");  // else it follows from the copy
    verdict.clear_judged_copy();                                      // which is what is stored, but for our signature
    *write_.mutable_verdict() = std::move(verdict);
    write_.set_token(context_.token());
    auto persisted = services_.store.PersistEvent(call_, write_);
    if (!persisted.ok()) return persisted.status();
    if (persisted->has_stored()) {  // as committed
      services_.committed(event_.room_id, persisted->stored().forward_extremities());
      noted_ = rpc::OutcomeName(persisted->stored().outcome());
      return AnswerTo(persisted->stored().outcome(), persisted->stored().reason(), write_.verdict().detail());
    }
    if (!persisted->has_fresh_context()) return Refuse(Reason::kStoreDown, "the store gave no answer that is known");
    services_.metrics.Count("postern_gateway_conflicts_total");
    context_ = std::move(*persisted->mutable_fresh_context());  // someone was faster
    recalled_ = false;
    if (!(write_.context_request().with_branches() || event_.by_turns) || turn_.had()) return std::nullopt;
    TakeTurn();
    return turn_.had() ? Again(ReadContext()) : Attempted(std::nullopt);
  }

  absl::StatusOr<std::string> CopyToStore(const Verdict& verdict, const RoomRules& rules) {
    if (verdict.outcome() == matrix::v1::OUTCOME_REJECTED || !event_.countersign) return verdict.judged_copy();
    auto signed_event = services_.signer.Countersign(verdict.judged_copy(), verdict, rules);
    if (!signed_event.ok()) return signed_event.status();
    return signed_event->pdu();
  }

  EventIntake& intake_;
  const IntakeServices& services_;
  const rpc::CallContext& call_;
  const IncomingEvent& event_;
  std::string& noted_;
  store::v1::PersistEventRequest write_;
  EventContext context_;
  bool recalled_ = false;
  bool asked_for_missing_ = false;
  bool has_keys_ = false;
  bool lined_up_ = false;
  validator::v1::ValidateRequest keys_;  // and nothing else
  RoomTurns::Turn turn_;                 // only where events are in each other's way
};

EventIntake::EventIntake(IntakeServices services)
    : services_(std::move(services)), key_waits_(services_.max_key_waits) {}

void EventIntake::AskForKeys(const JsonObject& event, const RoomRules& rules, const std::string& client_address) {
  for (const std::string& server : matrix::RequiredSigners(event, rules)) {
    auto name = matrix::ServerName::Parse(server);
    std::vector<std::string> key_ids = KeyIdsOf(event, server);
    if (!name.ok() || key_ids.empty() || server == services_.signer.server_name().text()) continue;
    services_.key_ring.Find({*std::move(name), std::move(key_ids), KeyUse::kEvent, client_address}, [](const auto&) {});
  }
}

absl::Status EventIntake::AddKeys(const IncomingEvent& event, const RoomRules& rules,
                                  validator::v1::ValidateRequest& judge) {
  for (const std::string& server : matrix::RequiredSigners(event.json, rules)) {
    if (server == services_.signer.server_name().text()) {
      AddVerifyKeys(services_.signer.PublicKeys(event.received_at + kOwnKeysValidity), judge);
      continue;
    }
    const auto keys = KeysOf(event, server);
    if (!keys.ok()) return keys.status();
    if (*keys != nullptr) AddVerifyKeys((*keys)->keys, judge);
  }
  return absl::OkStatus();
}

/// The keys of the server that gave the event are here already, for it has signed the request; but the event may be
/// signed by another of its keys than those known, and then it is asked once. nullptr: step 3 will say so.
absl::StatusOr<KnownKeysPtr> EventIntake::KeysOf(const IncomingEvent& event, const std::string& server) {
  const KnownKeysPtr here = server == event.origin.text() ? event.origin_keys : nullptr;
  std::vector<std::string> key_ids = KeyIdsOf(event.json, server);
  if (key_ids.empty() || (here != nullptr && HasOneOf(here->keys, key_ids))) return here;
  auto name = matrix::ServerName::Parse(server);
  if (!name.ok()) return nullptr;
  const auto place = key_waits_.Take();
  if (!place.had()) return Refuse(Reason::kOverloaded, "too many requests wait for keys");
  auto keys = services_.key_ring.Wait({std::move(*name), std::move(key_ids), KeyUse::kEvent, event.client_address},
                                      event.keys_until);
  if (keys.ok()) return keys;
  return Refuse(
      Reason::kSigningKeyUnavailable,
      fmt::format("the key that signed the event could not be had just now: {}", matrix::DetailOf(keys.status())));
}

absl::StatusOr<Outcome> EventIntake::Take(const rpc::CallContext& call, const IncomingEvent& event,
                                          std::string& verdict) {
  return Passage(*this, call, event, verdict).Go();
}

}  // namespace postern::gateway
