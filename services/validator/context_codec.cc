#include "services/validator/context_codec.h"

#include <utility>

#include "fmt/format.h"
#include "matrix/refusal.h"
#include "rpc/outcome.h"

namespace postern::validator {
namespace {

using matrix::Reason;
using matrix::Refuse;
namespace wire = postern::matrix::v1;

static_assert(static_cast<int>(matrix::StepOutcome::kOk) == wire::STEP_OUTCOME_OK);
static_assert(static_cast<int>(matrix::StepOutcome::kFailed) == wire::STEP_OUTCOME_FAILED);
static_assert(static_cast<int>(matrix::StepOutcome::kRedacted) == wire::STEP_OUTCOME_REDACTED);
static_assert(static_cast<int>(matrix::StepOutcome::kSkipped) == wire::STEP_OUTCOME_SKIPPED);

void EncodeEntries(const std::vector<matrix::StateEntry>& entries,
                   google::protobuf::RepeatedPtrField<wire::StateEntry>* messages) {
  for (const matrix::StateEntry& entry : entries) {
    wire::StateEntry* message = messages->Add();
    message->set_type(entry.key.type);
    message->set_state_key(entry.key.state_key);
    message->set_event_id(entry.event_id);
  }
}

void EncodeStep(const matrix::StepResult& step, wire::StepResult* message) {
  message->set_step(static_cast<std::uint32_t>(step.step));
  message->set_outcome(static_cast<wire::StepOutcome>(step.outcome));
  message->set_rule(step.rule);
  message->set_text(step.text);
  for (const std::string& event_id : step.looked_at) message->add_looked_at(event_id);
}

void EncodeKey(const matrix::UsedKey& key, wire::KeyUsed* message) {
  message->set_server_name(key.server_name);
  message->set_key_id(key.key_id);
  message->set_public_key(key.public_key);
  message->set_valid_until_ms(absl::ToUnixMillis(key.valid_until));
  message->set_old(key.old);
}

/// `held` is the event that the entry names, or nullptr.
absl::Status CheckEntry(const wire::StateEntry& entry, const matrix::Event* held) {
  if (held == nullptr) {
    return Refuse(Reason::kInvalidArgument, fmt::format("the context does not hold its event {}", entry.event_id()));
  }
  if (!held->is_state() || held->type() != entry.type() || *held->state_key() != entry.state_key()) {
    return Refuse(Reason::kInvalidArgument, fmt::format("the context's event {} has another key", entry.event_id()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<DecodedContext> DecodedContext::From(const wire::JudgingContext& context, RecurringEvents& recurring) {
  DecodedContext decoded(recurring);
  decoded.rules_ = matrix::FindRoomRules(context.room_version());
  if (!decoded.rules_) return Refuse(Reason::kUnsupportedVersion, "the room's version is not supported");
  Given given;
  for (const wire::StoredEvent& event : context.events()) given.emplace(event.event_id(), &event);

  matrix::JudgingContext& judging = decoded.judging_;
  judging.room_id = context.room_id();
  judging.state_before_unresolved = context.state_before_unresolved();
  judging.extends_all_extremities = context.extends_all_extremities();
  judging.states_diverge = context.states_diverge();
  // Where an id is a hash, no event can cite what came after it: its prev events need not be read.
  const bool can_have_cycles = decoded.rules_->event_id_format == matrix::EventIdFormat::kCarried;
  absl::Status status = decoded.AddReferences(context.prev_events(), given, can_have_cycles, judging.prev_events);
  status.Update(decoded.AddReferences(context.auth_events(), given, true, judging.auth_events));
  status.Update(decoded.AddAsOurs(context.state_before(), given, judging.state_before));
  status.Update(decoded.AddAsOurs(context.state_now(), given, judging.state_now));
  if (context.has_branches()) status.Update(decoded.AddBranches(context.branches(), given));
  if (!status.ok()) return status;
  return decoded;
}

absl::StatusOr<const matrix::Event*> DecodedContext::EventOf(const Given& given, const std::string& event_id) {
  if (const auto read = events_.find(event_id); read != events_.end()) return read->second.get();
  const auto found = given.find(event_id);
  if (found == given.end()) return nullptr;
  auto event = recurring_->Read(event_id, found->second->pdu(), *rules_);
  if (!event.ok()) {
    return Refuse(Reason::kInvalidArgument,
                  fmt::format("the context's event {} cannot be read: {}", event_id, matrix::DetailOf(event.status())));
  }
  if ((*event)->event_id() != event_id) {
    return Refuse(Reason::kInvalidArgument, fmt::format("the context's event {} has another id", event_id));
  }
  return events_.emplace(event_id, *std::move(event)).first->second.get();
}

absl::Status DecodedContext::AddAsOurs(const google::protobuf::RepeatedPtrField<wire::StateEntry>& entries,
                                       const Given& given, matrix::RoomState& state) {
  for (const wire::StateEntry& entry : entries) {
    const auto event = EventOf(given, entry.event_id());
    if (!event.ok()) return event.status();
    if (absl::Status status = CheckEntry(entry, *event); !status.ok()) return status;
    state.Set(**event);
  }
  return absl::OkStatus();
}

absl::Status DecodedContext::AddEntries(const google::protobuf::RepeatedPtrField<wire::StateEntry>& entries,
                                        const Given& given, matrix::StateMap& state) {
  for (const wire::StateEntry& entry : entries) {
    state.insert_or_assign({entry.type(), entry.state_key()}, entry.event_id());
    if (entry.event_id().empty()) continue;
    const auto event = EventOf(given, entry.event_id());
    if (!event.ok()) return event.status();
    if (absl::Status status = CheckEntry(entry, *event); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status DecodedContext::AddBranches(const wire::Branches& branches, const Given& given) {
  matrix::Branches& decoded = judging_.branches.emplace();
  decoded.too_large = branches.too_large();
  absl::Status status = AddEntries(branches.base(), given, decoded.base);
  for (const wire::BranchState& state : branches.states()) {
    matrix::Branch& branch = decoded.branches.emplace_back();
    branch.before = state.before();
    branch.beside = state.beside();
    status.Update(AddEntries(state.changes(), given, branch.changes));
  }
  status.Update(AddEntries(branches.now(), given, decoded.now));
  status.Update(AddEntries(branches.agreed(), given, decoded.agreed));
  for (const std::string& event_id : branches.reached()) decoded.reached[event_id] = true;
  for (const std::string& event_id : branches.not_reached()) decoded.reached[event_id] = false;
  for (const auto& [event_id, stored] : given) {
    const auto event = EventOf(given, stored->event_id());
    if (!event.ok()) return event.status();
    decoded.events.Add(**event, stored->rejected());
  }
  return status;
}

absl::Status DecodedContext::AddReferences(const google::protobuf::RepeatedPtrField<wire::Reference>& references,
                                           const Given& given, bool read_events, std::vector<matrix::Cited>& cited) {
  for (const wire::Reference& reference : references) {
    const matrix::Event* event = nullptr;
    if (reference.known() && read_events) {
      auto read = EventOf(given, reference.event_id());
      if (!read.ok()) return read.status();
      event = *read;
    }
    cited.push_back({.event_id = reference.event_id(),
                     .event = event,
                     .known = reference.known(),
                     .rejected = reference.rejected()});
  }
  return absl::OkStatus();
}

matrix::KeyDirectory DecodeKeys(const google::protobuf::RepeatedPtrField<v1::ServerKeys>& servers) {
  matrix::KeyDirectory directory;
  for (const v1::ServerKeys& server : servers) {
    matrix::ServerKeys& keys = directory[server.server_name()];
    keys.server_name = server.server_name();
    keys.valid_until = absl::FromUnixMillis(server.valid_until_ms());
    for (const v1::ServerKeys::VerifyKey& key : server.keys()) {
      std::optional<absl::Time> expired;
      if (key.has_expired_ms()) expired = absl::FromUnixMillis(key.expired_ms());
      keys.keys.push_back({.key_id = key.key_id(), .public_key = key.public_key(), .expired = expired});
    }
  }
  return directory;
}

void EncodeVerdict(const matrix::Verdict& verdict, wire::Verdict& message) {
  message.set_outcome(static_cast<wire::Outcome>(verdict.outcome));
  message.set_reason(static_cast<wire::Reason>(verdict.reason));
  message.set_detail(verdict.detail);
  for (const matrix::StepResult& step : verdict.steps) EncodeStep(step, message.add_steps());
  message.set_event_id(verdict.event_id);
  message.set_judged_copy(verdict.judged_copy);
  message.set_judged_sha256(verdict.judged_sha256);
  EncodeEntries(verdict.state_before_change, message.mutable_state_before_change());
  EncodeEntries(verdict.state_after_change, message.mutable_state_after_change());
  EncodeEntries(verdict.current_state_change, message.mutable_current_state_change());
  for (const matrix::StateKey& key : verdict.read_set) {
    wire::StateKey* read = message.add_read_set();
    read->set_type(key.type);
    read->set_state_key(key.state_key);
  }
  message.set_commutes(verdict.commutes);
  message.set_judged_at_ms(absl::ToUnixMillis(verdict.judged_at));
  for (const matrix::UsedKey& key : verdict.keys_used) EncodeKey(key, message.add_keys_used());
}

}  // namespace postern::validator
