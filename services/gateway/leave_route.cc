#include "services/gateway/leave_route.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "matrix/auth_events.h"
#include "matrix/event_id.h"
#include "matrix/refusal.h"
#include "rpc/outcome.h"
#include "services/gateway/room_access.h"

namespace postern::gateway {
namespace {

using matrix::Json;
using matrix::JsonObject;
using matrix::Reason;
using matrix::Refuse;
using matrix::v1::Outcome;
using store::v1::EventContext;

// Each conflict means that another event of the room was stored: with this many requests in flight for one room all get
// through.
constexpr int kMaxAttempts = 32;
/// What is kept of a request's time for after the wait for its turn.
constexpr absl::Duration kTimeToStore = absl::Seconds(5);
constexpr std::size_t kSixSteps = 6;

store::v1::GetEventContextRequest ContextRequestFor(const Leave& leave) {
  store::v1::GetEventContextRequest request;
  request.set_room_id(leave.room_id());
  request.set_event_id(leave.claimed_event_id());
  request.set_sender(leave.sender().text());
  // An event that cites more fails step 1 whatever the context says: they need not be looked up.
  const auto some = [](const std::vector<std::string>& ids, std::size_t most) { return std::min(ids.size(), most); };
  for (std::size_t i = 0; i < some(leave.prev_events(), matrix::kMaxPrevEvents); ++i) {
    request.add_prev_events(leave.prev_events()[i]);
  }
  for (std::size_t i = 0; i < some(leave.auth_events(), matrix::kMaxAuthEvents); ++i) {
    request.add_auth_events(leave.auth_events()[i]);
  }
  for (const matrix::StateKey& key : matrix::KeysForLeave(leave.sender().text())) {
    auto* wanted = request.add_state_keys();
    wanted->set_type(key.type);
    wanted->set_state_key(key.state_key);
  }
  request.mutable_own_key()->set_type("m.room.member");
  request.mutable_own_key()->set_state_key(leave.sender().text());
  return request;
}

const JsonObject* SignaturesOf(const JsonObject& event, const std::string& server) {
  const Json* signatures = event.Find("signatures");
  const JsonObject* object = signatures == nullptr ? nullptr : signatures->AsObject();
  const Json* of_server = object == nullptr ? nullptr : object->Find(server);
  return of_server == nullptr ? nullptr : of_server->AsObject();
}

/// The copy carries a signature of `server` that the stored event carries too, and none that differs.
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

/// Rows 7 (what of it needs the version), 8 and 9.
absl::StatusOr<const matrix::RoomRules*> CheckRoom(const Leave& leave, const EventContext& context) {
  const auto rules = RulesOfRoom(context.judging());
  if (!rules.ok()) return rules.status();
  if (absl::Status status = CheckEventIdServer(leave, **rules); !status.ok()) return status;
  if (absl::Status status = CheckRoomAccess(context.judging(), leave.origin()); !status.ok()) return status;
  if (matrix::ComputeEventId(leave.json(), **rules) != leave.claimed_event_id()) {
    return Refuse(Reason::kEventIdMismatch, "the event's id is not the one in the path");
  }
  return *rules;
}

/// Row 10: what is stored of this very event, or nullopt if it has to be judged. Refuses: kEventIdTaken.
absl::StatusOr<std::optional<Outcome>> AlreadyStored(const Leave& leave, const EventContext& context,
                                                     const matrix::RoomRules& rules) {
  const bool kept = context.has_existing() && (context.existing().outcome() == matrix::v1::OUTCOME_ACCEPTED ||
                                               context.existing().outcome() == matrix::v1::OUTCOME_SOFT_FAILED);
  if (!kept) return std::nullopt;
  const auto stored = matrix::ParseJson(context.existing().pdu());
  if (!stored.ok() || stored->AsObject() == nullptr) {
    return Refuse(Reason::kInternal, "a stored event cannot be read");
  }
  if (matrix::ReferenceHash(leave.json(), rules) != matrix::ReferenceHash(*stored->AsObject(), rules)) {
    return Refuse(Reason::kEventIdTaken, "another event has this id");
  }
  if (!SameSignatures(leave.json(), *stored->AsObject(), leave.sender().server().text())) return std::nullopt;
  return context.existing().outcome();
}

/// Row 12.
absl::Status CheckMembership(const EventContext& context) {
  const std::string& now = context.sender_membership();
  if (now == "join" || now == "invite" || now == "knock") return absl::OkStatus();
  if (now == "leave") return Refuse(Reason::kAlreadyLeft, "the sender has left the room");
  return Refuse(Reason::kNotAMember,
                now == "ban" ? "the sender is banned from the room" : "the sender is not in the room");
}

/// Only state resolution can tell: few leaves need that, so the store gives its part of it on demand.
bool NeedsBranches(const absl::Status& judged) { return matrix::ReasonOf(judged) == Reason::kStateUnresolved; }

/// Rows 13-15, as the store says it was committed.
absl::StatusOr<Outcome> AnswerTo(Outcome outcome, matrix::v1::Reason reason, std::string_view detail) {
  if (outcome == matrix::v1::OUTCOME_ACCEPTED || outcome == matrix::v1::OUTCOME_SOFT_FAILED) return outcome;
  const Reason why = matrix::ReasonFromNumber(reason);
  if (why == Reason::kNone) return Refuse(Reason::kInternal, "refused without a reason");
  return Refuse(why, detail);
}

bool WasRedacted(const matrix::v1::Verdict& verdict) {
  return std::ranges::any_of(verdict.steps(), [](const matrix::v1::StepResult& step) {
    return step.outcome() == matrix::v1::STEP_OUTCOME_REDACTED;
  });
}

/// Takes one of a bounded number of places, or none.
class Place {
 public:
  Place(std::atomic<std::size_t>& taken, std::size_t places) : taken_(taken), had_(taken.fetch_add(1) < places) {}
  ~Place() { taken_.fetch_sub(1); }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  bool had() const { return had_; }

