#include "tests/gateway/leave_rig.h"

#include <future>
#include <utility>

#include "matrix/canonical_json.h"
#include "matrix/content_hash.h"
#include "matrix/event_id.h"

namespace postern::gateway {
namespace {

void Add(RoomDraft& draft, const EventSigner& signer, std::string_view type, std::string_view state_key,
         std::string_view sender, std::string_view content) {
  const EventIntent intent{std::string(type), std::string(state_key), std::string(sender), ObjectOrDie(content)};
  auto event = *BuildEvent(intent, draft.NextPlace(intent, absl::FromUnixMillis(1699999990000)), draft.rules());
  if (sender.ends_with(kOurName)) {
    const auto minted = *SignDrafted(std::move(event), signer, draft.rules());
    draft.Append(intent, minted.event_id(), minted.pdu());
    return;
  }
  const bool carried = draft.rules().event_id_format == matrix::EventIdFormat::kCarried;
  if (carried) event.Set("event_id", "$" + RandomLetters(8) + ":" + std::string(kRemoteName));
  event = RemoteServer().Complete(std::move(event), draft.rules());
  draft.Append(intent, matrix::ComputeEventId(event, draft.rules()), matrix::CanonicalJson(event));
}

std::string MemberContent(std::string_view membership) {
  return R"({"membership":")" + std::string(membership) + "\"}";
}

}  // namespace

RoomDraft MakeRoom(const std::string& version, std::string_view member, std::string_view membership,
                   const EventSigner& signer, std::string_view create_content, std::string_view acl_content,
                   std::string_view join_rules) {
  RoomDraft draft(*matrix::FindRoomRules(version), signer, "");
  matrix::JsonObject create = ObjectOrDie(create_content);
  create.Set("room_version", version);
  if (draft.rules().creator_in_content) create.Set("creator", kCreator);
  Add(draft, signer, "m.room.create", "", kCreator, matrix::CanonicalJson(create));
  Add(draft, signer, "m.room.member", kCreator, kCreator, MemberContent("join"));
  Add(draft, signer, "m.room.power_levels", "", kCreator, R"({"ban":50})");
  Add(draft, signer, "m.room.join_rules", "", kCreator, join_rules);
  if (!acl_content.empty()) Add(draft, signer, "m.room.server_acl", "", kCreator, acl_content);
  if (!membership.empty()) {
    Add(draft, signer, "m.room.member", member, membership == "invite" || membership == "ban" ? kCreator : member,
        MemberContent(membership));
  }
  return draft;
}

