#include "services/gateway/room_author.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "matrix/base64.h"
#include "matrix/canonical_json.h"
#include "matrix/content_hash.h"
#include "matrix/event_id.h"
#include "matrix/refusal.h"
#include "services/gateway/extremity_chain.h"
#include "services/gateway/invite_handshake.h"
#include "services/gateway/room_access.h"
#include "services/gateway/room_draft.h"

namespace postern::gateway {
namespace {

using matrix::Json;
using matrix::JsonObject;
using matrix::Reason;
using matrix::Refuse;

constexpr int kMaxAttempts = 16;
constexpr absl::Duration kOwnKeysValidity = absl::Hours(1);
constexpr int kSeedChunk = 500;
constexpr std::int64_t kCreatorLevel = 100;
constexpr std::int64_t kModeratorLevel = 50;
constexpr std::uint32_t kSteps = 6;
constexpr std::uint32_t kFirstAuthStep = 4;

absl::Status CheckJoinRule(const std::string& rule, const matrix::RoomRules& rules) {
  const bool known = rule == "public" || rule == "invite" || rule == "private" || (rule == "knock" && rules.knocking) ||
                     (rule == "restricted" && rules.restricted_joins) ||
                     (rule == "knock_restricted" && rules.knock_restricted);
  if (known) return absl::OkStatus();
  return Refuse(Reason::kInvalidArgument, fmt::format("room version {} has no join rule '{}'", rules.version, rule));
}

EventIntent StateIntent(std::string_view type, const matrix::UserId& sender, JsonObject content) {
  return {.type = std::string(type), .state_key = "", .sender = sender.text(), .content = std::move(content)};
}

EventIntent CreateIntent(const NewRoom& room, const matrix::RoomRules& rules) {
  JsonObject content;
  content.Set("room_version", room.version);
  if (rules.creator_in_content) content.Set("creator", room.creator.text());
  for (const EventIntent& extra : room.state) {
    if (extra.type != "m.room.create") continue;
    for (const auto& [key, value] : extra.content) content.Set(key, value);
  }
  return StateIntent("m.room.create", room.creator, std::move(content));
}

EventIntent MemberIntent(const std::string& user, const std::string& sender, std::string_view membership) {
  JsonObject content;
  content.Set("membership", membership);
  return {.type = "m.room.member", .state_key = user, .sender = sender, .content = std::move(content)};
}

EventIntent PowerIntent(const matrix::UserId& creator, const matrix::RoomRules& rules) {
  JsonObject users, events, content;
  // From version 12 creators stand above every level and may not be named.
  if (!rules.room_id_is_create_hash) users.Set(creator.text(), kCreatorLevel);
  for (const std::string_view type : {"m.room.power_levels", "m.room.server_acl", "m.room.history_visibility"}) {
    events.Set(type, kCreatorLevel);
  }
  events.Set("m.room.tombstone", rules.room_id_is_create_hash ? kCreatorLevel + kModeratorLevel : kCreatorLevel);
  content.Set("users", std::move(users));
  content.Set("events", std::move(events));
  content.Set("users_default", 0);
  content.Set("events_default", 0);
  for (const std::string_view action : {"state_default", "ban", "kick", "redact"}) content.Set(action, kModeratorLevel);
  content.Set("invite", 0);
  return StateIntent("m.room.power_levels", creator, std::move(content));
}

EventIntent OneMember(std::string_view type, std::string_view key, std::string_view value,
                      const matrix::UserId& sender) {
  JsonObject content;
  content.Set(key, value);
  return StateIntent(type, sender, std::move(content));
}

std::vector<EventIntent> IntentsOf(const NewRoom& room, const matrix::RoomRules& rules) {
  std::vector<EventIntent> intents{
      CreateIntent(room, rules),
      MemberIntent(room.creator.text(), room.creator.text(), "join"),
      PowerIntent(room.creator, rules),
      OneMember("m.room.join_rules", "join_rule", room.join_rule, room.creator),
      OneMember("m.room.history_visibility", "history_visibility", "shared", room.creator),
  };
  for (const EventIntent& extra : room.state) {
    if (extra.type == "m.room.create") continue;
    intents.push_back(extra);
    intents.back().sender = room.creator.text();
  }
  return intents;
}

/// Everything that authorising an event of ours can need, before the room's version is known.
store::v1::GetTemplateContextRequest ContextRequestFor(const std::string& room_id, const EventIntent& intent) {
  store::v1::GetTemplateContextRequest request;
  request.set_room_id(room_id);
  request.set_user_id(intent.sender);
  std::vector<matrix::StateKey> keys{
      {"m.room.create", ""}, {"m.room.power_levels", ""}, {"m.room.join_rules", ""}, {"m.room.member", intent.sender}};
  if (intent.state_key) keys.push_back({intent.type, *intent.state_key});
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  for (const matrix::StateKey& key : keys) {
    auto* wanted = request.add_state_keys();
    wanted->set_type(key.type);
    wanted->set_state_key(key.state_key);
  }
  return request;
}

void SetEntry(matrix::v1::StateEntry& entry, const EventIntent& intent, const std::string& event_id) {
  entry.set_type(intent.type);
  entry.set_state_key(intent.state_key.value_or(""));
  entry.set_event_id(event_id);
}

/// The verdict on an event that was authorised before it was signed: what it changes is its own key, if it has one. It
/// rests on everything that was read, and never goes in beside an event that changed some of that.
matrix::v1::Verdict AcceptedVerdict(const EventIntent& intent, const SignedEvent& event,
                                    const validator::v1::AuthorizeResponse& allowed,
                                    const store::v1::GetTemplateContextRequest& read, absl::Time now) {
  matrix::v1::Verdict verdict;
  verdict.set_outcome(matrix::v1::OUTCOME_ACCEPTED);
  verdict.set_event_id(event.event_id());
  verdict.set_judged_sha256(matrix::Sha256(event.pdu()));
  verdict.set_judged_at_ms(absl::ToUnixMillis(now));
  for (std::uint32_t step = 1; step <= kSteps; ++step) {
    auto* result = verdict.add_steps();
    result->set_step(step);
    result->set_outcome(matrix::v1::STEP_OUTCOME_OK);
    result->set_text("minted here");
    if (step < kFirstAuthStep) continue;
    result->set_rule(allowed.rule());
    result->set_text(allowed.text());
  }
  if (intent.state_key) {
    SetEntry(*verdict.add_state_after_change(), intent, event.event_id());
    SetEntry(*verdict.add_current_state_change(), intent, event.event_id());
  }
  verdict.set_commutes(!intent.state_key);
  *verdict.mutable_read_set() = read.state_keys();
  return verdict;
}

store::v1::GetEventContextRequest EventContextRequestFor(const std::string& room_id, const EventIntent& intent,
                                                         const EventPlace& place, const SignedEvent& event,
                                                         const store::v1::GetTemplateContextRequest& read) {
  store::v1::GetEventContextRequest request;
  request.set_room_id(room_id);
  request.set_event_id(event.event_id());
  request.set_sender(intent.sender);
  for (const CitedEvent& cited : place.prev_events) request.add_prev_events(cited.event_id);
  for (const CitedEvent& cited : place.auth_events) request.add_auth_events(cited.event_id);
  *request.mutable_state_keys() = read.state_keys();
  return request;
}

/// An event of another server's user, hashed but signed by nobody.
MintedEvent HashedOnly(const EventIntent& intent, JsonObject event, const std::string& server,
                       const matrix::RoomRules& rules) {
  if (rules.event_id_format == matrix::EventIdFormat::kCarried)
    event.Set("event_id", "$" + RandomLetters(24) + ":" + server);
  JsonObject hashes;
  hashes.Set("sha256", matrix::EncodeBase64(matrix::ContentHash(event)));
  event.Set("hashes", std::move(hashes));
  event.Set("signatures", JsonObject());
  return {matrix::ComputeEventId(event, rules), intent.type, intent.state_key.value_or(""),
          matrix::CanonicalJson(event)};
}

const JsonObject* ObjectOf(const absl::StatusOr<Json>& json) { return json.ok() ? json->AsObject() : nullptr; }

std::optional<std::string> SenderOfStored(const matrix::v1::StoredEvent* event) {
  const auto json = matrix::ParseJson(event == nullptr ? "" : event->pdu());
  const JsonObject* object = ObjectOf(json);
  const Json* sender = object == nullptr ? nullptr : object->Find("sender");
  if (sender == nullptr || sender->AsString() == nullptr) return std::nullopt;
  return *sender->AsString();
}

/// nullopt where there is no event, or it cannot be read.
std::optional<JsonObject> ContentOf(const matrix::v1::StoredEvent* event) {
  const auto json = matrix::ParseJson(event == nullptr ? "" : event->pdu());
  const JsonObject* object = ObjectOf(json);
  const Json* content = object == nullptr ? nullptr : object->Find("content");
  if (content == nullptr || content->AsObject() == nullptr) return std::nullopt;
  return *content->AsObject();
}

/// "" where the event has none.
std::string MembershipOf(const matrix::v1::StoredEvent& event) {
  const auto content = ContentOf(&event);
  const Json* membership = content ? content->Find("membership") : nullptr;
  return membership == nullptr || membership->AsString() == nullptr ? "" : *membership->AsString();
}

/// The server of a user whose invite or knock somebody else ends: it need not be in the room, and would show the invite
/// for ever (pitfall L17).
std::optional<std::string> ServerToTell(const matrix::v1::JudgingContext& room, const EventIntent& intent) {
  if (intent.type != "m.room.member" || !intent.state_key || *intent.state_key == intent.sender) return std::nullopt;
  const matrix::v1::StoredEvent* before = CurrentStateEvent(room, intent.type, *intent.state_key);
  if (before == nullptr) return std::nullopt;
  const std::string membership = MembershipOf(*before);
  const auto user = matrix::UserId::Parse(*intent.state_key);
  const bool asked_in = membership == "invite" || membership == "knock";
  const auto* becomes = intent.content.Find("membership");
  const bool ends = becomes != nullptr && (*becomes == Json("leave") || *becomes == Json("ban"));
  if (!asked_in || !ends || !user.ok()) return std::nullopt;
  return user->server().text();
}

MintedEvent Described(const SignedEvent& event, const EventIntent& intent, std::string pdu,
                      const store::v1::PersistEventResponse& persisted) {
  return {event.event_id(), intent.type, intent.state_key.value_or(""), std::move(pdu),
          persisted.stored().forward_extremities()};
}

struct SeededMember {
  std::string user;
  std::string server;
  std::string membership;
};

std::vector<SeededMember> MembersOf(const SeedPlan& plan) {
  std::vector<SeededMember> members;
  for (const matrix::ServerName& other : plan.others) {
    members.push_back({fmt::format("@{}other:{}", plan.user_prefix, other.text()), other.text(), "join"});
  }
  for (int i = 0; i < plan.users_per_room; ++i) {
    members.push_back(
        {fmt::format("@{}{}:{}", plan.user_prefix, i, plan.remote.text()), plan.remote.text(), plan.membership});
  }
  return members;
}

}  // namespace

RoomAuthor::RoomAuthor(const EventSigner& signer, StoreClient& store, ValidatorClient& validator, Clock clock)
    : signer_(signer), store_(store), validator_(validator), clock_(std::move(clock)) {}

absl::StatusOr<validator::v1::AuthorizeResponse> RoomAuthor::Ask(const rpc::CallContext& call,
                                                                 const validator::v1::AuthorizeRequest& question) {
  auto judged = validator_.Authorize(call, question);
  if (!judged.ok() || judged->allowed()) return judged;
  return Refuse(Reason::kNotAuthorised, fmt::format("{}: {}", judged->rule(), judged->text()));
}

absl::StatusOr<CreatedRoom> RoomAuthor::Create(const rpc::CallContext& call, const NewRoom& room) {
  const matrix::RoomRules* rules = matrix::FindRoomRules(room.version);
  if (rules == nullptr) {
    return Refuse(Reason::kUnsupportedVersion, fmt::format("room version '{}' is not supported here", room.version));
  }
  if (absl::Status status = CheckJoinRule(room.join_rule, *rules); !status.ok()) return status;

  RoomDraft draft(*rules, signer_, "");
  for (const EventIntent& intent : IntentsOf(room, *rules)) {
    const EventPlace place = draft.NextPlace(intent, clock_());
    auto event = BuildEvent(intent, place, *rules);
    if (!event.ok()) return event.status();
    const auto question = AskFor(*event, place, draft.State(), *rules, signer_.server_name().text());
    if (const auto allowed = Ask(call, question); !allowed.ok()) return allowed.status();
    auto minted = SignDrafted(std::move(*event), signer_, *rules);
    if (!minted.ok()) return minted.status();
    draft.Append(intent, minted->event_id(), minted->pdu());
  }

  store::v1::CreateRoomRequest request;
  request.set_room_id(draft.room_id());
  request.set_room_version(room.version);
  for (const MintedEvent& event : draft.events()) {
    auto* initial = request.add_events();
    initial->set_event_id(event.event_id);
    initial->set_pdu(event.pdu);
  }
  if (absl::Status status = store_.CreateRoom(call, request); !status.ok()) return status;
  return CreatedRoom{draft.room_id(), draft.events()};
}

absl::StatusOr<std::string> RoomAuthor::SenderOf(const rpc::CallContext& call, const std::string& room_id,
                                                 const EventIntent& intent) {
  if (!intent.sender.empty()) return intent.sender;
  const auto context = store_.GetTemplateContext(call, ContextRequestFor(room_id, intent));
  if (!context.ok()) return context.status();
  const auto creator = SenderOfStored(CurrentStateEvent(context->judging(), "m.room.create", ""));
  if (!creator) return Refuse(Reason::kInternal, "the room has no creator");
  return *creator;
}

absl::StatusOr<MintedEvent> RoomAuthor::AddAsOurs(const rpc::CallContext& call, const std::string& room_id,
                                                  EventIntent intent) {
  auto sender = SenderOf(call, room_id, intent);
  if (!sender.ok()) return sender.status();
  intent.sender = *std::move(sender);
  return Add(call, room_id, intent);
}

absl::StatusOr<MintedEvent> RoomAuthor::SetMembership(const rpc::CallContext& call, const std::string& room_id,
                                                      EventIntent intent, const std::vector<std::string>& now) {
  const auto context = store_.GetTemplateContext(call, ContextRequestFor(room_id, intent));
  if (!context.ok()) return context.status();
  const std::string user = intent.state_key.value_or("");
  const matrix::v1::StoredEvent* member = CurrentStateEvent(context->judging(), "m.room.member", user);
  const std::string is = member == nullptr ? "" : MembershipOf(*member);
  if (!now.empty() && std::ranges::find(now, is) == now.end()) {
    return Refuse(Reason::kNotAMember, fmt::format("{} is not {}, but {}", user, fmt::join(now, " or "),
                                                   is.empty() ? "not in the room" : fmt::format("'{}'", is)));
  }
  return AddAsOurs(call, room_id, std::move(intent));
}

absl::StatusOr<MintedEvent> RoomAuthor::SetPowerLevel(const rpc::CallContext& call, const std::string& room_id,
                                                      const matrix::UserId& user, std::optional<std::int64_t> level,
                                                      const std::string& sender) {
  EventIntent intent{.type = "m.room.power_levels", .state_key = "", .sender = sender, .content = {}};
  const auto context = store_.GetTemplateContext(call, ContextRequestFor(room_id, intent));
  if (!context.ok()) return context.status();
  auto content = ContentOf(CurrentStateEvent(context->judging(), intent.type, ""));
  if (!content) return Refuse(Reason::kNotFound, "the room has no power levels");
  intent.content = *std::move(content);
  const matrix::Json* given = intent.content.Find("users");
  JsonObject users = given == nullptr || given->AsObject() == nullptr ? JsonObject() : *given->AsObject();
  if (level) {
    users.Set(user.text(), *level);
  } else {
    users.Erase(user.text());
  }
  intent.content.Set("users", std::move(users));
  return AddAsOurs(call, room_id, std::move(intent));
}

absl::StatusOr<MintedEvent> RoomAuthor::Withdraw(const rpc::CallContext& call, const std::string& room_id,
                                                 const matrix::UserId& user, const std::string& sender,
                                                 const std::string& reason) {
  EventIntent intent = MemberIntent(user.text(), sender, "leave");
  if (!reason.empty()) intent.content.Set("reason", reason);
  const auto context = store_.GetTemplateContext(call, ContextRequestFor(room_id, intent));
  if (!context.ok()) return context.status();
  const matrix::v1::StoredEvent* invite = CurrentStateEvent(context->judging(), "m.room.member", user.text());
  if (invite == nullptr || MembershipOf(*invite) != "invite") {
    return Refuse(Reason::kNotAMember, fmt::format("{} is not invited to the room", user.text()));
  }
  const auto inviter = matrix::UserId::Parse(SenderOfStored(invite).value_or(""));
  if (sender.empty() && inviter.ok() && inviter->server() == signer_.server_name()) intent.sender = inviter->text();
  return AddAsOurs(call, room_id, std::move(intent));
}

absl::StatusOr<MintedEvent> RoomAuthor::Invite(const rpc::CallContext& call, const std::string& room_id,
                                               EventIntent intent, const Countersign& sign) {
  const auto invited = matrix::UserId::Parse(intent.state_key.value_or(""));
  if (!invited.ok()) return invited.status();
  auto sender = SenderOf(call, room_id, intent);
  if (!sender.ok()) return sender.status();
  intent.sender = *std::move(sender);
  const auto inviter = matrix::UserId::Parse(intent.sender);
  if (!inviter.ok()) return inviter.status();
  auto minted = Mint(call, room_id, intent);
  if (!minted.ok()) return minted.status();
  auto pdu = sign({minted->event, room_id, *inviter, *invited, *minted->rules});
  if (!pdu.ok()) return pdu.status();
  minted->write.set_pdu(*std::move(pdu));
  // Another one would have to be signed again: this one is judged again where the room has changed.
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    const auto persisted = store_.PersistEvent(call, minted->write);
    if (!persisted.ok()) return persisted.status();
    if (persisted->has_stored()) return Described(minted->event, intent, minted->write.pdu(), *persisted);
    if (absl::Status status = JudgeBesideBranches(call, intent, clock_(), minted->write); !status.ok()) return status;
  }
  return Refuse(Reason::kRoomBusy, "the room kept changing");
}

