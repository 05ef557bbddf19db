// Operations on events.
#include <algorithm>
#include <map>
#include <vector>

#include "matrix/auth_events.h"
#include "matrix/auth_rules.h"
#include "matrix/base64.h"
#include "matrix/canonical_json.h"
#include "matrix/content_hash.h"
#include "matrix/event.h"
#include "matrix/event_format.h"
#include "matrix/event_id.h"
#include "matrix/redaction.h"
#include "matrix/signature.h"
#include "tests/vectors/answers.h"

namespace postern::vectors {
namespace {

using matrix::Event;
using matrix::Json;
using matrix::JsonArray;
using matrix::JsonMember;
using matrix::JsonObject;
using matrix::RoomRules;

JsonObject OneMember(std::string_view name, Json value) {
  JsonObject object;
  object.Set(name, std::move(value));
  return object;
}

/// Adds the keys of one list of a server; false if it is malformed.
bool AddKeys(const JsonObject& list, bool old, std::vector<matrix::VerifyKey>& keys) {
  for (const JsonMember& member : list) {
    if (!member.value.AsObject()) return false;
    const Input entry(*member.value.AsObject());
    const std::int64_t* expired = entry.Integer("expired_ts");
    if (!entry.String("key") || (old && !expired)) return false;
    // A key that is none verifies nothing.
    matrix::VerifyKey key{member.key, entry.Bytes("key").value_or(""), std::nullopt};
    if (old) key.expired = absl::FromUnixMillis(*expired);
    keys.push_back(std::move(key));
  }
  return true;
}

std::optional<matrix::KeyDirectory> DirectoryOf(const JsonObject& servers) {
  matrix::KeyDirectory directory;
  for (const JsonMember& server : servers) {
    if (!server.value.AsObject()) return std::nullopt;
    const Input fields(*server.value.AsObject());
    const std::int64_t* valid_until = fields.Integer("valid_until_ts");
    const JsonObject* current = fields.Object("verify_keys");
    const JsonObject* old = fields.Object("old_verify_keys");
    if (!valid_until || !current || (!old && fields.Any("old_verify_keys"))) return std::nullopt;
    matrix::ServerKeys keys{server.key, absl::FromUnixMillis(*valid_until), {}};
    if (!AddKeys(*current, false, keys.keys) || (old && !AddKeys(*old, true, keys.keys))) return std::nullopt;
    directory.emplace(server.key, std::move(keys));
  }
  return directory;
}

/// The events of an auth_check case, by id, in the order given.
struct Room {
  std::vector<Event> state;
  std::vector<Event> others;
};

bool ReadEvents(const JsonArray& pdus, const RoomRules& rules, std::vector<Event>& events) {
  events.reserve(pdus.size());
  for (const Json& pdu : pdus) {
    auto event = Event::FromJson(pdu, rules);
    if (!event.ok()) return false;
    events.push_back(*std::move(event));
  }
  return true;
}

std::optional<Room> ReadRoom(const Input& input, const RoomRules& rules) {
  const JsonArray* state = input.Array("state");
  const JsonArray* others = input.Array("auth_events");
  if (!state || (!others && input.Any("auth_events"))) return std::nullopt;
  Room room;
  if (!ReadEvents(*state, rules, room.state)) return std::nullopt;
  if (others && !ReadEvents(*others, rules, room.others)) return std::nullopt;
  if (!std::ranges::all_of(room.state, &Event::is_state)) return std::nullopt;
  return room;
}

std::optional<std::vector<std::string>> ReadRejected(const Input& input) {
  std::vector<std::string> ids;
  const JsonArray* rejected = input.Array("rejected");
  if (!rejected) return input.Any("rejected") ? std::nullopt : std::optional(ids);
  for (const Json& id : *rejected) {
    if (!id.AsString()) return std::nullopt;
    ids.push_back(*id.AsString());
  }
  return ids;
}

/// What `event` cites, or nullopt if the case does not have all of it.
std::optional<std::vector<matrix::CitedEvent>> CitedBy(const Event& event, const Room& room,
                                                       const std::vector<std::string>& rejected) {
  std::map<std::string, const Event*, std::less<>> by_id;
  for (const Event& known : room.state) by_id.emplace(known.event_id(), &known);
  for (const Event& known : room.others) by_id.emplace(known.event_id(), &known);
  std::vector<matrix::CitedEvent> cited;
  for (const std::string& id : event.auth_events()) {
    const auto known = by_id.find(id);
    if (known == by_id.end()) return std::nullopt;
    cited.push_back({known->second, std::ranges::find(rejected, id) != rejected.end()});
  }
  return cited;
}

/// The room's create event: of the state, from version 12 only if its id is the room's.
const Event* CreateOf(const matrix::RoomState& state, const Event& event) {
  const Event* create = state.create();
  const bool other_room = create && event.rules().room_id_is_create_hash && create->room_id() != event.room_id();
  return other_room ? nullptr : create;
}

}  // namespace

Output AnswerCanonicalJson(const Input& input) {
  const std::string* text = input.String("json");
  if (!text) return std::nullopt;
  const auto value = matrix::ParseJson(*text);
  if (!value.ok() || !matrix::HasOnlyCanonicalNumbers(*value)) return OneMember("error", true);
  return OneMember("canonical", matrix::CanonicalJson(*value));
}

Output AnswerContentHash(const Input& input) {
  const JsonObject* event = input.Object("event");
  if (!event) return std::nullopt;
  return OneMember("sha256", matrix::EncodeBase64(matrix::ContentHash(*event)));
}

Output AnswerEventId(const Input& input) {
  const RoomRules* rules = input.Rules();
  const JsonObject* event = input.Object("event");
  if (!rules || !event) return std::nullopt;
  const std::string id = matrix::ComputeEventId(*event, *rules);
  if (id.empty()) return std::nullopt;
  JsonObject output = OneMember("event_id", id);
  output.Set("sha256", matrix::EncodeBase64(matrix::ReferenceHash(*event, *rules)));
  return output;
}

Output AnswerRedact(const Input& input) {
  const RoomRules* rules = input.Rules();
  const JsonObject* event = input.Object("event");
  if (!rules || !event) return std::nullopt;
  return OneMember("event", matrix::Redact(*event, *rules));
}

Output AnswerSignEvent(const Input& input) {
  const RoomRules* rules = input.Rules();
  const JsonObject* event = input.Object("event");
  const std::string* server = input.String("server_name");
  const std::string* key_id = input.String("key_id");
  const auto seed = input.Bytes("seed");
  if (!rules || !event || !server || !key_id || !seed) return std::nullopt;
  const auto key = matrix::SigningKey::FromTestVectorSeed(*key_id, *seed);
  if (!key.ok()) return std::nullopt;
  JsonObject signed_event = *event;
  matrix::HashAndSignEvent(signed_event, *server, *key, *rules);
  JsonObject output = OneMember("hashes", *signed_event.Find("hashes"));
  output.Set("signatures", *signed_event.Find("signatures"));
  return output;
}

Output AnswerVerifyEvent(const Input& input) {
  const RoomRules* rules = input.Rules();
  const JsonObject* event = input.Object("event");
  const JsonObject* keys = input.Object("keys");
  const std::int64_t* now = input.Integer("now_ts");
  if (!rules || !event || !keys || !now) return std::nullopt;
  const auto directory = DirectoryOf(*keys);
  if (!directory) return std::nullopt;
  JsonObject output = OneMember("hash_ok", matrix::ContentHashMatches(*event));
  output.Set("signatures_ok",
             matrix::CheckEventSignatures(*event, *rules, *directory, absl::FromUnixMillis(*now)).ok());
  return output;
}

Output AnswerCheckEventFormat(const Input& input) {
  const RoomRules* rules = input.Rules();
  const Json* event = input.Any("event");
  if (!rules || !event) return std::nullopt;
  return OneMember("ok", matrix::CheckEventFormat(*event, *rules).ok());
}

Output AnswerAuthTypes(const Input& input) {
  const RoomRules* rules = input.Rules();
  const JsonObject* event = input.Object("event");
  if (!rules || !event) return std::nullopt;
  const Input fields(*event);
  const std::string* type = fields.String("type");
  const std::string* sender = fields.String("sender");
  const std::string* state_key = fields.String("state_key");
  const JsonObject* content = fields.Object("content");
  if (!type || !sender || !content || (!state_key && fields.Any("state_key"))) return std::nullopt;
  JsonArray types;
  for (const auto& key : matrix::SelectAuthEvents(*type, state_key, *sender, *content, *rules)) {
    types.push_back(JsonArray{key.type, key.state_key});
  }
  return OneMember("types", std::move(types));
}

Output AnswerAuthCheck(const Input& input) {
  const RoomRules* rules = input.Rules();
  const JsonObject* pdu = input.Object("event");
  if (!rules || !pdu) return std::nullopt;
  const auto event = Event::FromJson(*pdu, *rules);
  const auto room = ReadRoom(input, *rules);
  const auto rejected = ReadRejected(input);
  if (!event.ok() || !room || !rejected) return std::nullopt;
  const auto cited = CitedBy(*event, *room, *rejected);
  if (!cited) return std::nullopt;
  matrix::RoomState state;
  for (const Event& entry : room->state) state.Set(entry);
  const bool is_create = event->type() == "m.room.create";  // cites nothing; its own rules say so
  const bool cites_well = is_create || matrix::CheckCitedEvents(*event, *cited, CreateOf(state, *event)).allowed();
  return OneMember("allowed", cites_well && matrix::CheckAuthRules(*event, state).allowed());
}

}  // namespace postern::vectors
