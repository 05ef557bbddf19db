#include "services/gateway/admin_service.h"

#include <fmt/format.h>

#include <utility>

#include "matrix/json.h"
#include "matrix/refusal.h"
#include "rpc/status_codec.h"
#include "telemetry/log.h"

namespace postern::gateway {
namespace {

using matrix::Reason;
using matrix::Refuse;

constexpr std::string_view kSeedCreator = "seed";
constexpr int kMostSeeded = 1000000;
constexpr absl::Duration kOwnKeysValid = absl::Hours(1);
/// Stands for the address of a client where keys are fetched for an operator.
constexpr const char* kOperator = "operator";

absl::StatusOr<EventIntent> IntentOf(const std::string& type, std::optional<std::string> state_key,
                                     const std::string& content_json) {
  if (type.empty()) return Refuse(Reason::kInvalidArgument, "an event needs a type");
  auto content = matrix::ParseJson(content_json);
  if (!content.ok() || content->AsObject() == nullptr) {
    return Refuse(Reason::kInvalidArgument, fmt::format("the content of {} is no JSON object", type));
  }
  return EventIntent{type, std::move(state_key), "", std::move(*content->AsObject())};
}

absl::StatusOr<EventIntent> IntentOf(const v1::StateEvent& event) {
  return IntentOf(event.type(), event.state_key(), event.content_json());
}

/// `Said` has valid_until_ms and keys.
template <typename Said>
void Fill(const matrix::ServerKeys& known, Said& response) {
  response.set_valid_until_ms(absl::ToUnixMillis(known.valid_until));
  for (const matrix::VerifyKey& key : known.keys) {
    auto* added = response.add_keys();
    added->set_key_id(key.key_id);
    added->set_public_key(key.public_key);
    if (key.expired) added->set_expired_ms(absl::ToUnixMillis(*key.expired));
  }
}

void Fill(const KnownKeys& known, v1::ShowServerKeysResponse::Holding& holding) {
  holding.set_from(known.from);
  holding.set_fetched_at_ms(absl::ToUnixMillis(known.fetched_at));
  Fill(known.keys, holding);
}

void Fill(const MintedEvent& event, v1::Minted& minted) {
  minted.set_event_id(event.event_id);
  minted.set_type(event.type);
  minted.set_state_key(event.state_key);
}

absl::Status Tell(const absl::StatusOr<MintedEvent>& minted, v1::Minted& response) {
  if (!minted.ok()) return minted.status();
  Fill(*minted, response);
  return absl::OkStatus();
}

/// A membership and the join rule that a room needs so that it could have come about.
absl::StatusOr<std::string> JoinRuleFor(const std::string& membership) {
  if (membership == "invite") return std::string("invite");
  if (membership == "join") return std::string("public");
  if (membership == "knock") return std::string("knock");
  return Refuse(Reason::kInvalidArgument, "membership is one of invite, join, knock");
}

EventIntent IntentFor(const matrix::UserId& user, const std::string& sender, const std::string& reason,
                      std::string_view membership) {
  EventIntent intent{"m.room.member", user.text(), sender, {}};
  intent.content.Set("membership", membership);
  if (!reason.empty()) intent.content.Set("reason", reason);
  return intent;
}

}  // namespace

AdminService::AdminService(AdminMeans means, rpc::WorkerPool& workers) : means_(std::move(means)), workers_(workers) {}

template <typename Work>
grpc::ServerUnaryReactor* AdminService::OnAWorker(grpc::CallbackServerContext* context, Work work) {
  auto* reactor = context->DefaultReactor();
  const rpc::CallContext call = rpc::FromServerContext(*context);
  const bool taken = workers_.Post([reactor, call, work = std::move(work)] {
    const absl::Status status = work(call);
    telemetry::Log(telemetry::Level::kInfo, "admin call",
                   {{"trace_id", call.trace.trace_id},
                    {"reason", matrix::RefusalOf(matrix::ReasonOf(status)).name},
                    {"detail", matrix::DetailOf(status)}});
    reactor->Finish(rpc::ToGrpc(status));
  });
  if (!taken) reactor->Finish(rpc::ToGrpc(Refuse(Reason::kOverloaded, "the gateway is too busy")));
  return reactor;
}

grpc::ServerUnaryReactor* AdminService::CreateRoom(grpc::CallbackServerContext* context,
                                                   const v1::CreateRoomRequest* request,
                                                   v1::CreateRoomResponse* response) {
  return OnAWorker(context, [=, this](const rpc::CallContext& call) { return MakeRoom(call, *request, *response); });
}

grpc::ServerUnaryReactor* AdminService::Invite(grpc::CallbackServerContext* context, const v1::InviteRequest* request,
                                               v1::Minted* response) {
  return OnAWorker(context, [=, this](const rpc::CallContext& call) { return SendInvite(call, *request, *response); });
}

grpc::ServerUnaryReactor* AdminService::WithdrawInvite(grpc::CallbackServerContext* context,
                                                       const v1::WithdrawInviteRequest* request, v1::Minted* response) {
  return OnAWorker(context, [=, this](const rpc::CallContext& call) { return Withdraw(call, *request, *response); });
}

grpc::ServerUnaryReactor* AdminService::Ban(grpc::CallbackServerContext* context, const v1::BanRequest* request,
                                            v1::Minted* response) {
  return OnAWorker(context, [=, this](const rpc::CallContext& call) {
    return SetMember(call, request->room_id(), request->user_id(), request->sender(), request->reason(), "ban",
                     *response);
  });
}

grpc::ServerUnaryReactor* AdminService::SendState(grpc::CallbackServerContext* context,
                                                  const v1::SendStateRequest* request, v1::Minted* response) {
  return OnAWorker(context, [=, this](const rpc::CallContext& call) { return SetState(call, *request, *response); });
}

grpc::ServerUnaryReactor* AdminService::SetMembership(grpc::CallbackServerContext* context,
                                                      const v1::SetMembershipRequest* request, v1::Minted* response) {
  return OnAWorker(context,
                   [=, this](const rpc::CallContext& call) { return ChangeMember(call, *request, *response); });
}

grpc::ServerUnaryReactor* AdminService::SendEvent(grpc::CallbackServerContext* context,
                                                  const v1::SendEventRequest* request, v1::Minted* response) {
  return OnAWorker(context, [=, this](const rpc::CallContext& call) { return AddEvent(call, *request, *response); });
}

grpc::ServerUnaryReactor* AdminService::SetPowerLevel(grpc::CallbackServerContext* context,
                                                      const v1::SetPowerLevelRequest* request, v1::Minted* response) {
  return OnAWorker(context, [=, this](const rpc::CallContext& call) { return SetPower(call, *request, *response); });
}

grpc::ServerUnaryReactor* AdminService::Seed(grpc::CallbackServerContext* context, const v1::SeedRequest* request,
                                             v1::SeedResponse* response) {
  return OnAWorker(context, [=, this](const rpc::CallContext& call) { return SeedRooms(call, *request, *response); });
}

grpc::ServerUnaryReactor* AdminService::FindServerKeys(grpc::CallbackServerContext* context,
                                                       const v1::FindServerKeysRequest* request,
                                                       v1::FindServerKeysResponse* response) {
  return OnAWorker(context, [=, this](const rpc::CallContext& call) { return FindKeys(call, *request, *response); });
}

grpc::ServerUnaryReactor* AdminService::ShowServerKeys(grpc::CallbackServerContext* context,
                                                       const v1::ShowServerKeysRequest* request,
                                                       v1::ShowServerKeysResponse* response) {
  return OnAWorker(context, [=, this](const rpc::CallContext& call) { return ShowKeys(call, *request, *response); });
}

grpc::ServerUnaryReactor* AdminService::ForgetServerKeys(grpc::CallbackServerContext* context,
                                                         const v1::ForgetServerKeysRequest* request,
                                                         v1::ForgetServerKeysResponse*) {
  return OnAWorker(context, [=, this](const rpc::CallContext& call) -> absl::Status {
    const auto server = matrix::ServerName::Parse(request->server_name());
    return server.ok() ? means_.key_ring.Forget(call, *server) : server.status();
  });
}

grpc::ServerUnaryReactor* AdminService::ReloadSigningKeys(grpc::CallbackServerContext* context,
                                                          const v1::ReloadSigningKeysRequest*,
                                                          v1::ReloadSigningKeysResponse* response) {
  return OnAWorker(context, [=, this](const rpc::CallContext&) { return ReloadKeys(*response); });
}

absl::Status AdminService::MakeRoom(const rpc::CallContext& call, const v1::CreateRoomRequest& request,
                                    v1::CreateRoomResponse& response) {
  auto creator = matrix::UserId::Parse(request.creator());
  if (!creator.ok()) return creator.status();
  NewRoom room{.version = request.room_version(), .creator = std::move(*creator), .join_rule = "invite", .state = {}};
  if (!request.join_rule().empty()) room.join_rule = request.join_rule();
  for (const v1::StateEvent& event : request.state()) {
    auto intent = IntentOf(event);
    if (!intent.ok()) return intent.status();
    room.state.push_back(std::move(*intent));
  }
  const auto created = means_.author.Create(call, room);
  if (!created.ok()) return created.status();
  response.set_room_id(created->room_id);
  for (const MintedEvent& event : created->events) Fill(event, *response.add_events());
  return absl::OkStatus();
}

absl::Status AdminService::SetMember(const rpc::CallContext& call, const std::string& room_id,
                                     const std::string& user_id, const std::string& sender, const std::string& reason,
                                     std::string_view membership, v1::Minted& response) {
  const auto user = matrix::UserId::Parse(user_id);
  if (!user.ok()) return user.status();
  const auto minted = means_.author.AddAsOurs(call, room_id, IntentFor(*user, sender, reason, membership));
  return Tell(minted, response);
}

absl::Status AdminService::SendInvite(const rpc::CallContext& call, const v1::InviteRequest& request,
                                      v1::Minted& response) {
  const auto user = matrix::UserId::Parse(request.user_id());
  if (!user.ok()) return user.status();
  EventIntent intent = IntentFor(*user, request.sender(), request.reason(), "invite");
  const auto under_way = means_.invites_under_way.Begin(request.room_id(), user->text());
  const bool ours = user->server() == means_.signer.server_name();
  const auto minted =
      ours ? means_.author.AddAsOurs(call, request.room_id(), std::move(intent))
           : means_.author.Invite(call, request.room_id(), std::move(intent),
                                  [&](const OutboundInvite& invite) { return means_.sign_invite(call, invite); });
  return Tell(minted, response);
}

absl::Status AdminService::Withdraw(const rpc::CallContext& call, const v1::WithdrawInviteRequest& request,
                                    v1::Minted& response) {
  const auto user = matrix::UserId::Parse(request.user_id());
  if (!user.ok()) return user.status();
  const auto minted = means_.author.Withdraw(call, request.room_id(), *user, request.sender(), request.reason());
  return Tell(minted, response);
}

absl::Status AdminService::SetState(const rpc::CallContext& call, const v1::SendStateRequest& request,
                                    v1::Minted& response) {
  auto intent = IntentOf(request.event());
  if (!intent.ok()) return intent.status();
  intent->sender = request.sender();
  const auto minted = means_.author.AddAsOurs(call, request.room_id(), std::move(*intent));
  return Tell(minted, response);
}

absl::Status AdminService::ChangeMember(const rpc::CallContext& call, const v1::SetMembershipRequest& request,
                                        v1::Minted& response) {
  const auto user = matrix::UserId::Parse(request.user_id());
  if (!user.ok()) return user.status();
  if (request.membership() != "join" && request.membership() != "leave") {
    return Refuse(Reason::kInvalidArgument, "membership is one of join, leave");
  }
  const auto minted = means_.author.SetMembership(
      call, request.room_id(), IntentFor(*user, request.sender(), request.reason(), request.membership()),
      {request.now().begin(), request.now().end()});
  return Tell(minted, response);
}

absl::Status AdminService::AddEvent(const rpc::CallContext& call, const v1::SendEventRequest& request,
                                    v1::Minted& response) {
  auto intent = IntentOf(request.type(), std::nullopt, request.content_json());
  if (!intent.ok()) return intent.status();
  intent->sender = request.sender();
  const auto minted = means_.author.AddAsOurs(call, request.room_id(), std::move(*intent));
  return Tell(minted, response);
}

absl::Status AdminService::SetPower(const rpc::CallContext& call, const v1::SetPowerLevelRequest& request,
                                    v1::Minted& response) {
  const auto user = matrix::UserId::Parse(request.user_id());
  if (!user.ok()) return user.status();
  const std::optional<std::int64_t> level = request.has_level() ? std::optional(request.level()) : std::nullopt;
  const auto minted = means_.author.SetPowerLevel(call, request.room_id(), *user, level, request.sender());
  return Tell(minted, response);
}

absl::Status AdminService::SeedRooms(const rpc::CallContext& call, const v1::SeedRequest& request,
                                     v1::SeedResponse& response) {
  auto join_rule = JoinRuleFor(request.membership());
  if (!join_rule.ok()) return join_rule.status();
  if (request.others_size() > 0) {
    if (*join_rule == "knock") return Refuse(Reason::kInvalidArgument, "nobody joins a room that wants a knock");
    join_rule = "public";
  }
  auto remote = matrix::ServerName::Parse(request.remote());
  if (!remote.ok()) return remote.status();
  const auto creator = matrix::UserId::Parse(fmt::format("@{}:{}", kSeedCreator, means_.signer.server_name().text()));
  if (!creator.ok()) return creator.status();
  if (request.rooms() < 1 || request.users_per_room() < 1 || request.rooms() > kMostSeeded / request.users_per_room()) {
    return Refuse(Reason::kInvalidArgument, fmt::format("1 to {} users in all", kMostSeeded));
  }
  if (absl::Status status = means_.author.SeedingAllowed(call); !status.ok()) return status;
  SeedPlan plan{request.users_per_room(), request.user_prefix(), std::move(*remote), request.membership(), {}};
  for (const std::string& name : request.others()) {
    auto other = matrix::ServerName::Parse(name);
    if (!other.ok()) return other.status();
    if (*other == plan.remote) return Refuse(Reason::kInvalidArgument, "the remote is no other server");
    plan.others.push_back(std::move(*other));
  }
  const NewRoom room{.version = request.room_version(), .creator = *creator, .join_rule = *join_rule, .state = {}};
  for (int i = 0; i < request.rooms(); ++i) {
    const auto created = means_.author.Create(call, room);
    if (!created.ok()) return created.status();
    auto users = means_.author.Seed(call, *created, room.version, plan);
    if (!users.ok()) return users.status();
    auto* out = response.add_rooms();
    out->set_room_id(created->room_id);
    out->set_room_version(room.version);
    for (std::string& user : *users) out->add_users(std::move(user));
  }
  return absl::OkStatus();
}

absl::Status AdminService::FindKeys(const rpc::CallContext& call, const v1::FindServerKeysRequest& request,
                                    v1::FindServerKeysResponse& response) {
  const auto server = matrix::ServerName::Parse(request.server_name());
  if (!server.ok()) return server.status();
  if (*server == means_.signer.server_name()) {
    Fill(means_.signer.PublicKeys(means_.clock() + kOwnKeysValid), response);
    return absl::OkStatus();
  }
  const KeyQuery query{*server, {request.key_ids().begin(), request.key_ids().end()}, KeyUse::kEvent, kOperator};
  const auto known = means_.key_ring.Wait(query, call.deadline);
  if (!known.ok()) return known.status();
  Fill((*known)->keys, response);
  return absl::OkStatus();
}

absl::Status AdminService::ShowKeys(const rpc::CallContext& call, const v1::ShowServerKeysRequest& request,
                                    v1::ShowServerKeysResponse& response) {
  const auto server = matrix::ServerName::Parse(request.server_name());
  if (!server.ok()) return server.status();
  const KeyStanding standing = means_.key_ring.StandingOf(*server);
  if (standing.known != nullptr) Fill(*standing.known, *response.mutable_in_memory());
  response.set_last_error(standing.last_error);
  if (standing.no_fetch_before > means_.clock()) {
    response.set_no_fetch_before_ms(absl::ToUnixMillis(standing.no_fetch_before));
  }
  store::v1::GetServerKeysRequest stored;
  stored.add_server_names(server->text());
  const auto found = means_.store.GetServerKeys(call, stored);
  if (!found.ok()) return found.status();
  if (!found->servers().empty()) Fill(*KeysOf(found->servers(0)), *response.mutable_in_store());
  return absl::OkStatus();
}

absl::Status AdminService::ReloadKeys(v1::ReloadSigningKeysResponse& response) {
  if (absl::Status status = means_.reload_signing_keys(); !status.ok()) return status;
  response.set_key_id(means_.signer.key_id());
  return absl::OkStatus();
}

}  // namespace postern::gateway
