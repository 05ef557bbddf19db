#include "posternctl/file_question.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "absl/time/clock.h"
#include "matrix/canonical_json.h"
#include "matrix/refusal.h"
#include "matrix/signature.h"
#include "posternctl/connection.h"
#include "posternctl/report.h"
#include "posternctl/verdict_tables.h"

namespace postern::posternctl {
namespace {

using gateway::v1::Admin;
using matrix::JsonObject;
using matrix::Reason;
using matrix::Refuse;
using store::v1::Store;
using validator::v1::ServerKeys;

constexpr std::string_view kAlgorithm = "ed25519:";
/// Stands in the question of what is stored under an id, where the event has none.
constexpr const char* kNoId = "$";

/// The event itself, where it is wrapped up as `posternctl --json event show` prints it.
const matrix::Json& Unwrapped(const matrix::Json& json) {
  const JsonObject* object = json.AsObject();
  if (object == nullptr || object->Contains("type")) return json;
  const matrix::Json* event = object->Find("event");
  return event != nullptr && event->AsObject() != nullptr ? *event : json;
}

std::string RoomNamedIn(const JsonObject* event) {
  const matrix::Json* room_id = event == nullptr ? nullptr : event->Find("room_id");
  return room_id == nullptr || room_id->AsString() == nullptr ? "" : *room_id->AsString();
}

absl::StatusOr<const matrix::RoomRules*> RulesOf(const GlobalOptions& global, const std::string& room_id) {
  store::v1::GetTemplateContextRequest request;
  request.set_room_id(room_id);
  const auto room = CallStore(global, &Store::Stub::GetTemplateContext, request);
  if (!room.ok()) return room.status();
  const matrix::RoomRules* rules = matrix::FindRoomRules(room->judging().room_version());
  if (rules != nullptr) return rules;
  return Refuse(Reason::kUnsupportedVersion,
                fmt::format("room version {} is not supported", room->judging().room_version()));
}

absl::Status AskForContext(const GlobalOptions& global, const std::string& room_id, FileQuestion& question) {
  store::v1::GetEventContextRequest request;
  request.set_room_id(room_id);
  request.set_event_id(kNoId);
  if (question.event) {
    request.set_event_id(question.event->event_id());
    request.set_sender(question.event->sender());
    for (const std::string& id : question.event->prev_events()) request.add_prev_events(id);
    for (const std::string& id : question.event->auth_events()) request.add_auth_events(id);
    for (auto& key : KeysToAskFor(question.request.pdu(), *question.rules, {})) {
      *request.add_state_keys() = std::move(key);
    }
  }
  auto context = CallStore(global, &Store::Stub::GetEventContext, request);
  if (!context.ok()) return context.status();
  *question.request.mutable_context() = std::move(*context->mutable_judging());
  if (question.event && context->has_existing()) question.stored_as = context->existing().outcome();
  return absl::OkStatus();
}

std::vector<std::string> KeyIdsBy(const JsonObject& event, const std::string& server) {
  std::vector<std::string> ids;
  const matrix::Json* signatures = event.Find("signatures");
  const matrix::Json* by_server =
      signatures == nullptr || signatures->AsObject() == nullptr ? nullptr : signatures->AsObject()->Find(server);
  if (by_server == nullptr || by_server->AsObject() == nullptr) return ids;
  for (const auto& [key_id, signature] : *by_server->AsObject()) {
    if (key_id.starts_with(kAlgorithm)) ids.push_back(key_id);
  }
  return ids;
}

/// Keys as store and gateway give them.
template <typename Given>
ServerKeys KeysFrom(const std::string& server, const Given& given) {
  ServerKeys keys;
  keys.set_server_name(server);
  keys.set_valid_until_ms(given.valid_until_ms());
  for (const auto& key : given.keys()) {
    auto* added = keys.add_keys();
    added->set_key_id(key.key_id());
    added->set_public_key(key.public_key());
    if (key.has_expired_ms()) added->set_expired_ms(key.expired_ms());
  }
  return keys;
}

bool HoldsOneOf(const ServerKeys& keys, const std::vector<std::string>& ids) {
  return std::ranges::any_of(keys.keys(),
                             [&](const auto& key) { return std::ranges::find(ids, key.key_id()) != ids.end(); });
}

absl::Status AskForKeys(const GlobalOptions& global, const JsonObject& event, FileQuestion& question) {
  const std::vector<std::string> signers = matrix::RequiredSigners(event, *question.rules);
  store::v1::GetServerKeysRequest request;
  for (const std::string& server : signers) request.add_server_names(server);
  const auto stored = CallStore(global, &Store::Stub::GetServerKeys, request);
  if (!stored.ok()) return stored.status();
  std::map<std::string, ServerKeys> known;
  for (const auto& server : stored->servers()) known[server.server_name()] = KeysFrom(server.server_name(), server);

  for (const std::string& server : signers) {
    const std::vector<std::string> ids = KeyIdsBy(event, server);
    const bool suffices = known.contains(server) && HoldsOneOf(known[server], ids);
    if (!suffices && !ids.empty()) {
      gateway::v1::FindServerKeysRequest ask;
      ask.set_server_name(server);
      for (const std::string& id : ids) ask.add_key_ids(id);
      const auto found = CallGateway(global, &Admin::Stub::FindServerKeys, ask);
      if (found.ok()) {
        known[server] = KeysFrom(server, *found);
      } else {
        question.notes.push_back(fmt::format("the keys of {} are not stored, and the gateway has them not either: {}",
                                             Printable(server), Printable(matrix::DetailOf(found.status()))));
      }
    }
    if (known.contains(server)) *question.request.add_verify_keys() = known[server];
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<FileQuestion> AskAbout(const GlobalOptions& global, const std::string& text, std::string room_id) {
  FileQuestion question;
  question.request.set_now_ms(absl::ToUnixMillis(absl::Now()));
  question.request.set_pdu(text);  // what is no JSON is for step 1 to say
  const auto json = matrix::ParseJson(text);
  if (json.ok()) {
    const matrix::Json& event = Unwrapped(*json);
    question.request.set_pdu(matrix::CanonicalJson(event));
    if (room_id.empty()) room_id = RoomNamedIn(event.AsObject());
  }
  if (room_id.empty()) {
    return Refuse(Reason::kInvalidArgument,
                  json.ok() ? "the event names no room: give one with --room"
                            : fmt::format("{}; to see it judged all the same, give a room with --room",
                                          matrix::DetailOf(json.status())));
  }
  const auto rules = RulesOf(global, room_id);
  if (!rules.ok()) return rules.status();
  question.rules = *rules;
  if (auto event = matrix::Event::Parse(question.request.pdu(), **rules); event.ok()) {
    question.event = *std::move(event);
  }
  if (absl::Status status = AskForContext(global, room_id, question); !status.ok()) return status;
  if (!question.event) return question;
  if (absl::Status status = AskForKeys(global, question.event->json(), question); !status.ok()) return status;
  return question;
}

}  // namespace postern::posternctl