absl::StatusOr<MintedEvent> RoomAuthor::Add(const rpc::CallContext& call, const std::string& room_id,
                                            const EventIntent& intent) {
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    const auto minted = Mint(call, room_id, intent);
    if (!minted.ok()) return minted.status();
    const auto persisted = store_.PersistEvent(call, minted->write);
    if (!persisted.ok()) return persisted.status();
    if (persisted->has_stored()) return Described(minted->event, intent, minted->event.pdu(), *persisted);
  }
  return Refuse(Reason::kRoomBusy, "the room kept changing");
}

absl::Status RoomAuthor::JudgeBesideBranches(const rpc::CallContext& call, const EventIntent& intent, absl::Time now,
                                             store::v1::PersistEventRequest& write) {
  store::v1::GetEventContextRequest& asked = *write.mutable_context_request();
  if (intent.state_key) {
    asked.mutable_own_key()->set_type(intent.type);
    asked.mutable_own_key()->set_state_key(*intent.state_key);
  }
  validator::v1::ValidateRequest question;
  question.set_pdu(write.pdu());
  question.set_now_ms(absl::ToUnixMillis(now));
  AddVerifyKeys(signer_.PublicKeys(now + kOwnKeysValidity), question);
  absl::StatusOr<store::v1::EventContext> context;
  absl::StatusOr<matrix::v1::Verdict> verdict;
  // What we change in a room's state takes a resolution wherever it stands beside branches; any other event may not.
  asked.set_with_branches(intent.state_key.has_value());
  for (;;) {
    context = store_.GetEventContext(call, asked);
    if (!context.ok()) return context.status();
    *question.mutable_context() = context->judging();
    verdict = validator_.Validate(call, question);
    if (matrix::ReasonOf(verdict.status()) != Reason::kStateUnresolved || asked.with_branches()) break;
    asked.set_with_branches(true);
  }
  if (!verdict.ok()) return verdict.status();
  if (verdict->outcome() != matrix::v1::OUTCOME_ACCEPTED) return Refuse(Reason::kNotAuthorised, verdict->detail());
  *write.mutable_verdict() = *std::move(verdict);
  write.set_token(context->token());
  return absl::OkStatus();
}

