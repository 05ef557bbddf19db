// Any bytes as a request to the validator: decoded, judged in six steps, and answered as the contract says. Each is
// tried as it is, and mended: with ids, references, hashes and signatures put right, so that it gets past the steps
// that nearly every change of a byte fails.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "google/protobuf/stubs/logging.h"
#include "matrix/canonical_json.h"
#include "matrix/content_hash.h"
#include "matrix/identifiers.h"
#include "matrix/refusal.h"
#include "services/validator/judgement.h"
#include "tests/fuzz/require.h"
#include "tests/support/room_builder.h"

namespace {

using namespace postern;
using fuzz::Require;
using matrix::Json;
using matrix::JsonArray;
using matrix::JsonObject;
using matrix::Reason;
using validator::v1::ValidateRequest;
using validator::v1::ValidateResponse;
namespace wire = postern::matrix::v1;

void CheckVerdict(const ValidateRequest& request, const wire::Verdict& verdict) {
  Require(verdict.steps_size() == 6 || verdict.steps_size() == 7, "six steps, or seven");
  for (int i = 0; i < verdict.steps_size(); ++i) {
    Require(verdict.steps(i).step() == static_cast<unsigned>(i) + 1, "the steps are in order");
  }
  const bool accepted = verdict.outcome() == wire::OUTCOME_ACCEPTED;
  Require(accepted == (verdict.reason() == wire::REASON_NONE), "accepted is what has no reason");
  Require(accepted || (verdict.state_after_change_size() == 0 && verdict.current_state_change_size() == 0),
          "only what is accepted changes a state");
  if (verdict.steps(0).outcome() != wire::STEP_OUTCOME_OK) return;
  Require(verdict.judged_sha256() == matrix::Sha256(verdict.judged_copy()), "the hash is that of the copy judged");
  const auto copy =
      matrix::Event::Parse(verdict.judged_copy(), *matrix::FindRoomRules(request.context().room_version()));
  Require(copy.ok() && copy->event_id() == verdict.event_id(), "the copy judged is the event");
  Require(!copy->json().Contains("unsigned"), "the copy judged has nothing unsigned");
}

/// The same context, its lists turned round.
ValidateRequest TurnedRound(ValidateRequest request) {
  wire::JudgingContext& context = *request.mutable_context();
  std::reverse(context.mutable_events()->begin(), context.mutable_events()->end());
  std::reverse(context.mutable_state_before()->begin(), context.mutable_state_before()->end());
  std::reverse(context.mutable_state_now()->begin(), context.mutable_state_now()->end());
  return request;
}

/// Whether some list names one thing twice: then its order may count.
bool HasTwins(const wire::JudgingContext& context) {
  std::set<std::string> ids;
  for (const wire::StoredEvent& event : context.events()) {
    if (!ids.insert(event.event_id()).second) return true;
  }
  for (const auto* entries : {&context.state_before(), &context.state_now()}) {
    std::set<std::pair<std::string, std::string>> keys;
    for (const wire::StateEntry& entry : *entries) {
      if (!keys.emplace(entry.type(), entry.state_key()).second) return true;
    }
  }
  return false;
}

void Judge(const ValidateRequest& request) {
  ValidateResponse response;
  const absl::Status status = validator::Validate(request, response);
  static validator::RecurringEvents recurring;  // of whatever was judged before
  ValidateResponse again;
  Require(validator::Validate(request, recurring, again) == status, "the same request has the same status");
  Require(again.SerializeAsString() == response.SerializeAsString(), "the same request has the same verdict");
  if (!status.ok()) {
    const Reason reason = matrix::ReasonOf(status);
    Require(reason == Reason::kUnsupportedVersion || reason == Reason::kInvalidArgument ||
                reason == Reason::kStateUnresolved,
            "refused for a reason that the contract names");
    return;
  }
  CheckVerdict(request, response.verdict());
  if (HasTwins(request.context())) return;
  ValidateResponse turned;
  Require(validator::Validate(TurnedRound(request), turned).ok(), "the order of a context does not matter");
  Require(turned.SerializeAsString() == response.SerializeAsString(), "the order of a context does not matter");
}

using Names = std::map<std::string, std::string>;

/// Gives every event of the context the id that it has; returns what it was called.
Names MendEvents(wire::JudgingContext& context, const matrix::RoomRules& rules) {
  Names names;
  for (wire::StoredEvent& stored : *context.mutable_events()) {
    const auto event = matrix::Event::Parse(stored.pdu(), rules);
    if (!event.ok()) continue;
    names[stored.event_id()] = event->event_id();
    stored.set_event_id(event->event_id());
  }
  return names;
}

template <typename Named>
void Rename(const Names& names, Named& named) {
  const auto name = names.find(named.event_id());
  if (name != names.end()) named.set_event_id(name->second);
}

JsonArray ReferencesTo(google::protobuf::RepeatedPtrField<wire::Reference>& references, const Names& names,
                       const matrix::RoomRules& rules) {
  JsonArray ids;
  for (wire::Reference& reference : references) {
    Rename(names, reference);
    Json id(reference.event_id());
    if (rules.event_id_format == matrix::EventIdFormat::kCarried) id = JsonArray{id, JsonObject()};
    ids.push_back(std::move(id));
  }
  return ids;
}

void SignFor(std::string_view id, ValidateRequest& request, JsonObject& event, const matrix::RoomRules& rules) {
  const std::string server(matrix::DomainOf(id));
  const matrix::SigningKey key = support::KeyOf(server);
  matrix::SignEvent(event, server, key, rules);
  auto* keys = request.add_verify_keys();
  keys->set_server_name(server);
  keys->set_valid_until_ms(request.now_ms());
  keys->add_keys()->set_key_id(key.key_id());
  keys->mutable_keys(0)->set_public_key(key.public_key());
}

bool Mend(ValidateRequest& request) {
  wire::JudgingContext& context = *request.mutable_context();
  const matrix::RoomRules* rules = matrix::FindRoomRules(context.room_version());
  const auto pdu = matrix::ParseJson(request.pdu());
  if (!rules || !pdu.ok() || !pdu->AsObject()) return false;
  const Names names = MendEvents(context, *rules);
  for (wire::StateEntry& entry : *context.mutable_state_before()) Rename(names, entry);
  for (wire::StateEntry& entry : *context.mutable_state_now()) Rename(names, entry);
  JsonObject event = *pdu->AsObject();
  event.Set("auth_events", ReferencesTo(*context.mutable_auth_events(), names, *rules));
  event.Set("prev_events", ReferencesTo(*context.mutable_prev_events(), names, *rules));
  if (const Json* room = event.Find("room_id"); room && room->AsString()) context.set_room_id(*room->AsString());
  JsonObject hashes;
  hashes.Set("sha256", "");
  event.Set("hashes", std::move(hashes));
  request.clear_verify_keys();
  const Json* sender = event.Find("sender");
  if (!sender || !sender->AsString() || !event.Find("content") || !event.Find("content")->AsObject()) return false;
  const std::string sender_id = *sender->AsString();
  const std::string server(matrix::DomainOf(sender_id));
  matrix::HashAndSignEvent(event, server, support::KeyOf(server), *rules);
  SignFor(sender_id, request, event, *rules);
  if (const Json* id = event.Find("event_id"); id && id->AsString()) {
    SignFor(std::string(*id->AsString()), request, event, *rules);
  }
  const Json* voucher = event.Find("content")->AsObject()->Find("join_authorised_via_users_server");
  if (voucher && voucher->AsString()) SignFor(std::string(*voucher->AsString()), request, event, *rules);
  request.set_pdu(matrix::CanonicalJson(event));
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const google::protobuf::LogSilencer silent;  // it would tell of every string that is no UTF-8
  ValidateRequest request;
  if (!request.ParseFromArray(data, static_cast<int>(size))) return 0;
  Judge(request);
  if (Mend(request)) Judge(request);
  return 0;
}