LeaveRig::LeaveRig(LeaveRigOptions options)
    : options_(std::move(options)),
      room_(MakeRoom(options_.version, kAnn, options_.membership, signer_, options_.create_content,
                     options_.acl_content, options_.join_rules)),
      key_ring_(store_, source_, fetchers_, clock(), metrics_),
      peer_auth_(*matrix::ServerName::Parse(kOurName), key_ring_, clock()),
      addresses_(options_.address_limits, metrics_),
      origins_(options_.origin_limits, clock(), alarm_, metrics_),
      missing_events_(peers_, Services(), {.at_once = options_.gaps_at_once}),
      states_before_gaps_(peer_states_, fetched_states_, Services()),
      missing_before_sent_(peers_, Services(), LongGaps(options_.gaps_at_once), &states_before_gaps_),
      leave_v1_(LeaveApi::kV1, Services(), &missing_events_),
      leave_v2_(LeaveApi::kV2, Services(), &missing_events_),
      make_leave_(*matrix::ServerName::Parse(kOurName), store_, validator_, key_ring_, access_, invites_under_way_,
                  templates_of_leaves_, clock()),
      make_join_(*matrix::ServerName::Parse(kOurName), store_, validator_, key_ring_, access_, invites_under_way_,
                 clock()),
      join_answers_(options_.join_answers, options_.join_answers),
      join_v1_(JoinApi::kV1, Services(), &missing_events_, join_answers_, answer_readers_),
      join_v2_(JoinApi::kV2, Services(), &missing_events_, join_answers_, answer_readers_),
      make_knock_(*matrix::ServerName::Parse(kOurName), store_, validator_, key_ring_, access_, invites_under_way_,
                  clock()),
      send_knock_(Services(), &missing_events_),
      event_route_(*matrix::ServerName::Parse(kOurName), store_, key_ring_, clock()),
      state_ids_route_(store_, key_ring_, large_answers_),
      event_auth_route_(store_, key_ring_, large_answers_),
      missing_events_route_(store_, key_ring_),
      send_route_(Services(), &missing_before_sent_),
      state_route_(store_, key_ring_, large_answers_),
      backfill_route_(*matrix::ServerName::Parse(kOurName), store_, key_ring_, backfills_, clock()),
      directory_route_(store_),
      profile_route_(store_),
      key_route_(signer_, clock()),
      key_query_(signer_, key_ring_, key_route_, clock()),
      workers_(options_.workers, options_.queue_limit) {
  source_.Set(remote_.Keys(clock_.now() + absl::Hours(24)));
  std::vector<RouteEntry> routes{
      {"send_leave_v2", "PUT", "/_matrix/federation/v2/send_leave/{}/{}", &leave_v2_, nullptr},
      {"make_leave", "GET", "/_matrix/federation/v1/make_leave/{}/{}", &make_leave_, nullptr},
      {"make_join", "GET", "/_matrix/federation/v1/make_join/{}/{}", &make_join_, nullptr},
      {"send_join_v1", "PUT", "/_matrix/federation/v1/send_join/{}/{}", &join_v1_, nullptr},
      {"send_join_v2", "PUT", "/_matrix/federation/v2/send_join/{}/{}", &join_v2_, nullptr},
      {"make_knock", "GET", "/_matrix/federation/v1/make_knock/{}/{}", &make_knock_, nullptr},
      {"send_knock", "PUT", "/_matrix/federation/v1/send_knock/{}/{}", &send_knock_, nullptr},
      {"event", "GET", "/_matrix/federation/v1/event/{}", &event_route_, nullptr},
      {"state_ids", "GET", "/_matrix/federation/v1/state_ids/{}", &state_ids_route_, nullptr},
      {"event_auth", "GET", "/_matrix/federation/v1/event_auth/{}/{}", &event_auth_route_, nullptr},
      {"get_missing_events", "POST", "/_matrix/federation/v1/get_missing_events/{}", &missing_events_route_, nullptr},
      {"send", "PUT", "/_matrix/federation/v1/send/{}", &send_route_, nullptr, kTransactionBytes},
      {"state", "GET", "/_matrix/federation/v1/state/{}", &state_route_, nullptr},
      {"backfill", "GET", "/_matrix/federation/v1/backfill/{}", &backfill_route_, nullptr},
      {"query_directory", "GET", "/_matrix/federation/v1/query/directory", &directory_route_, nullptr},
      {"query_profile", "GET", "/_matrix/federation/v1/query/profile", &profile_route_, nullptr},
      {"key", "GET", "/_matrix/key/v2/server", nullptr, &key_route_},
      {"key_query", "POST", "/_matrix/key/v2/query", nullptr, &key_query_},
      {"key_query", "GET", "/_matrix/key/v2/query/{}", nullptr, &key_query_},
      {"version", "GET", "/_matrix/federation/v1/version", nullptr, &version_route_}};
  if (options_.v1_send_leave) {
    routes.push_back({"send_leave_v1", "PUT", "/_matrix/federation/v1/send_leave/{}/{}", &leave_v1_, nullptr});
  }
  router_ =
      std::make_unique<HttpRouter>(routes, peer_auth_, &addresses_, &origins_, workers_, clock(), metrics_,
                                   RouterOptions{.longest_wait = options_.longest_wait, .client_address_header = {}});
  Script();
}

LeaveRig::~LeaveRig() {
  source_.Open();
  workers_.Drain();
  answer_readers_.Drain();
  fetchers_.Drain();
  alarm_.Stop();
}