 private:
  std::atomic<std::size_t>& taken_;
  const bool had_;
};

}  // namespace

LeaveRoute::LeaveRoute(LeaveApi api, LeaveServices services) : api_(api), services_(std::move(services)) {}

absl::StatusOr<http::Response> LeaveRoute::Handle(AuthenticRequest request) {
  const auto outcome = Submit(request);
  if (!outcome.ok()) return outcome.status();
  return http::Response{.status = 200, .headers = {}, .body = api_ == LeaveApi::kV1 ? "[200,{}]" : "{}"};
}

absl::StatusOr<Outcome> LeaveRoute::Submit(AuthenticRequest& request) {
  Exchange& exchange = request.exchange();
  const auto& path = exchange.path_arguments();
  const auto leave = CheckLeaveStructure(request, path[0], path[1]);  // rows 6, 7
  if (!leave.ok()) return leave.status();

  store::v1::PersistEventRequest write;
  *write.mutable_context_request() = ContextRequestFor(*leave);
  write.set_origin(leave->origin().text());
  auto context = services_.store.GetEventContext(exchange.call(), write.context_request());
  if (!context.ok()) return context.status();
  RoomTurns::Turn turn;  // only where leaves are in each other's way

  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    const auto rules = CheckRoom(*leave, *context);  // rows 8, 9
    if (!rules.ok()) return rules.status();
    services_.key_ring.Keep(leave->origin());
    const auto stored_before = AlreadyStored(*leave, *context, **rules);  // row 10
    if (!stored_before.ok()) return stored_before.status();
    if (*stored_before) {
      exchange.notes().verdict = "replay";
      return **stored_before;
    }
    if (services_.signer.CountersignedBytes(leave->json(), leave->submitted_bytes()) >
        matrix::kMaxEventBytes) {  // row 11
      return Refuse(Reason::kEventTooLarge, "with this server's signature the event is over 65,536 bytes");
    }
    if (absl::Status status = CheckMembership(*context); !status.ok()) return status;  // row 12

    auto verdict = Judge(request, *leave, *context);  // rows 13-15
    if (NeedsBranches(verdict.status()) && !write.context_request().with_branches()) {
      services_.metrics.Count("postern_gateway_branches_asked_total");
      turn = services_.turns.Take(leave->room_id(), exchange.call().deadline - kTimeToStore);
      write.mutable_context_request()->set_with_branches(true);
      context = services_.store.GetEventContext(exchange.call(), write.context_request());
      if (!context.ok()) return context.status();
      continue;
    }
    if (!verdict.ok()) return verdict.status();
    exchange.notes().verdict = rpc::OutcomeName(verdict->outcome());
    if (verdict->outcome() == matrix::v1::OUTCOME_INVALID) {  // nothing to keep
      return AnswerTo(verdict->outcome(), verdict->reason(), verdict->detail());
    }
    auto copy = CopyToStore(*verdict, **rules);  // sign
    if (!copy.ok()) return copy.status();
    write.set_pdu(std::move(*copy));
    write.set_received_pdu(WasRedacted(*verdict) ? leave->pdu() : "");  // else it follows from the copy
    *write.mutable_verdict() = std::move(*verdict);
    write.set_token(context->token());
    auto persisted = services_.store.PersistEvent(exchange.call(), write);  // persist
    if (!persisted.ok()) return persisted.status();
    if (persisted->has_stored()) {  // as committed
      services_.committed(leave->room_id(), persisted->stored().forward_extremities());
      exchange.notes().verdict = rpc::OutcomeName(persisted->stored().outcome());
      return AnswerTo(persisted->stored().outcome(), persisted->stored().reason(), write.verdict().detail());
    }
    if (!persisted->has_fresh_context()) return Refuse(Reason::kStoreDown, "the store gave no answer that is known");
    services_.metrics.Count("postern_gateway_conflicts_total");
    *context = std::move(*persisted->mutable_fresh_context());  // someone was faster
    if (!write.context_request().with_branches() || turn.had()) continue;
    turn = services_.turns.Take(leave->room_id(), exchange.call().deadline - kTimeToStore);
    if (turn.had()) context = services_.store.GetEventContext(exchange.call(), write.context_request());
    if (!context.ok()) return context.status();
  }
  return Refuse(Reason::kRoomBusy, "the room kept changing");
}