absl::StatusOr<RoomAuthor::Unstored> RoomAuthor::Mint(const rpc::CallContext& call, const std::string& room_id,
                                                      const EventIntent& intent) {
  const auto read = ContextRequestFor(room_id, intent);
  const auto context = store_.GetTemplateContext(call, read);
  if (!context.ok()) return context.status();
  const auto rules = RulesOfRoom(context->judging());
  if (!rules.ok()) return rules.status();
  const auto place = PlaceAfter(*context, intent, **rules, clock_());
  if (!place.ok()) return place.status();
  auto minted = MintAt(call, intent, *place, *context, **rules, read);
  if (!minted.ok() || context->judging().extends_all_extremities()) return minted;
  if (absl::Status status = JudgeBesideBranches(call, intent, place->at, minted->write); !status.ok()) return status;
  return minted;
}

absl::StatusOr<RoomAuthor::Unstored> RoomAuthor::MintAt(const rpc::CallContext& call, const EventIntent& intent,
                                                        const EventPlace& place,
                                                        const store::v1::TemplateContext& context,
                                                        const matrix::RoomRules& rules,
                                                        const store::v1::GetTemplateContextRequest& read) {
  auto event = BuildEvent(intent, place, rules);
  if (!event.ok()) return event.status();
  const auto question = AskFor(*event, place, context.judging(), rules, signer_.server_name().text());
  const auto allowed = Ask(call, question);
  if (!allowed.ok()) return allowed.status();
  auto minted = SignDrafted(std::move(*event), signer_, rules);
  if (!minted.ok()) return minted.status();

  store::v1::PersistEventRequest write;
  *write.mutable_context_request() = EventContextRequestFor(place.room_id, intent, place, *minted, read);
  write.set_pdu(minted->pdu());
  *write.mutable_verdict() = AcceptedVerdict(intent, *minted, *allowed, read, place.at);
  write.set_token(context.token());
  write.set_origin(signer_.server_name().text());
  if (const auto server = ServerToTell(context.judging(), intent)) write.add_also_tell(*server);
  return Unstored{*std::move(minted), &rules, std::move(write)};
}

