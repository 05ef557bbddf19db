#include "services/gateway/event_signer.h"

#include <fmt/format.h>

#include <utility>

#include "matrix/base64.h"
#include "matrix/canonical_json.h"
#include "matrix/content_hash.h"
#include "matrix/event_id.h"
#include "matrix/identifiers.h"
#include "matrix/refusal.h"
#include "matrix/x_matrix.h"
#include "services/gateway/received_invite.h"
#include "services/gateway/restricted_joins.h"

namespace postern::gateway {
namespace {

using matrix::Json;
using matrix::JsonObject;
using matrix::Reason;
using matrix::Refuse;

constexpr std::size_t kSignatureBase64Bytes = 86;  // 64 bytes, unpadded

std::string_view TextOf(const JsonObject& object, std::string_view key) {
  const Json* member = object.Find(key);
  const std::string* text = member == nullptr ? nullptr : member->AsString();
  return text == nullptr ? std::string_view() : std::string_view(*text);
}

const JsonObject* ObjectIn(const JsonObject& object, std::string_view key) {
  const Json* member = object.Find(key);
  return member == nullptr ? nullptr : member->AsObject();
}

bool IsOwnMembership(const JsonObject& event) {
  const JsonObject* content = ObjectIn(event, "content");
  if (content == nullptr || TextOf(event, "type") != "m.room.member") return false;
  const std::string_view membership = TextOf(*content, "membership");
  const bool wanted = membership == "leave" || membership == "join" || membership == "knock";
  return wanted && !TextOf(event, "sender").empty() && TextOf(event, "sender") == TextOf(event, "state_key");
}

Json PublishedKey(const std::string& public_key) {
  JsonObject key;
  key.Set("key", matrix::EncodeBase64(public_key));
  return key;
}

}  // namespace

EventSigner::EventSigner(matrix::ServerName server_name, SigningKeys keys)
    : server_name_(std::move(server_name)), keys_(std::make_shared<const SigningKeys>(std::move(keys))) {}

std::shared_ptr<const SigningKeys> EventSigner::Keys() const {
  const std::lock_guard lock(mutex_);
  return keys_;
}

void EventSigner::Rotate(SigningKeys keys) {
  auto next = std::make_shared<const SigningKeys>(std::move(keys));
  const std::lock_guard lock(mutex_);
  keys_ = std::move(next);
  ++rotations_;
}

std::string EventSigner::SignRequestTo(const matrix::ServerName& destination, std::string_view method,
                                       std::string_view uri, const Json* content) const {
  const auto keys = Keys();
  const matrix::SigningKey& key = keys->keys_.front();
  const matrix::SignedRequest request{.method = method,
                                      .uri = uri,
                                      .origin = server_name_.text(),
                                      .destination = destination.text(),
                                      .content = content};
  return matrix::FormatXMatrix({.origin = server_name_.text(),
                                .destination = destination.text(),
                                .key = key.key_id(),
                                .sig = matrix::SignRequest(request, key)});
}

absl::StatusOr<SignedEvent> EventSigner::SignOwnEvent(JsonObject event, const matrix::RoomRules& rules) const {
  const auto sender = matrix::UserId::Parse(TextOf(event, "sender"));
  if (!sender.ok() || !(sender->server() == server_name_)) {
    return Refuse(Reason::kInvalidArgument, fmt::format("the sender is no user of {}", server_name_.text()));
  }
  matrix::HashAndSignEvent(event, server_name_.text(), Keys()->keys_.front(), rules);
  std::string event_id = matrix::ComputeEventId(event, rules);
  return SignedEvent(std::move(event_id), matrix::CanonicalJson(event));
}

absl::StatusOr<SignedEvent> EventSigner::Countersign(std::string_view copy, const matrix::v1::Verdict& verdict,
                                                     const matrix::RoomRules& rules) const {
  const bool holds =
      verdict.outcome() == matrix::v1::OUTCOME_ACCEPTED || verdict.outcome() == matrix::v1::OUTCOME_SOFT_FAILED;
  if (!holds) return Refuse(Reason::kInternal, "no signature without an accepted verdict");
  if (matrix::Sha256(copy) != verdict.judged_sha256()) {
    return Refuse(Reason::kInternal, "the verdict is about other bytes than those to be signed");
  }
  auto event = matrix::ParseJson(copy);
  if (!event.ok() || event->AsObject() == nullptr || !IsOwnMembership(*event->AsObject())) {
    return Refuse(Reason::kInternal, "only a user's own leave, join or knock is countersigned");
  }
  JsonObject& object = *event->AsObject();
  if (matrix::ComputeEventId(object, rules) != verdict.event_id()) {
    return Refuse(Reason::kInternal, "the verdict is about another event");
  }
  matrix::SignEvent(object, server_name_.text(), Keys()->keys_.front(), rules);
  return SignedEvent(verdict.event_id(), matrix::CanonicalJson(object));
}

absl::StatusOr<Json> EventSigner::SignVouched(const VouchedJoin& join, const matrix::RoomRules& rules) const {
  const JsonObject* content = ObjectIn(join.event(), "content");
  const bool ours = content != nullptr && TextOf(*content, "membership") == "join" &&
                    matrix::DomainOf(TextOf(*content, "join_authorised_via_users_server")) == server_name_.text();
  if (!ours || !IsOwnMembership(join.event())) {
    return Refuse(Reason::kInternal, "only a join that names a user of this server is vouched for");
  }
  JsonObject copy = join.event();
  matrix::SignEvent(copy, server_name_.text(), Keys()->keys_.front(), rules);
  return *copy.Find("signatures");
}

absl::StatusOr<SignedEvent> EventSigner::SignReceivedInvite(const ReceivedInvite& invite) const {
  const matrix::Event& event = invite.event();
  const std::string* invited = event.state_key();
  const bool is_invite = event.type() == "m.room.member" && event.membership() == "invite";
  if (!is_invite || invited == nullptr || matrix::DomainOf(*invited) != server_name_.text() ||
      matrix::DomainOf(event.sender()) == server_name_.text()) {
    return Refuse(Reason::kInternal, "only another server's invite of a user of this one is signed");
  }
  JsonObject copy = event.json();
  matrix::SignEvent(copy, server_name_.text(), Keys()->keys_.front(), event.rules());
  return SignedEvent(event.event_id(), matrix::CanonicalJson(copy));
}

std::size_t EventSigner::CountersignedBytes(const JsonObject& event, std::size_t canonical_bytes) const {
  const std::string key_id = Keys()->key_id();
  const std::size_t entry = key_id.size() + kSignatureBase64Bytes + 5;  // "key":"signature"
  const JsonObject* signatures = ObjectIn(event, "signatures");
  if (signatures == nullptr) return canonical_bytes + entry + server_name_.text().size() + 7;
  const Json* ours_value = signatures->Find(server_name_.text());
  const JsonObject* ours = ours_value == nullptr ? nullptr : ours_value->AsObject();
  if (ours == nullptr) {  // "server":{entry}, and a comma
    const std::size_t replaced = ours_value == nullptr ? 0 : matrix::CanonicalJson(*ours_value).size();
    const std::size_t name = ours_value == nullptr ? server_name_.text().size() + 3 : 0;
    const std::size_t comma = ours_value == nullptr && !signatures->empty() ? 1 : 0;
    return canonical_bytes + name + entry + 2 + comma - replaced;
  }
  const Json* there = ours->Find(key_id);
  if (there == nullptr) return canonical_bytes + entry + (ours->empty() ? 0 : 1);
  return canonical_bytes + kSignatureBase64Bytes + 2 - matrix::CanonicalJson(*there).size();
}

matrix::ServerKeys EventSigner::PublicKeys(absl::Time valid_until) const {
  const auto keys = Keys();
  matrix::ServerKeys published{server_name_.text(), valid_until, {}};
  for (const matrix::SigningKey& key : keys->keys_) {
    published.keys.push_back({key.key_id(), key.public_key(), std::nullopt});
  }
  for (const RetiredKey& key : keys->retired_) published.keys.push_back({key.key_id, key.public_key, key.expired});
  return published;
}

std::string EventSigner::KeyDocument(absl::Time valid_until) const {
  const auto keys = Keys();
  JsonObject current, old, document;
  for (const matrix::SigningKey& key : keys->keys_) current.Set(key.key_id(), PublishedKey(key.public_key()));
  for (const RetiredKey& key : keys->retired_) {
    Json published = PublishedKey(key.public_key);
    published.AsObject()->Set("expired_ts", absl::ToUnixMillis(key.expired));
    old.Set(key.key_id, std::move(published));
  }
  document.Set("server_name", server_name_.text());
  document.Set("valid_until_ts", absl::ToUnixMillis(valid_until));
  document.Set("verify_keys", std::move(current));
  document.Set("old_verify_keys", std::move(old));
  for (const matrix::SigningKey& key : keys->keys_) matrix::SignJson(document, server_name_.text(), key);
  return matrix::CanonicalJson(document);
}

std::string EventSigner::Notarise(const gateway::KeyDocument& document) const {
  // Only ReadKeyDocument makes one: it is an object.
  auto json = matrix::ParseJson(document.text());
  matrix::SignJson(*json->AsObject(), server_name_.text(), Keys()->keys_.front());
  return matrix::CanonicalJson(*json->AsObject());
}

}  // namespace postern::gateway