void LeaveRig::Script() {
  *context_.mutable_judging() = room_.State();
  context_.set_sender_membership("invite");
  context_.set_token("token");
  store_.on_context = [this](const auto&) { return context_; };
  store_.on_template = [this](const auto&) {
    store::v1::TemplateContext context;
    *context.mutable_judging() = room_.State();
    context.set_user_membership("invite");
    context.set_max_depth(static_cast<std::int64_t>(room_.events().size()));
    context.set_resident(true);
    return context;
  };
  store_.on_persist = [](const store::v1::PersistEventRequest& request) {
    store::v1::PersistEventResponse response;
    response.mutable_stored()->set_outcome(request.verdict().outcome());
    response.mutable_stored()->set_reason(request.verdict().reason());
    return response;
  };
  validator_.on_validate = [this](const validator::v1::ValidateRequest& request) {
    ++validated_;
    last_validated_ = request;
    matrix::v1::Verdict verdict;
    verdict.set_outcome(matrix::v1::OUTCOME_ACCEPTED);
    verdict.set_judged_copy(request.pdu());
    verdict.set_judged_sha256(matrix::Sha256(request.pdu()));
    verdict.set_event_id(matrix::ComputeEventId(ObjectOrDie(request.pdu()), rules()));
    alter_verdict_(verdict);
    return verdict;
  };
  validator_.on_authorize = [](const validator::v1::AuthorizeRequest&) {
    validator::v1::AuthorizeResponse response;
    response.set_allowed(true);
    return response;
  };
}

matrix::JsonObject LeaveRig::Own(std::string_view membership) const {
  EventIntent intent{"m.room.member", std::string(kAnn), std::string(kAnn), {}};
  intent.content.Set("membership", membership);
  auto event = *BuildEvent(intent, room_.NextPlace(intent, clock_.now()), rules());
  if (rules().event_id_format == matrix::EventIdFormat::kCarried) {
    event.Set("event_id", "$ann-" + std::string(membership) + "s:" + std::string(kRemoteName));
  }
  return event;
}

std::string LeaveRig::EventId(const matrix::JsonObject& event) const { return matrix::ComputeEventId(event, rules()); }

std::string LeaveRig::SendLeavePath(const matrix::JsonObject& event, std::string_view api) const {
  return SendPath(event, std::string(api) + "/send_leave");
}

std::string LeaveRig::SendPath(const matrix::JsonObject& event, std::string_view endpoint) const {
  return "/_matrix/federation/" + std::string(endpoint) + "/" + http::PercentEncode(room_.room_id()) + "/" +
         http::PercentEncode(EventId(event));
}

http::Request LeaveRig::PutTo(std::string_view endpoint, const matrix::JsonObject& event,
                              std::string_view query) const {
  const matrix::Json content(event);
  return remote_.Request("PUT", SendPath(event, endpoint) + std::string(query), &content);
}

std::string LeaveRig::MakeLeavePath(std::string_view user) const {
  return "/_matrix/federation/v1/make_leave/" + http::PercentEncode(room_.room_id()) + "/" + http::PercentEncode(user);
}

http::Request LeaveRig::Put(const matrix::JsonObject& event, std::string_view api) const {
  const matrix::Json content(event);
  return remote_.Request("PUT", SendLeavePath(event, api), &content);
}

http::Response LeaveRig::Send(http::Request request) {
  http::Request head = request;
  head.body.clear();
  if (auto early = router_->OnHead(head)) return *early;
  struct Box {
    std::mutex mutex;
    std::condition_variable filled;
    std::optional<http::Response> response;
  };
  const auto box = std::make_shared<Box>();
  router_->OnRequest(std::move(request), [box](http::Response response) {
    const std::lock_guard lock(box->mutex);
    box->response = std::move(response);
    box->filled.notify_all();
  });
  std::unique_lock lock(box->mutex);
  box->filled.wait(lock, [&] { return box->response.has_value(); });
  return *std::move(box->response);  // the box may live on for a moment, and must hold nothing of it
}

std::optional<std::string> WholeBody(const http::Response& response) {
  std::string body = response.body;
  if (response.rest == nullptr) return body;
  for (;;) {
    std::promise<absl::StatusOr<std::string>> promised;
    response.rest->Next([&](absl::StatusOr<std::string> piece) { promised.set_value(std::move(piece)); });
    const auto piece = promised.get_future().get();
    if (!piece.ok()) return std::nullopt;
    if (piece->empty()) return body;
    body += *piece;
  }
}

std::string ErrcodeOf(const http::Response& response) {
  const auto body = matrix::ParseJson(response.body);
  if (!body.ok() || body->AsObject() == nullptr) return "";
  const matrix::Json* errcode = body->AsObject()->Find("errcode");
  return errcode == nullptr || errcode->AsString() == nullptr ? "" : *errcode->AsString();
}

}  // namespace postern::gateway