absl::StatusOr<MintedChain> RoomAuthor::AddChain(const rpc::CallContext& call, const std::string& room_id,
                                                 const EventIntent& intent, std::size_t few) {
  auto read = ContextRequestFor(room_id, intent);
  read.set_most_prev_events(ExtremityChain::kMostCited);
  auto context = store_.GetTemplateContext(call, read);
  if (!context.ok()) return context.status();
  const auto rules = RulesOfRoom(context->judging());
  if (!rules.ok()) return rules.status();
  // Where states differ by commuting changes alone, they have all that is read here in common with the current one:
  // what that allows, each of them does. A store of an earlier release tells no depths, and of no more than one
  // event's.
  if (context->judging().extends_all_extremities() || context->judging().states_diverge() ||
      context->prev_depths().empty()) {
    const auto added = Add(call, room_id, intent);
    if (!added.ok()) return added.status();
    return MintedChain{1, context->judging().extends_all_extremities(), added->forward_extremities};
  }
  EventPlace place{.room_id = room_id, .prev_events = {}, .auth_events = {}, .depth = 1, .at = clock_()};
  auto auth_events = AuthEventsFor(context->judging(), intent, **rules);
  if (!auth_events.ok()) return auth_events.status();
  place.auth_events = *std::move(auth_events);
  ExtremityChain chain(TipsOf(*context), few);
  context->mutable_judging()->clear_prev_events();
  std::vector<store::v1::PersistEventRequest> writes;
  for (auto cited = chain.Next(); !cited.empty(); cited = chain.Next()) {
    PlaceBehind(cited, **rules, place);
    auto minted = MintAt(call, intent, place, *context, **rules, read);
    if (!minted.ok()) return minted.status();
    chain.Append({{minted->event.event_id(), minted->event.pdu()}, place.depth});
    writes.push_back(std::move(minted->write));
  }
  MintedChain minted{.events = 0, .complete = chain.complete(), .forward_extremities = 0};
  for (const auto& persisted : store_.PersistInOrder(call, writes)) {
    if (!persisted.ok() && minted.events == 0) return persisted.status();
    if (!persisted.ok() || !persisted->has_stored()) break;
    ++minted.events;
    minted.forward_extremities = persisted->stored().forward_extremities();
  }
  minted.complete = minted.complete && minted.events == chain.events();
  if (minted.events == 0) return Refuse(Reason::kRoomBusy, "the room has changed");
  return minted;
}

