#include "services/gateway/withdrawn_invites.h"

#include <algorithm>
#include <utility>

#include "matrix/identifiers.h"
#include "matrix/refusal.h"
#include "matrix/signature.h"
#include "services/gateway/event_intake.h"

namespace postern::gateway {
namespace {

using matrix::Event;
using matrix::Json;
using matrix::JsonObject;
using matrix::Reason;
using matrix::Refuse;

std::string_view TextIn(const JsonObject& object, std::string_view key) {
  const Json* member = object.Find(key);
  const std::string* text = member == nullptr ? nullptr : member->AsString();
  return text == nullptr ? std::string_view() : std::string_view(*text);
}

absl::Status NoSuchInvite() { return Refuse(Reason::kUnknownRoom, "no user of this server is in the room"); }

}  // namespace

WithdrawnInvites::WithdrawnInvites(matrix::ServerName server_name, InviteStoreClient& invites, KeyRing& key_ring,
                                   Clock clock)
    : server_name_(std::move(server_name)), invites_(invites), key_ring_(key_ring), clock_(std::move(clock)) {}

bool WithdrawnInvites::MayBeOne(const JsonObject& pdu) const {
  const Json* content = pdu.Find("content");
  return TextIn(pdu, "type") == "m.room.member" && content != nullptr && content->AsObject() != nullptr &&
         TextIn(*content->AsObject(), "membership") == "leave" &&
         matrix::DomainOf(TextIn(pdu, "state_key")) == server_name_.text() &&
         TextIn(pdu, "sender") != TextIn(pdu, "state_key");
}

absl::StatusOr<std::string> WithdrawnInvites::Take(const rpc::CallContext& call, const JsonObject& pdu,
                                                   const std::string& client_address, absl::Time keys_until) {
  store::v1::ListInvitesRequest question;
  question.mutable_of()->set_room_id(std::string(TextIn(pdu, "room_id")));
  question.mutable_of()->set_user_id(std::string(TextIn(pdu, "state_key")));
  question.mutable_of()->set_sender(std::string(TextIn(pdu, "sender")));
  const auto kept = invites_.ListInvites(call, question);
  if (!kept.ok()) return kept.status();
  for (const store::v1::ReceivedInvite& invite : kept->invites()) {
    const matrix::RoomRules* rules = matrix::FindRoomRules(invite.room_version());
    if (rules == nullptr) continue;
    auto event = Event::FromJson(Json(pdu), *rules);
    if (!event.ok()) return event.status();
    const auto& cited = event->auth_events();
    if (std::ranges::find(cited, invite.name().event_id()) == cited.end()) continue;
    if (absl::Status status = CheckSignature(*event, client_address, keys_until); !status.ok()) return status;
    store::v1::WithdrawInviteRequest request;
    *request.mutable_name() = invite.name();
    request.set_sender(invite.sender());
    if (const auto withdrawn = invites_.WithdrawInvite(call, request); !withdrawn.ok()) return withdrawn.status();
    return event->event_id();
  }
  return NoSuchInvite();
}

absl::Status WithdrawnInvites::CheckSignature(const Event& event, const std::string& client_address,
                                              absl::Time keys_until) {
  auto server = matrix::ServerName::Parse(matrix::DomainOf(event.sender()));
  if (!server.ok()) return NoSuchInvite();
  const KeyQuery query{*server, KeyIdsOf(event.json(), server->text()), KeyUse::kEvent, client_address};
  if (query.key_ids.empty()) return Refuse(Reason::kBadSignature, "who invited has not signed the leave");
  const auto known = key_ring_.Wait(query, keys_until);
  if (!known.ok()) return Refuse(Reason::kSigningKeyUnavailable, matrix::DetailOf(known.status()));
  const matrix::KeyDirectory keys{{server->text(), (*known)->keys}};
  return matrix::CheckEventSignatures(event.json(), event.rules(), keys, clock_());
}

}  // namespace postern::gateway