absl::StatusOr<matrix::v1::Verdict> LeaveRoute::Judge(const AuthenticRequest& request, const Leave& leave,
                                                      EventContext& context) {
  const auto keys = KeysFor(request, leave);
  if (!keys.ok()) return keys.status();
  validator::v1::ValidateRequest judge;
  judge.set_pdu(leave.pdu());
  judge.set_now_ms(absl::ToUnixMillis(request.exchange().received_at()));
  judge.mutable_context()->Swap(context.mutable_judging());
  AddVerifyKeys((*keys)->keys, judge);
  auto verdict = services_.validator.Validate(request.exchange().call(), judge);
  if (!verdict.ok()) return verdict.status();
  services_.metrics.Count("postern_gateway_verdicts_total", {{"outcome", rpc::OutcomeName(verdict->outcome())}});
  if (static_cast<std::size_t>(verdict->steps_size()) > kSixSteps) {
    services_.metrics.Count("postern_gateway_policy_server_rooms_total");
  }
  return verdict;
}

/// The origin is the only server that must have signed a leave. Its keys are here already, for it has signed the
/// request; but the event may be signed by another of its keys than those known, and then it is asked once.
absl::StatusOr<KnownKeysPtr> LeaveRoute::KeysFor(const AuthenticRequest& request, const Leave& leave) {
  KeyQuery query{leave.origin(), {}, KeyUse::kEvent, request.exchange().request().remote_address};
  if (const JsonObject* signatures = SignaturesOf(leave.json(), leave.origin().text()); signatures != nullptr) {
    for (const auto& [key_id, signature] : *signatures) {
      if (key_id.starts_with("ed25519:")) query.key_ids.push_back(key_id);
    }
  }
  if (query.key_ids.empty()) return request.origin_keys();  // step 3 will say so
  for (const matrix::VerifyKey& key : request.origin_keys()->keys.keys) {
    if (std::find(query.key_ids.begin(), query.key_ids.end(), key.key_id) != query.key_ids.end()) {
      return request.origin_keys();
    }
  }
  const Place place(key_waits_, services_.max_key_waits);
  if (!place.had()) return Refuse(Reason::kOverloaded, "too many requests wait for keys");
  auto keys = services_.key_ring.Wait(query, request.exchange().call().deadline);
  if (keys.ok()) return keys;
  return Refuse(
      Reason::kSigningKeyUnavailable,
      fmt::format("the key that signed the event could not be had just now: {}", matrix::DetailOf(keys.status())));
}

absl::StatusOr<std::string> LeaveRoute::CopyToStore(const matrix::v1::Verdict& verdict,
                                                    const matrix::RoomRules& rules) {
  if (verdict.outcome() == matrix::v1::OUTCOME_REJECTED) return verdict.judged_copy();
  auto signed_event = services_.signer.Countersign(verdict.judged_copy(), verdict, rules);
  if (!signed_event.ok()) return signed_event.status();
  return signed_event->pdu();
}

}  // namespace postern::gateway