absl::Status RoomAuthor::SeedingAllowed(const rpc::CallContext& call) {
  const absl::Status status = store_.SeedEvents(call, {});
  switch (matrix::ReasonOf(status)) {
    case Reason::kNone:
    case Reason::kUnknownRoom:
    case Reason::kInvalidArgument:
    case Reason::kNotFound:
      return absl::OkStatus();
    default:
      return status;
  }
}

absl::StatusOr<std::vector<std::string>> RoomAuthor::Seed(const rpc::CallContext& call, const CreatedRoom& room,
                                                          std::string_view version, const SeedPlan& plan) {
  const matrix::RoomRules& rules = *matrix::FindRoomRules(version);
  RoomDraft draft(rules, signer_, room.room_id);
  for (const MintedEvent& event : room.events) {
    draft.Append({event.type, event.state_key, "", {}}, event.event_id, event.pdu);
  }
  const std::string creator = room.events[1].state_key;  // the creator's join is the second event of every room
  const std::vector<SeededMember> members = MembersOf(plan);
  std::vector<std::string> users;
  store::v1::SeedEventsRequest request;
  request.set_room_id(room.room_id);
  for (const SeededMember& member : members) {
    const bool invited = member.membership == "invite";
    const EventIntent intent = MemberIntent(member.user, invited ? creator : member.user, member.membership);
    auto event = BuildEvent(intent, draft.NextPlace(intent, clock_()), rules);
    if (!event.ok()) return event.status();
    MintedEvent minted;
    if (invited) {
      const auto signed_event = SignDrafted(std::move(*event), signer_, rules);
      if (!signed_event.ok()) return signed_event.status();
      minted = {signed_event->event_id(), intent.type, intent.state_key.value_or(""), signed_event->pdu()};
    } else {
      minted = HashedOnly(intent, std::move(*event), member.server, rules);
    }
    auto* out = request.add_events();
    out->set_event_id(minted.event_id);
    out->set_pdu(minted.pdu);
    draft.Append(intent, minted.event_id, std::move(minted.pdu));
    if (member.server == plan.remote.text()) users.push_back(member.user);
    if (request.events_size() < kSeedChunk && &member != &members.back()) continue;
    if (absl::Status status = store_.SeedEvents(call, request); !status.ok()) return status;
    request.clear_events();
  }
  return users;
}

}  // namespace postern::gateway
